//! Which addresses may be called.

use super::{reserved, rule::AddressRule};
use ipnet::IpNet;
use std::{fmt, net::IpAddr, str::FromStr};

/// Which addresses may be called. By default all but the reserved ones: private networks and loopback are where
/// participants usually are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// `None`: there is no list.
    allow: Option<Vec<AllowedPlace>>,
    allow_reserved: Vec<IpNet>,
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AllowedPlace {
    Network(IpNet),
    Host(String),
    /// Any host below the domain, and not the domain itself.
    Below(String),
}

/// An address of a participant that may not be called. Nothing was sent to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("participant `{participant}`: {}", self.explained())]
pub struct RefusedAddress {
    /// Name of the participant in participants.yaml.
    pub participant: String,
    /// The host of its URL.
    pub host: String,
    /// The address of the host.
    pub address: IpAddr,
    /// What refuses it.
    pub rule: AddressRule,
}

/// An entry of a list that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is not {expected}")]
pub struct AddressRuleError {
    /// The entry as it is written.
    pub entry: String,
    /// What may stand there.
    pub expected: &'static str,
}

impl AddressPolicy {
    /// A policy by what the configuration says. Without `allow`, everything but reserved addresses may be called; what
    /// `allow_reserved` has is not reserved.
    ///
    /// # Errors
    /// The first entry that cannot be read.
    pub fn new(allow: Option<&[String]>, allow_reserved: &[String]) -> Result<AddressPolicy, AddressRuleError> {
        let allow = allow.map(|list| list.iter().map(|it| place(it)).collect::<Result<_, _>>()).transpose()?;
        let reserved = |entry: &String| {
            network(entry).ok_or_else(|| AddressRuleError {
                entry: entry.clone(),
                expected: "an address or a network: write 169.254.10.1, 169.254.10.0/24 or fe80::/10",
            })
        };
        Ok(AddressPolicy { allow, allow_reserved: allow_reserved.iter().map(reserved).collect::<Result<_, _>>()? })
    }

    /// Whether `host` may be called at `address`.
    ///
    /// # Errors
    /// The rule that refuses it.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), AddressRule> {
        let plain = reserved::plain(address);
        let is_in = |network: &IpNet| network.contains(&address) || network.contains(&plain);
        match reserved::rule_of(address) {
            Some(rule) if !self.allow_reserved.iter().any(is_in) => return Err(rule),
            Some(_) | None => {}
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let fits = |place: &AllowedPlace| match place {
            AllowedPlace::Network(network) => is_in(network),
            AllowedPlace::Host(allowed) => *allowed == host,
            AllowedPlace::Below(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        };
        match &self.allow {
            Some(places) if !places.iter().any(fits) => Err(AddressRule::NotListed),
            Some(_) | None => Ok(()),
        }
    }
}

fn place(entry: &str) -> Result<AllowedPlace, AddressRuleError> {
    if let Some(network) = network(entry) {
        return Ok(AllowedPlace::Network(network));
    }
    let (domain, of) = match entry.strip_prefix("*.") {
        Some(domain) => (domain, AllowedPlace::Below as fn(String) -> AllowedPlace),
        None => (entry, AllowedPlace::Host as fn(String) -> AllowedPlace),
    };
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
    // What ends in a number is an address that was written wrongly.
    let ends_in_a_number = domain.rsplit('.').next().is_none_or(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if ends_in_a_number || !domain.chars().all(is_sign) || domain.split('.').any(str::is_empty) {
        let expected = "a host or a network: write payments.example.com, *.example.com or 10.0.0.0/8";
        return Err(AddressRuleError { entry: entry.to_owned(), expected });
    }
    Ok(of(domain))
}

fn network(entry: &str) -> Option<IpNet> {
    IpNet::from_str(entry).ok().or_else(|| IpAddr::from_str(entry).ok().map(IpNet::from))
}

impl RefusedAddress {
    fn explained(&self) -> impl fmt::Display + '_ {
        let RefusedAddress { host, address, rule, .. } = self;
        let at = if *host == address.to_string() { String::new() } else { format!(" of `{host}`") };
        let (rule_name, reason, key) = (rule.as_str(), rule.reason(), rule.key());
        format!(
            "the address {address}{at} is refused by the rule `{rule_name}`: {reason}; nothing was sent. \
             If the participant is there, add it to `{key}` of the configuration and restart the engine"
        )
    }
}
