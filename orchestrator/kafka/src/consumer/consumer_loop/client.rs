//! The client of Kafka that the thread owns, and what is kept with it.

use crate::{brokers::ClientRebootstrap, consumer::context::CallbackContext, settings::KafkaSettings};
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};
use std::{collections::HashMap, sync::Arc};

/// How often the client says how far it has fetched.
const STATISTICS_EVERY_MS: &str = "2000";

/// Touched by the intake thread alone.
pub(in crate::consumer) struct ConsumerClient {
    pub(super) kafka: BaseConsumer<CallbackContext>,
    /// Checked whenever the status is published.
    brokers: ClientRebootstrap,
    /// So that the records of a topic share its name.
    pub(super) names: TopicNames,
    /// The reason of the last refused commit that was logged: the client commits every second.
    logged_refusal: Option<String>,
}

impl ConsumerClient {
    /// A client for `group`, called `name` in the log. Does not wait for the broker.
    pub(in crate::consumer) fn open(
        name: &'static str,
        settings: &KafkaSettings,
        group: &str,
        largest_batch: usize,
    ) -> KafkaResult<ConsumerClient> {
        let mut config = settings.consumer(group, largest_batch);
        config.set("statistics.interval.ms", STATISTICS_EVERY_MS);
        let kafka = config.create_with_context(CallbackContext::new(name))?;
        let brokers = ClientRebootstrap::new(name, settings);
        Ok(ConsumerClient { kafka, brokers, names: TopicNames::default(), logged_refusal: None })
    }

    pub(super) fn check_brokers(&self) {
        self.brokers.check(self.kafka.client());
    }

    /// Logs why a commit was refused: once, until one is refused for another reason.
    pub(super) fn log_refused_commits(&mut self, consumer: &str) {
        let refused = self.kafka.context().take_commit_refused();
        if let Some(reason) = refused.filter(|reason| self.logged_refusal.as_ref() != Some(reason)) {
            tracing::warn!(consumer, reason, "a commit of offsets was refused");
            self.logged_refusal = Some(reason);
        }
    }

    /// Keeps the client until the process ends: dropping it would wait for the broker without a deadline.
    pub(super) fn abandon(self) {
        std::mem::forget(self.kafka);
    }
}

/// Names of topics, each allocated once. There are as many as topics were subscribed to.
#[derive(Debug, Default)]
pub(super) struct TopicNames(HashMap<String, Arc<str>>);

impl TopicNames {
    pub(super) fn intern(&mut self, topic: &str) -> Arc<str> {
        if let Some(known) = self.0.get(topic) {
            return known.clone();
        }
        let new: Arc<str> = topic.into();
        self.0.insert(topic.to_owned(), new.clone());
        new
    }
}
