//! A client that has lost every broker is told where to find them: a client never finds one again by itself. Said and
//! counted once a loss.

use super::settings::KafkaSettings;
use rdkafka::client::{Client, ClientContext};
use saga_base::sync::UnpoisonedMutex;
use saga_brokers::{BootstrapRefresher, BrokerCheckResult};

/// Looks after the brokers of one client.
#[derive(Debug)]
pub(super) struct ClientRebootstrap {
    client: &'static str,
    /// Clients are used on several threads, one at a time or nearly so.
    brokers: UnpoisonedMutex<BootstrapRefresher>,
}

impl ClientRebootstrap {
    /// Of a client that is made now, and by this name in the log and in the metrics.
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
                    "a client knows no broker any more and is told kafka.bootstrapServers again"
                );
            }
        }
    }
}
