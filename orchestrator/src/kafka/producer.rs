//! Records out. Sending never blocks; what became of a record is told by its delivery report and by nothing else.
//!
//! Dropping a [`Sent`] does not take the record back: it may still arrive.

mod live;
mod outcome;

pub use outcome::{Outcome, Undelivered, UndeliveredKind};

use super::{record::Outgoing, settings::Settings};
use live::Live;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::oneshot, time::Instant};

/// How long a full queue is waited for before the record counts as not sent.
const QUEUE_WAIT: Duration = Duration::from_secs(1);

/// How often a full queue is tried again: about as long as a batch takes.
const QUEUE_RETRY: Duration = Duration::from_millis(5);

/// The producer cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the producer of Kafka")]
pub struct Error(#[from] rdkafka::error::KafkaError);

/// Handle of one producer, cheap to clone. If the client dies of a fatal error it is made anew inside.
#[derive(Clone, Debug)]
pub struct Producer {
    live: Arc<Live>,
}

/// A record that is on its way; resolves to what became of it.
#[derive(Debug)]
#[must_use = "only the delivery report tells what became of the record"]
pub struct Sent(oneshot::Receiver<Outcome>);

impl Producer {
    /// Starts a producer. Does not wait for the broker.
    ///
    /// # Errors
    /// The client refuses the settings.
    pub fn start(settings: &Settings) -> Result<Producer, Error> {
        Ok(Producer { live: Live::start(settings.producer())? })
    }

    /// Hands a record to the client; returns at once.
    ///
    /// # Errors
    /// It was refused here, so certainly nothing was sent. [`UndeliveredKind::QueueFull`] may pass soon.
    pub fn try_send(&self, record: &Outgoing) -> Result<Sent, Undelivered> {
        let (report, reported) = oneshot::channel();
        self.live.send(record, report)?;
        Ok(Sent(reported))
    }

    /// Hands a record to the client, waiting up to a second for room in its queue.
    ///
    /// # Errors
    /// As [`Producer::try_send`].
    pub async fn enqueue(&self, record: &Outgoing) -> Result<Sent, Undelivered> {
        let give_up = Instant::now() + QUEUE_WAIT;
        loop {
            match self.try_send(record) {
                Err(refused) if refused.kind == UndeliveredKind::QueueFull && Instant::now() < give_up => {
                    tokio::time::sleep(QUEUE_RETRY).await;
                }
                answer => return answer,
            }
        }
    }

    /// Sends a record and waits for its delivery report.
    pub async fn send(&self, record: &Outgoing) -> Outcome {
        match self.enqueue(record).await {
            Ok(sent) => sent.await,
            Err(refused) => Outcome::Undelivered(refused),
        }
    }

    /// Waits until everything that was sent has its delivery report; false if the deadline came first.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let live = self.live.clone();
        tokio::task::spawn_blocking(move || live.flush(deadline)).await.unwrap_or(false)
    }

    /// How often the client had to be made anew.
    #[must_use]
    pub fn recreations(&self) -> u64 {
        self.live.recreations()
    }
}

impl Future for Sent {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let lost = || Outcome::lost("the producer was closed before the delivery report came");
        Pin::new(&mut self.0).poll(context).map(|report| report.unwrap_or_else(|_| lost()))
    }
}
