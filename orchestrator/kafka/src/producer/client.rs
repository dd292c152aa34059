//! The client behind the handle, and its replacement after a fatal error.

use super::outcome::{DeliveryFailure, DeliveryFailureKind, ProduceOutcome};
use crate::client_form;
use crate::{brokers::ClientRebootstrap, consumer::log};
use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use saga_wire::record::OutgoingRecord;
use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::sync::oneshot;

/// The client. Sending takes the lock for reading, for microseconds; only a replacement takes it for writing.
pub(super) struct ProducerClient {
    config: ClientConfig,
    client: RwLock<Option<RdkafkaProducer>>,
    brokers: ClientRebootstrap,
    broken: Arc<AtomicBool>,
    replacing: AtomicBool,
}

type RdkafkaProducer = ThreadedProducer<DeliveryReports>;

/// Hands delivery reports to those who wait for them.
struct DeliveryReports {
    broken: Arc<AtomicBool>,
}

impl ProducerClient {
    pub(super) fn start(config: ClientConfig) -> KafkaResult<Arc<ProducerClient>> {
        let broken = Arc::new(AtomicBool::new(false));
        let client = RwLock::new(Some(create(&config, &broken)?));
        let brokers = ClientRebootstrap::with_servers("producer", config.get("bootstrap.servers").unwrap_or_default());
        Ok(Arc::new(ProducerClient { config, client, brokers, broken, replacing: AtomicBool::new(false) }))
    }

    pub(super) fn send(
        self: &Arc<Self>,
        outgoing: &OutgoingRecord,
        report: oneshot::Sender<ProduceOutcome>,
    ) -> Result<(), DeliveryFailure> {
        if self.broken.load(Ordering::Acquire) {
            self.replace();
            return Err(not_sent("the producer had a fatal error and is being replaced"));
        }
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        let Some(client) = client.as_ref() else { return Err(not_sent("the producer is closed")) };
        client.send(native(outgoing, report)).map_err(|(error, _)| {
            self.mark_if_fatal(&error);
            DeliveryFailure::of(&error)
        })
    }

    pub(super) fn flush(&self, deadline: Duration) -> bool {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        client.as_ref().is_none_or(|client| client.flush(deadline).is_ok())
    }

    pub(super) fn check_brokers(&self) {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = client.as_ref() {
            self.brokers.check(client.client());
        }
    }

    fn mark_if_fatal(&self, error: &KafkaError) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.broken.store(true, Ordering::Release);
        }
    }

    /// Replaces the client, once, on a thread: creating one may read files, and dropping one waits for its reports.
    fn replace(self: &Arc<Self>) {
        if self.replacing.swap(true, Ordering::AcqRel) {
            return;
        }
        let live = self.clone();
        let thread = thread::Builder::new().name("kafka-producer-anew".into()).spawn(move || live.replace_now());
        if let Err(error) = thread {
            self.replacing.store(false, Ordering::Release);
            tracing::warn!(%error, "no thread to replace the producer");
        }
    }

    fn replace_now(&self) {
        match create(&self.config, &self.broken) {
            Ok(client) => {
                tracing::warn!("the producer had a fatal error and was replaced");
                let old = self.client.write().unwrap_or_else(PoisonError::into_inner).replace(client);
                // Before the old one is dropped: its last reports must not break the new one.
                self.broken.store(false, Ordering::Release);
                drop(old);
            }
            Err(error) => tracing::warn!(%error, "the producer cannot be replaced yet"),
        }
        self.replacing.store(false, Ordering::Release);
    }
}

/// Dropping the client waits for its thread and its reports: not where the last handle happened to be.
impl Drop for ProducerClient {
    fn drop(&mut self) {
        let client = self.client.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = thread::Builder::new().name("kafka-producer-end".into()).spawn(move || drop(client));
    }
}

impl fmt::Debug for ProducerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerClient").field("broken", &self.broken).finish_non_exhaustive()
    }
}

impl ClientContext for DeliveryReports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log("producer", level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.broken.store(true, Ordering::Release);
        }
        tracing::warn!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for DeliveryReports {
    type DeliveryOpaque = Box<oneshot::Sender<ProduceOutcome>>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(message) => ProduceOutcome::Delivered { partition: message.partition(), offset: message.offset() },
            Err((error, _)) => ProduceOutcome::Undelivered(DeliveryFailure::of(error)),
        };
        // The caller may not wait any more; the record was sent all the same.
        let _ = report.send(outcome);
    }
}

fn create(config: &ClientConfig, broken: &Arc<AtomicBool>) -> KafkaResult<RdkafkaProducer> {
    config.create_with_context(DeliveryReports { broken: broken.clone() })
}

fn not_sent(message: &str) -> DeliveryFailure {
    DeliveryFailure { kind: DeliveryFailureKind::NotSent, message: message.to_owned() }
}

fn native(
    outgoing: &OutgoingRecord,
    report: oneshot::Sender<ProduceOutcome>,
) -> BaseRecord<'_, [u8], [u8], Box<oneshot::Sender<ProduceOutcome>>> {
    let mut record = BaseRecord::with_opaque_to(&outgoing.topic, Box::new(report));
    record.partition = outgoing.partition;
    record.key = outgoing.key.as_deref();
    record.payload = outgoing.value.as_deref();
    record.headers = (!outgoing.headers.is_empty()).then(|| client_form::native_headers(&outgoing.headers));
    record
}
