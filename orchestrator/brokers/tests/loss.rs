//! A client whose broker says that there is none, as one does that has no session with its controller.

#[path = "loss/broker.rs"]
mod broker;

use broker::{Broker, TOPIC};
use rdkafka::{
    ClientConfig,
    client::{Client, ClientContext},
    producer::{BaseProducer, Producer},
};
use saga_brokers::{BootstrapRefresher, BrokerCheckResult};
use std::time::{Duration, Instant};

/// For one question to a broker of this process.
const WITHIN: Duration = Duration::from_secs(30);

/// Between two looks, as in a program that looks after its clients.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Left to itself a client finds back three times of four, by the order in which its threads come to run: never so
/// often in a row.
const LOSSES: usize = 20;

#[test]
fn a_client_that_is_told_of_no_broker_is_noticed_and_finds_it_again_each_time() {
    let broker = Broker::start().expect("a broker");
    let servers = broker.address().to_string();
    let client: BaseProducer = ClientConfig::new().set("bootstrap.servers", &servers).create().expect("a client");
    let client = client.client();
    let mut brokers = BootstrapRefresher::new(&servers);
    for _ in 0..LOSSES {
        finds_one(client, &mut brokers);
        assert_eq!(brokers.check(client), BrokerCheckResult::Healthy);

        broker.list_nobody();
        // The client asks by itself, too. If it was told by that answer, it has no broker left to ask here.
        if let Ok(told) = client.fetch_metadata(Some(TOPIC), LOOK_EVERY) {
            assert_eq!(told.brokers().len(), 0);
        }
        assert_eq!(brokers.check(client), BrokerCheckResult::Lost);
        broker.list_itself();
    }
}

fn finds_one<C: ClientContext>(client: &Client<C>, brokers: &mut BootstrapRefresher) {
    let give_up = Instant::now() + WITHIN;
    while let Err(error) = client.fetch_metadata(Some(TOPIC), LOOK_EVERY) {
        assert!(Instant::now() < give_up, "no broker is found: {error}");
        brokers.check(client);
    }
}
