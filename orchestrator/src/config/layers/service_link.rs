//! Service links: variables that Kubernetes sets in every container for each service of the namespace. Those of a
//! service `saga` or `saga-store` have our prefix.

use std::net::IpAddr;

/// Protocols of a service's ports.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether a variable has the name and the value of a service link. A variable with only such a name is not ignored: it
/// may be a typing error.
pub(super) fn is_one(name: &str, value: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") {
        return is_ip(value);
    }
    if let Some((_, named)) = name.split_once("_SERVICE_PORT") {
        return (named.is_empty() || named.starts_with('_')) && is_port(value);
    }
    if name.ends_with("_PORT") && is_address(value) {
        return true;
    }
    is_of_port(name, value)
}

/// Whether `value` looks like `tcp://10.0.0.11:6379`.
fn is_address(value: &str) -> bool {
    let Some((protocol, address)) = value.split_once("://") else { return false };
    let is_protocol = PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol));
    is_protocol && address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port))
}

/// `SAGA_PORT_80_TCP`, and what follows it: `_PROTO`, `_PORT`, `_ADDR`.
fn is_of_port(name: &str, value: &str) -> bool {
    let mut parts = name.rsplit('_');
    let last = parts.next().unwrap_or_default();
    let (protocol, fits) = match last {
        "PROTO" => (parts.next(), PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(value))),
        "PORT" => (parts.next(), is_port(value)),
        "ADDR" => (parts.next(), is_ip(value)),
        protocol => (Some(protocol), is_address(value)),
    };
    let of_port = protocol.is_some_and(|protocol| PROTOCOLS.contains(&protocol));
    fits && of_port && parts.next().is_some_and(is_port) && parts.next() == Some("PORT")
}

fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}
