//! The way of a run's records to the broker.

use super::SelectedRecord;
use futures_util::future::BoxFuture;
use saga_core::id::SagaId;
use saga_kafka::{
    KafkaProducer,
    producer::{DeliveryFailure, DeliveryFailureKind, ProduceOutcome},
};
use std::time::Duration;
use tokio::time::Instant;

/// Between two tries of a record that the broker did not take this time.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// After this time a record that is still not delivered ends the run.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the records go.
#[derive(Clone, Debug)]
pub struct PublishTarget {
    producer: KafkaProducer,
}

/// A record that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {event_id} was not delivered: {failure}")]
pub struct PublishFailure {
    /// `ce_id` of the record.
    pub event_id: String,
    /// What the broker or the client said.
    pub failure: String,
    /// Whether the record itself is at fault, so that another try does not help.
    pub is_permanent: bool,
}

impl PublishTarget {
    /// Records go through `producer`.
    #[must_use]
    pub fn new(producer: KafkaProducer) -> PublishTarget {
        PublishTarget { producer }
    }

    /// Sends the records of one saga, each after the one before it was acknowledged.
    pub(super) fn send_all(
        &self,
        saga: SagaId,
        records: Vec<SelectedRecord>,
    ) -> BoxFuture<'static, (SagaId, Result<Vec<SelectedRecord>, PublishFailure>)> {
        let target = self.clone();
        Box::pin(async move {
            for selected in &records {
                if let Err(undelivered) = target.send(selected).await {
                    let (event_id, is_permanent) = (selected.mark.event_id.clone(), undelivered.kind.is_permanent());
                    let failure = undelivered.to_string();
                    return (saga, Err(PublishFailure { event_id, failure, is_permanent }));
                }
            }
            (saga, Ok(records))
        })
    }

    /// What the broker did not take for now is sent again for a while, under the same `ce_id`.
    async fn send(&self, selected: &SelectedRecord) -> Result<(), DeliveryFailure> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.producer.send(&selected.record).await {
                ProduceOutcome::Delivered { .. } => return Ok(()),
                ProduceOutcome::Undelivered(undelivered) if !helps_to_wait(undelivered.kind) => {
                    return Err(undelivered);
                }
                ProduceOutcome::Undelivered(undelivered) if Instant::now() >= until => return Err(undelivered),
                ProduceOutcome::Undelivered(_) => tokio::time::sleep(TRY_AGAIN).await,
            }
        }
    }
}

/// A topic, a permission or a setting takes a person: the run ends, and goes on with `--resume`.
fn helps_to_wait(kind: DeliveryFailureKind) -> bool {
    match kind {
        DeliveryFailureKind::QueueFull
        | DeliveryFailureKind::NotSent
        | DeliveryFailureKind::TimedOut
        | DeliveryFailureKind::Unknown => true,
        DeliveryFailureKind::TooLarge
        | DeliveryFailureKind::Invalid
        | DeliveryFailureKind::Refused
        | DeliveryFailureKind::UnknownTopic
        | DeliveryFailureKind::Unauthorized => false,
    }
}
