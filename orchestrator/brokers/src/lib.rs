//! What every client of Kafka here needs and rdkafka does not do: to find a broker again when it has lost every one
//! ([`BootstrapRefresher`]), to read a header whatever its name is ([`header_at`]), and to say why it could not connect
//! ([`last_noted_error`]).
//!
//! A broker that was suspended for longer than its session with the controller lists no brokers, itself included, until
//! it has a new session. librdkafka 2.12 believes that: it removes every broker, its bootstrap servers included, and
//! has no address left that it could ask (<https://github.com/confluentinc/librdkafka/issues/5301>). No setting changes
//! that. Such a client gets its bootstrap servers once more. It keeps all that it has: its membership of the group, its
//! positions, the records that it has to send.
//!
//! This is the only package with unsafe code: rdkafka wraps none of the functions that are needed.

mod headers;
mod noted;
mod visibility;

pub use headers::header_at;
pub use noted::last_noted_error;

use rdkafka::{
    bindings::{rd_kafka_brokers_add, rd_kafka_brokers_learned_ids, rd_kafka_mem_free},
    client::{Client, ClientContext},
};
use std::{ffi::CString, time::Instant};
use visibility::BrokerVisibility;

/// What a check of a client found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerCheckResult {
    /// It knows brokers, or has not had the time to meet one.
    Healthy,
    /// It knew brokers and knows none any more. The bootstrap servers were added again.
    Lost,
    /// It has known no broker for a while. The bootstrap servers were added once more.
    StillLost,
}

/// Checks the brokers of one client, and adds its bootstrap servers again when it has lost every broker.
#[derive(Debug)]
pub struct BootstrapRefresher {
    bootstrap_servers: CString,
    visibility: BrokerVisibility,
}

impl BootstrapRefresher {
    /// For a client that is created now with these bootstrap servers (`host:port`, separated by commas).
    #[must_use]
    pub fn new(bootstrap_servers: &str) -> BootstrapRefresher {
        // A list with a NUL in it makes no client either.
        let bootstrap_servers = CString::new(bootstrap_servers).unwrap_or_default();
        BootstrapRefresher { bootstrap_servers, visibility: BrokerVisibility::new(Instant::now()) }
    }

    /// To be called every second or so, or whenever the client is used. Does not wait for the broker.
    pub fn check<C: ClientContext>(&mut self, client: &Client<C>) -> BrokerCheckResult {
        let found = self.visibility.update(known_brokers(client), Instant::now());
        match found {
            BrokerCheckResult::Healthy => {}
            BrokerCheckResult::Lost | BrokerCheckResult::StillLost => self.add_bootstrap_servers(client),
        }
        found
    }

    #[expect(unsafe_code, reason = "rdkafka does not wrap it")]
    fn add_bootstrap_servers<C: ClientContext>(&self, client: &Client<C>) {
        // SAFETY: the client lives as long as the borrow, the string is terminated and copied by the callee, which may
        // be called from any thread.
        unsafe { rd_kafka_brokers_add(client.native_ptr(), self.bootstrap_servers.as_ptr()) };
    }
}

/// How many brokers the client has learned of from the cluster and not removed since.
#[expect(unsafe_code, reason = "rdkafka does not wrap it")]
fn known_brokers<C: ClientContext>(client: &Client<C>) -> usize {
    let mut count = 0;
    // SAFETY: the client lives as long as the borrow, `count` outlives the call. The list is ours and freed once, with
    // the function that the library has for it; it may be null.
    unsafe {
        let ids = rd_kafka_brokers_learned_ids(client.native_ptr(), &raw mut count);
        rd_kafka_mem_free(client.native_ptr(), ids.cast());
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::{
        config::ClientConfig,
        mocking::MockCluster,
        producer::{BaseProducer, Producer},
    };
    use std::time::Duration;

    const WITHIN: Duration = Duration::from_secs(30);
    /// Nobody listens there.
    const NOWHERE: &str = "127.0.0.1:1";

    fn client(bootstrap_servers: &str) -> BaseProducer {
        ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create().expect("a client")
    }

    #[test]
    fn a_client_that_knows_nobody_finds_the_cluster_when_it_is_told() {
        let cluster = MockCluster::new(3).expect("a cluster");
        let client = client(NOWHERE);
        assert_eq!(known_brokers(client.client()), 0);
        BootstrapRefresher::new(&cluster.bootstrap_servers()).add_bootstrap_servers(client.client());
        client.client().fetch_metadata(None, WITHIN).expect("the cluster answers");
        assert_eq!(known_brokers(client.client()), 3);
    }

    #[test]
    fn a_client_that_knows_the_cluster_is_well() {
        let cluster = MockCluster::new(1).expect("a cluster");
        let client = client(&cluster.bootstrap_servers());
        client.client().fetch_metadata(None, WITHIN).expect("the cluster answers");
        assert_eq!(BootstrapRefresher::new(NOWHERE).check(client.client()), BrokerCheckResult::Healthy);
    }
}
