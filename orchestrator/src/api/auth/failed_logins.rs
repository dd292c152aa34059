//! How many logins of an address failed lately. Beyond a limit they are answered with 429, and the log does not fill
//! with them. A valid login always passes: many callers may share an address, and nobody guesses 256 random bits.

use saga_base::sync::UnpoisonedMutex;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Wrong logins of an address in a window: somebody who mistypes, or a program with an old key that polls.
const MOST: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered: a bound of the memory, not of callers.
const ADDRESSES: usize = 4_096;

/// Wrong logins by address.
#[derive(Debug, Default)]
pub(super) struct FailedLogins(UnpoisonedMutex<BTreeMap<IpAddr, FailureWindow>>);

#[derive(Clone, Copy, Debug)]
struct FailureWindow {
    since: Instant,
    count: u32,
}

impl FailedLogins {
    /// Notes a login that failed at `now`; whether the address is beyond its limit.
    pub(super) fn note(&self, address: IpAddr, now: Instant) -> bool {
        let address = network_of(address);
        let mut known = self.0.lock();
        let is_over = |window: &FailureWindow| now.saturating_duration_since(window.since) >= WINDOW;
        if known.len() >= ADDRESSES && !known.contains_key(&address) {
            known.retain(|_, window| !is_over(window));
            let oldest = known.iter().min_by_key(|(_, window)| window.since).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| known.len() >= ADDRESSES) {
                known.remove(&oldest);
            }
        }
        let window = known.entry(address).or_insert(FailureWindow { since: now, count: 0 });
        if is_over(window) {
            *window = FailureWindow { since: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        window.count > MOST
    }
}

/// Who has an address of IPv6 has 2^64 of them.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_a_limit_until_its_window_is_over() {
        let (failed, now) = (FailedLogins::default(), Instant::now());
        let one = address("10.0.0.1");
        assert!((0..MOST).all(|_| !failed.note(one, now)) && failed.note(one, now));
        assert!(!failed.note(address("10.0.0.2"), now), "another address");
        assert!(failed.note(address("::ffff:10.0.0.1"), now), "the same, as IPv6 writes it");
        assert!(!failed.note(one, now + WINDOW));
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        let (failed, now) = (FailedLogins::default(), Instant::now());
        let of = |last: u32| address(&format!("2001:db8:1:2::{last:x}"));
        assert!((0..MOST).all(|last| !failed.note(of(last), now)) && failed.note(of(MOST), now));
    }

    #[test]
    fn the_memory_is_bounded() {
        let (failed, now) = (FailedLogins::default(), Instant::now());
        for number in 0..u32::try_from(ADDRESSES).unwrap_or_default() + 100 {
            failed.note(IpAddr::from(number.to_be_bytes()), now + Duration::from_millis(number.into()));
        }
        assert_eq!(failed.0.lock().len(), ADDRESSES);
    }
}
