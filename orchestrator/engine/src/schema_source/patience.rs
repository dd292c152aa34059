//! Schemas for a person who waits for an answer. Records wait for a registry as long as it takes; people do not.

use super::SchemaSource;
use saga_base::sync::UnpoisonedMutex;
use saga_wire::{KafkaRecord, PayloadSchema, PayloadSchemaName};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a person waits for a schema: two requests of the registry's client at their longest. It is less than the
/// time that the API has for an answer.
pub const SCHEMA_PATIENCE: Duration = Duration::from_secs(10);

/// The schema of a record is not known, because the registry did not answer in time. The record is not at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema registry has not answered within {} s{}", SCHEMA_PATIENCE.as_secs(), .reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
pub struct SchemaUnanswered {
    /// What the registry did at the last try.
    pub reason: Option<String>,
}

/// When a person last waited in vain.
pub(super) type WaitedInVain = UnpoisonedMutex<Option<Instant>>;

impl SchemaSource {
    /// As [`SchemaSource::of_record`], but with an end. While an outage lasts, one wait is for all who ask in the
    /// [`SCHEMA_PATIENCE`] after it: a job of many letters does not wait for each.
    ///
    /// # Errors
    /// The registry did not answer in time.
    pub async fn of_record_soon(
        &self,
        record: &KafkaRecord,
        named: Option<PayloadSchemaName>,
    ) -> Result<PayloadSchema, SchemaUnanswered> {
        self.soon(self.of_record(record, named)).await
    }

    /// The same of the schema by which the value of `record` was written, whatever its topic takes.
    ///
    /// # Errors
    /// The registry did not answer in time.
    pub async fn writer_soon(&self, record: &KafkaRecord) -> Result<PayloadSchema, SchemaUnanswered> {
        match PayloadSchemaName::of(record) {
            None => Ok(PayloadSchema::Unneeded),
            Some(name) => self.soon(self.written_by(name)).await,
        }
    }

    async fn soon(&self, asking: impl Future<Output = PayloadSchema>) -> Result<PayloadSchema, SchemaUnanswered> {
        let in_vain = *self.0.in_vain.lock();
        let is_away = in_vain.is_some_and(|at| at.elapsed() < SCHEMA_PATIENCE) && self.outage().is_some();
        // Without any time a schema that is kept is there all the same.
        let patience = if is_away { Duration::ZERO } else { SCHEMA_PATIENCE };
        timeout(patience, asking).await.map_err(|_| {
            if !is_away {
                *self.0.in_vain.lock() = Some(Instant::now());
            }
            SchemaUnanswered { reason: self.outage().map(|outage| outage.reason) }
        })
    }
}
