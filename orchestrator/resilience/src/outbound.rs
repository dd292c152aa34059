//! Where the engine may connect to for a participant: an address is judged when a connection is opened, so a name that
//! leads elsewhere later is judged again.

mod lookup;
mod policy;
mod reserved;
mod rule;
#[cfg(test)]
mod tests;

pub use lookup::{HostResolver, SystemResolver};
pub use policy::{AddressPolicy, AddressRuleError, RefusedAddress};
pub use rule::AddressRule;

pub(crate) use lookup::GuardedLookup;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use url::{Host, Url};

/// Where connections to participants may go, and who looks up their names.
#[derive(Clone, Debug)]
pub struct OutboundAddresses {
    policy: Arc<AddressPolicy>,
    resolver: Arc<dyn HostResolver>,
}

impl Default for OutboundAddresses {
    fn default() -> OutboundAddresses {
        OutboundAddresses::new(AddressPolicy::default())
    }
}

impl OutboundAddresses {
    /// By `policy`, with the names of the operating system.
    #[must_use]
    pub fn new(policy: AddressPolicy) -> OutboundAddresses {
        OutboundAddresses { policy: Arc::new(policy), resolver: Arc::new(SystemResolver) }
    }

    /// The same with other names.
    #[must_use]
    pub fn resolved_by(self, resolver: Arc<dyn HostResolver>) -> OutboundAddresses {
        OutboundAddresses { resolver, ..self }
    }

    /// For the connections of one participant.
    pub(crate) fn of_participant(&self, participant: &str) -> ParticipantAddresses {
        ParticipantAddresses { participant: participant.into(), outbound: self.clone() }
    }
}

/// The same for one participant, whose name is in what is refused.
#[derive(Clone, Debug)]
pub(crate) struct ParticipantAddresses {
    participant: Arc<str>,
    outbound: OutboundAddresses,
}

impl ParticipantAddresses {
    /// Whether the address that stands in `url` may be called; a name is judged when it is looked up.
    ///
    /// # Errors
    /// Which rule refuses it.
    pub(crate) fn check_literal(&self, url: &Url) -> Result<(), RefusedAddress> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(&address.to_string(), IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.check(&address.to_string(), IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Whether `host` may be called at `address`.
    ///
    /// # Errors
    /// Which rule refuses it.
    pub(crate) fn check(&self, host: &str, address: IpAddr) -> Result<(), RefusedAddress> {
        self.outbound.policy.check(host, address).map_err(|rule| RefusedAddress {
            participant: self.participant.to_string(),
            host: host.to_owned(),
            address,
            rule,
        })
    }

    /// Counts a connection that was not opened for this reason.
    pub(crate) fn count(&self, refused: &RefusedAddress) {
        let labels = [("participant", self.participant.to_string()), ("rule", refused.rule.as_str().to_owned())];
        metrics::counter!("saga_addresses_refused_total", &labels).increment(1);
    }

    /// The addresses of `host` that may be called.
    ///
    /// # Errors
    /// The name has no address, or none that may be called: the first of them says why.
    pub(crate) async fn look_up(&self, host: &str) -> Result<Vec<SocketAddr>, LookupFailure> {
        let found = self.outbound.resolver.addresses(host).await.map_err(LookupFailure::Unknown)?;
        let (mut allowed, mut first_refused) = (Vec::new(), None);
        for address in found {
            match self.check(host, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(refused) => drop(first_refused.get_or_insert(refused)),
            }
        }
        match first_refused {
            Some(refused) if allowed.is_empty() => Err(LookupFailure::Refused(refused)),
            Some(_) | None => Ok(allowed),
        }
    }
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupFailure {
    /// It has no address.
    #[error(transparent)]
    Unknown(std::io::Error),
    /// It has addresses, and none may be called.
    #[error(transparent)]
    Refused(RefusedAddress),
}
