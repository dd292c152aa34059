//! Why an address may not be called.

/// The configuration key of the list of what may be called.
const ALLOW: &str = "outbound.allow";
/// The configuration key of reserved addresses that may be called.
const ALLOW_RESERVED: &str = "outbound.allowReserved";

/// Why an address may not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRule {
    /// It is where a cloud gives out the credentials of its machines.
    CloudMetadata,
    /// It is link-local: only machines of the same network segment have it.
    LinkLocal,
    /// It stands for this machine or network, and is no destination.
    ThisNetwork,
    /// It belongs to a group and not to a service.
    Multicast,
    /// It belongs to all machines of a network.
    Broadcast,
    /// There is a list of what may be called, and it is not in there.
    NotListed,
}

impl AddressRule {
    /// As it is counted.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AddressRule::CloudMetadata => "cloud_metadata",
            AddressRule::LinkLocal => "link_local",
            AddressRule::ThisNetwork => "this_network",
            AddressRule::Multicast => "multicast",
            AddressRule::Broadcast => "broadcast",
            AddressRule::NotListed => "not_listed",
        }
    }

    /// What is wrong with such an address.
    pub(super) fn reason(self) -> &'static str {
        match self {
            AddressRule::CloudMetadata => "a cloud gives out credentials there",
            AddressRule::LinkLocal => "it is link-local",
            AddressRule::ThisNetwork => "it stands for this machine or network",
            AddressRule::Multicast => "it is multicast",
            AddressRule::Broadcast => "it is broadcast",
            AddressRule::NotListed => "it is not in the list of what may be called",
        }
    }

    /// The key of the configuration that would allow it.
    pub(super) fn key(self) -> &'static str {
        match self {
            AddressRule::CloudMetadata
            | AddressRule::LinkLocal
            | AddressRule::ThisNetwork
            | AddressRule::Multicast
            | AddressRule::Broadcast => ALLOW_RESERVED,
            AddressRule::NotListed => ALLOW,
        }
    }
}
