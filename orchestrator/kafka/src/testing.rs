//! What tests on a real broker need, in this package and in others.

use crate::KafkaSettings;
use std::io::Write as _;

/// The real broker of this run, if there is one. `None` has been reported; where `CI` is `true` that is a failure.
pub fn real_broker() -> Option<KafkaSettings> {
    let address = std::env::var("SAGA_TEST_KAFKA").ok().filter(|address| !address.is_empty());
    if address.is_none() {
        let thread = std::thread::current();
        let line = format!(
            "NOT RUN: {}: SAGA_TEST_KAFKA is not set; `tests/run` provides it\n",
            thread.name().unwrap_or_default()
        );
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{line}");
        // Written to the stream itself: what is printed is kept from view while a test passes.
        std::io::stderr().write_all(line.as_bytes()).expect("the standard error stream takes a line");
    }
    address.map(|address| KafkaSettings::new(address, unique("saga-")))
}

/// A name that no other test uses, in this run or an earlier one.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::new_v4().simple())
}

/// Creates a topic with these settings, and waits until the broker shows it.
pub async fn create(settings: &KafkaSettings, topic: &str, partitions: i32, config: &[(&str, &str)]) {
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    let admin: AdminClient<_> = settings.client().create().expect("a client");
    let new = config
        .iter()
        .fold(NewTopic::new(topic, partitions, TopicReplication::Fixed(1)), |new, (key, value)| new.set(key, value));
    let results = admin.create_topics(&[new], &AdminOptions::new()).await.expect("the broker answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}
