//! A client that has lost every broker gets the bootstrap servers again, because it never finds a broker by itself
//! then. Logged and counted once for each loss.

use super::settings::KafkaSettings;
use rdkafka::client::{Client, ClientContext};
use saga_base::sync::UnpoisonedMutex;
use saga_brokers::{BootstrapRefresher, BrokerCheckResult};

/// Checks the brokers of one client.
#[derive(Debug)]
pub(super) struct ClientRebootstrap {
    client: &'static str,
    /// Clients are used on several threads, one at a time or nearly so.
    brokers: UnpoisonedMutex<BootstrapRefresher>,
}

impl ClientRebootstrap {
    /// For a client that is created now; `client` names it in the log and in the metrics.
    pub(super) fn new(client: &'static str, settings: &KafkaSettings) -> ClientRebootstrap {
        ClientRebootstrap::with_servers(client, &settings.bootstrap_servers)
    }

    pub(super) fn with_servers(client: &'static str, bootstrap_servers: &str) -> ClientRebootstrap {
        ClientRebootstrap { client, brokers: UnpoisonedMutex::new(BootstrapRefresher::new(bootstrap_servers)) }
    }

    /// To be called every second or so, or whenever the client is used. Does not wait for the broker.
    pub(super) fn check<C: ClientContext>(&self, client: &Client<C>) {
        let found = self.brokers.lock().check(client);
        match found {
            BrokerCheckResult::Healthy | BrokerCheckResult::StillLost => {}
            BrokerCheckResult::Lost => {
                metrics::counter!("saga_kafka_brokers_lost_total", "client" => self.client).increment(1);
                tracing::warn!(
                    client = self.client,
                    "a client has lost every broker and gets kafka.bootstrapServers again"
                );
            }
        }
    }
}
