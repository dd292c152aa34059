//! The way of events to the broker, in the order of each saga.

use super::{EventsTopicStanding, standing};
use crate::{feed::FeedEvent, sending};
use futures_util::{StreamExt, stream};
use saga_kafka::{
    KafkaProducer,
    producer::{DeliveryFailure, DeliveryFailureKind},
};
use saga_resilience::topic_availability::TopicTracker;
use saga_wire::{
    OutgoingRecord,
    cloudevents::{self, JournalEventRecord},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Sagas whose records are on their way at the same time, one of each: enough for full batches, few enough that the
/// records of sagas' own commands do not wait for them.
const SAGAS_IN_FLIGHT: usize = 64;
/// When a record is tried again that the topic refuses: a setting of the topic takes a person.
const REFUSED_AGAIN: Duration = Duration::from_secs(10);

/// Sends events until the broker has them.
pub(super) struct EventSender {
    pub(super) topic: Arc<str>,
    pub(super) producer: KafkaProducer,
    pub(super) topics: Arc<TopicTracker>,
    pub(super) standing: Arc<EventsTopicStanding>,
}

impl EventSender {
    /// Returns when the broker has acknowledged all of them. A record that is sent while the one before it has no
    /// acknowledgement could come before it, so each saga has one record on its way.
    pub(super) async fn send_all(&self, events: Vec<FeedEvent>) {
        let mut sagas = BTreeMap::<String, Vec<FeedEvent>>::new();
        for event in events {
            sagas.entry(event.id.clone()).or_default().push(event);
        }
        let sagas = stream::iter(sagas.into_values());
        sagas.for_each_concurrent(SAGAS_IN_FLIGHT, |events| self.send_in_order(events)).await;
    }

    async fn send_in_order(&self, events: Vec<FeedEvent>) {
        for event in &events {
            self.send(event).await;
            standing::count_sent();
        }
    }

    async fn send(&self, event: &FeedEvent) {
        while let Err(refused) = self.try_send(event).await {
            self.standing.refuses(&name_of(event), &refused.to_string());
            tokio::time::sleep(REFUSED_AGAIN).await;
        }
        self.standing.takes(&name_of(event));
    }

    /// While the topic takes nothing, this waits. An event that is too large goes without its data.
    async fn try_send(&self, event: &FeedEvent) -> Result<(), DeliveryFailure> {
        match self.until_taken(event).await {
            Err(refused) if refused.kind == DeliveryFailureKind::TooLarge => {
                self.until_taken(&event.without_data()).await?;
                standing::count_omitted();
                Ok(())
            }
            sent => sent,
        }
    }

    async fn until_taken(&self, event: &FeedEvent) -> Result<(), DeliveryFailure> {
        sending::until_taken(&self.producer, &self.topics, &record_of(&self.topic, event)).await.map(drop)
    }
}

/// Names the event for ever.
fn name_of(event: &FeedEvent) -> String {
    format!("{}:{}.{}", event.id, event.version, event.index)
}

/// The value is the event as it is in a page of the API.
pub(super) fn record_of(topic: &Arc<str>, event: &FeedEvent) -> OutgoingRecord {
    let body = serde_json::to_value(event).unwrap_or(Value::Null);
    let record = JournalEventRecord {
        saga: &event.id,
        saga_name: event.saga.as_deref(),
        event: &format!("{}.{}", event.version, event.index),
        word: &event.kind,
        body: &body,
        traceparent: None,
        at: event.at.as_deref(),
    };
    cloudevents::journal_event(topic, &record)
}
