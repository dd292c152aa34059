//! Records out. Sending never blocks; what became of a record is told by its delivery report and by nothing else.
//!
//! A broker refuses a whole batch for one record in it: a refused record is sent again alone before the refusal is
//! believed. So two records of one partition that are sent at once may arrive in another order.
//!
//! Dropping the future of a send does not take the record back: it may still arrive.

mod client;
mod outcome;
mod pool;
#[cfg(test)]
mod tests;

pub use outcome::{DeliveryFailure, DeliveryFailureKind, ProduceOutcome};
pub use pool::TopicBatchLimits;

use super::settings::KafkaSettings;
use client::ProducerClient;
use pool::{BatchSizeClass, ProducerPool};
use saga_wire::record::OutgoingRecord;
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// How long a full queue is waited for before the record counts as not sent.
const QUEUE_WAIT: Duration = Duration::from_secs(1);

/// How often a full queue is tried again: about as long as a batch takes.
const QUEUE_RETRY: Duration = Duration::from_millis(5);

/// The producer cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the producer of Kafka")]
pub struct ProducerError(#[from] rdkafka::error::KafkaError);

/// Handle of one producer, cheap to clone. If a client of it dies of a fatal error it is made anew inside.
#[derive(Clone, Debug)]
pub struct KafkaProducer {
    pool: Arc<ProducerPool>,
}

impl KafkaProducer {
    /// Starts a producer. Does not wait for the broker.
    ///
    /// # Errors
    /// The client refuses the settings.
    pub fn start(settings: &KafkaSettings) -> Result<KafkaProducer, ProducerError> {
        Ok(KafkaProducer { pool: ProducerPool::start(settings.producer())? })
    }

    /// Sends a record and waits for its delivery report; for room in the client's queue it waits a second at most. A
    /// refusal that may be of its batch is not believed: the record is sent again alone, and what the broker says then
    /// is the outcome.
    pub async fn send(&self, record: &OutgoingRecord) -> ProduceOutcome {
        let class = self.pool.class_of(&record.topic);
        let outcome = self.send_in(class, record).await;
        match outcome {
            ProduceAttempt::Refused(refused) if class != BatchSizeClass::Single => {
                self.send_alone(class, &refused, record).await
            }
            ProduceAttempt::Refused(refused) => ProduceOutcome::Undelivered(refused),
            ProduceAttempt::Ended(outcome) => outcome,
        }
    }

    /// Batches of a topic stay below its limit from now on: the largest that it takes, in bytes, by topic. Of a topic
    /// that is left out nothing is known, and nothing changes.
    pub fn set_topic_limits(&self, limits: &TopicBatchLimits) {
        self.pool.set_topic_limits(limits);
    }

    /// What `topic` takes at most, in bytes, as far as that was learnt.
    #[must_use]
    pub fn limit(&self, topic: &str) -> Option<usize> {
        self.pool.limit(topic)
    }

    /// The topics that were written to so far, whose limits are worth knowing.
    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        self.pool.topics()
    }

    /// Returns when a topic is written to for the first time, or has refused a batch that its known limit allows.
    pub(crate) async fn limits_wanted(&self) {
        self.pool.limits_wanted().await;
    }

    /// Waits until everything that was sent has its delivery report; false if the deadline came first.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let clients = self.pool.clients();
        let flush = move || {
            let end = std::time::Instant::now() + deadline;
            let left = || end.saturating_duration_since(std::time::Instant::now());
            let flushed: Vec<bool> = clients.iter().map(|client| client.flush(left())).collect();
            flushed.into_iter().all(|in_time| in_time)
        };
        tokio::task::spawn_blocking(flush).await.unwrap_or(false)
    }

    async fn send_alone(
        &self,
        class: BatchSizeClass,
        refused: &DeliveryFailure,
        record: &OutgoingRecord,
    ) -> ProduceOutcome {
        metrics::counter!("saga_kafka_sent_alone_total", "topic" => record.topic.to_string()).increment(1);
        let outcome = match self.send_in(BatchSizeClass::Single, record).await {
            ProduceAttempt::Refused(refused) => ProduceOutcome::Undelivered(refused),
            ProduceAttempt::Ended(outcome) => outcome,
        };
        if outcome.is_delivered() && refused.kind == DeliveryFailureKind::TooLarge {
            self.pool.use_smaller_batches(&record.topic, class);
        }
        outcome
    }

    async fn send_in(&self, class: BatchSizeClass, record: &OutgoingRecord) -> ProduceAttempt {
        let client = match self.pool.client(class).await {
            Ok(client) => client,
            Err(not_made) => return ProduceAttempt::Ended(ProduceOutcome::Undelivered(not_made)),
        };
        match enqueue(&client, record).await {
            Ok(report) => ProduceAttempt::reported(report.await.unwrap_or_else(|_| lost())),
            Err(refused) => ProduceAttempt::Ended(ProduceOutcome::Undelivered(refused)),
        }
    }
}

/// What is known of a record after one sending of it.
enum ProduceAttempt {
    /// The broker refused it, or only the batch that it was in.
    Refused(DeliveryFailure),
    /// What became of it.
    Ended(ProduceOutcome),
}

impl ProduceAttempt {
    fn reported(outcome: ProduceOutcome) -> ProduceAttempt {
        match outcome {
            ProduceOutcome::Undelivered(undelivered) if undelivered.kind.may_be_of_batch() => {
                ProduceAttempt::Refused(undelivered)
            }
            ProduceOutcome::Undelivered(_) | ProduceOutcome::Delivered { .. } => ProduceAttempt::Ended(outcome),
        }
    }
}

/// Hands a record to the client, waiting a moment for room in its queue. What is refused here certainly did not leave.
async fn enqueue(
    client: &Arc<ProducerClient>,
    record: &OutgoingRecord,
) -> Result<oneshot::Receiver<ProduceOutcome>, DeliveryFailure> {
    let give_up = Instant::now() + QUEUE_WAIT;
    loop {
        let (report, reported) = oneshot::channel();
        match client.send(record, report) {
            Ok(()) => return Ok(reported),
            Err(refused) if refused.kind == DeliveryFailureKind::QueueFull && Instant::now() < give_up => {
                tokio::time::sleep(QUEUE_RETRY).await;
            }
            Err(refused) => return Err(refused),
        }
    }
}

fn lost() -> ProduceOutcome {
    ProduceOutcome::lost("the producer was closed before the delivery report came")
}
