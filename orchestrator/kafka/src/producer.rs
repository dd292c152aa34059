//! Records out. Sending never blocks. The delivery report alone says what became of a record.
//!
//! A broker refuses a whole batch because of one record in it. So a refused record is sent again alone before the
//! refusal is believed, and two records of one partition that are sent at the same time may arrive in another order.
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

/// How long a record waits for room in the client's queue before it counts as not sent.
const QUEUE_WAIT: Duration = Duration::from_secs(1);

/// Pause before a full queue is tried again: about the time that a batch takes.
const QUEUE_RETRY: Duration = Duration::from_millis(5);

/// The client refuses its settings.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the producer of Kafka")]
pub struct ProducerError(#[from] rdkafka::error::KafkaError);

/// Handle of one producer, cheap to clone. A client inside that has a fatal error is replaced.
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

    /// Sends a record and waits for its delivery report. Waits a second at most for room in the client's queue. A
    /// refusal that may concern another record of the batch is not believed: the record is sent again alone, and the
    /// second outcome counts.
    pub async fn send(&self, record: &OutgoingRecord) -> ProduceOutcome {
        self.send_telling(record, || {}).await
    }

    /// The same; calls `queued` when the record is in the client's queue, or has no place in it. What is sent to its
    /// topic after that comes after it, unless it is refused.
    pub async fn send_telling(&self, record: &OutgoingRecord, queued: impl FnOnce() + Send) -> ProduceOutcome {
        let class = self.pool.class_of(&record.topic);
        let outcome = self.send_in(class, record, queued).await;
        match outcome {
            ProduceAttempt::Refused(refused) if class != BatchSizeClass::Single => {
                self.send_alone(class, &refused, record).await
            }
            ProduceAttempt::Refused(refused) => ProduceOutcome::Undelivered(refused),
            ProduceAttempt::Ended(outcome) => outcome,
        }
    }

    /// Keeps the batches of each topic below its limit in bytes from now on. Topics that are not in `limits` keep what
    /// is known of them.
    pub fn set_topic_limits(&self, limits: &TopicBatchLimits) {
        self.pool.set_topic_limits(limits);
    }

    /// The largest batch, in bytes, that `topic` accepts. `None`: not known yet.
    #[must_use]
    pub fn limit(&self, topic: &str) -> Option<usize> {
        self.pool.limit(topic)
    }

    /// The topics that were written to so far.
    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        self.pool.topics()
    }

    /// Returns when a topic is written to for the first time, or has refused a batch that its known limit allows.
    pub(crate) async fn limits_wanted(&self) {
        self.pool.limits_wanted().await;
    }

    /// Waits until everything that was sent has its delivery report. False if the deadline came first.
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
        let outcome = match self.send_in(BatchSizeClass::Single, record, || {}).await {
            ProduceAttempt::Refused(refused) => ProduceOutcome::Undelivered(refused),
            ProduceAttempt::Ended(outcome) => outcome,
        };
        if outcome.is_delivered() && refused.kind == DeliveryFailureKind::TooLarge {
            self.pool.use_smaller_batches(&record.topic, class);
        }
        outcome
    }

    async fn send_in(
        &self,
        class: BatchSizeClass,
        record: &OutgoingRecord,
        queued: impl FnOnce() + Send,
    ) -> ProduceAttempt {
        let client = match self.pool.client(class).await {
            Ok(client) => client,
            Err(not_made) => return ProduceAttempt::Ended(ProduceOutcome::Undelivered(not_made)),
        };
        let reported = enqueue(&client, record).await;
        queued();
        match reported {
            Ok(report) => ProduceAttempt::reported(report.await.unwrap_or_else(|_| lost())),
            Err(refused) => ProduceAttempt::Ended(ProduceOutcome::Undelivered(refused)),
        }
    }
}

/// What is known of a record after it was sent once.
enum ProduceAttempt {
    /// The broker refused it, or only the batch that it was in.
    Refused(DeliveryFailure),
    /// The final outcome of the record.
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

/// Gives a record to the client, and waits a moment for room in its queue. A record that is refused here was certainly
/// not written.
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
