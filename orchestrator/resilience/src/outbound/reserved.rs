//! Addresses that no participant has unless somebody says so: what answers there are the machine itself, its network
//! and its cloud, and those give out credentials.

use super::rule::AddressRule;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The rule by which `address` is reserved, also where an IPv4 address is written as IPv6; `None`: it is not.
pub(super) fn rule_of(address: IpAddr) -> Option<AddressRule> {
    match address {
        IpAddr::V4(address) => rule_of_v4(address),
        IpAddr::V6(address) => rule_of_v6(address).or_else(|| embedded(address).and_then(rule_of_v4)),
    }
}

/// The same address without its IPv6 clothes, if it has some.
pub(super) fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(wide) => embedded(wide).map_or(address, IpAddr::V4),
    }
}

fn rule_of_v4(address: Ipv4Addr) -> Option<AddressRule> {
    match address.octets() {
        // AWS, Azure, Google, Oracle and others; containers of AWS ask at 169.254.170.2.
        [169, 254, 169, 254] | [169, 254, 170, 2 | 23] => Some(AddressRule::CloudMetadata),
        // Alibaba; Azure's host; Oracle's earlier address.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Some(AddressRule::CloudMetadata),
        [169, 254, ..] => Some(AddressRule::LinkLocal),
        [0, ..] => Some(AddressRule::ThisNetwork),
        [224..=239, ..] => Some(AddressRule::Multicast),
        [255, 255, 255, 255] => Some(AddressRule::Broadcast),
        _ => None,
    }
}

fn rule_of_v6(address: Ipv6Addr) -> Option<AddressRule> {
    match address.segments() {
        // AWS's metadata and its credentials for pods; Google's metadata.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254 | 0x23] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254] => {
            Some(AddressRule::CloudMetadata)
        }
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(AddressRule::ThisNetwork),
        [first, ..] if first & 0xffc0 == 0xfe80 => Some(AddressRule::LinkLocal),
        [first, ..] if first & 0xff00 == 0xff00 => Some(AddressRule::Multicast),
        _ => None,
    }
}

/// The IPv4 address in an IPv6 address that a network turns back into it.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        // `::1` is loopback and no form of 0.0.0.1.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // IPv4-mapped, IPv4-compatible, and IPv4-translated.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => last(high, low),
        // NAT64: the well-known prefix, and the one for a network's own use.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => last(high, low),
        // 6to4.
        [0x2002, high, low, ..] => last(high, low),
        _ => None,
    }
}
