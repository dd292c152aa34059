//! Starts that somebody asks the engine itself for. They are judged like records of the definition's topic, and go the
//! same way to the shard of their key.

use super::{
    act_sender::PATIENCE,
    active_config::ActiveConfigCell,
    definition_pauses::DefinitionPause,
    idempotency,
    journal::JournalAccess,
    message::{MessageOutcome, MessageReceipt},
    router::MessageSource,
    row::payload_hash,
    trigger_intake::TriggerIntake,
};
use saga_base::clock::EngineClock;
use saga_core::{direct_start::DirectStart, id::SagaId, input::SagaStart, state::SagaPlan};
use saga_event_store::{ERASED_HASH, StoreError, StreamKeyHolder};
use saga_wire::{
    KafkaRecord, PayloadSchema,
    direct::DirectTrigger,
    poison::{PoisonCode, PoisonDiagnosis},
    trigger::{self, TriggerOutcome},
};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

/// Starts of this engine that may be on their way to their shards: each has an event of up to 1 MiB in memory.
pub const MOST_STARTS: usize = 256;
/// The time between two looks at the store when another engine owns the shard.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What became of a start within [`PATIENCE`].
#[derive(Clone, Debug, PartialEq)]
pub enum StartOutcome {
    /// This saga began.
    Started(KeyedSaga),
    /// The same event had started this saga before, or the same request had: nothing was done again.
    Repeated(KeyedSaga),
    /// Another event has started the saga that has the key.
    OtherPayload(KeyedSaga),
    /// The start is on its way to the owner of this key's shard.
    Accepted(String),
    /// The definition makes this key of the event, not the one that the request names.
    OtherKey(String),
    /// The definition does not want the event.
    Unwanted,
    /// As a record the event would be a dead letter.
    Poison(PoisonDiagnosis),
    /// The definition starts nothing for now.
    Paused(DefinitionPause),
    /// No definition of this name starts sagas on this engine.
    UnknownDefinition,
    /// Nothing began, for this reason.
    Refused(String),
    /// The start was not sent, because [`MOST_STARTS`] starts are on their way.
    TooMany,
}

/// A saga and its business key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedSaga {
    /// The saga's id; `None`: the key is taken by a stream that is no saga.
    pub id: Option<SagaId>,
    /// The key that it has.
    pub key: String,
}

/// Brings starts to their shards. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct StartSender {
    journal: JournalAccess,
    intake: TriggerIntake,
    config: Arc<ActiveConfigCell>,
    clock: EngineClock,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// A start that the definition wants.
#[derive(Debug)]
struct WantedStart {
    plan: Arc<SagaPlan>,
    start: SagaStart,
    record: Arc<KafkaRecord>,
}

impl StartSender {
    pub(crate) fn new(
        journal: JournalAccess,
        intake: TriggerIntake,
        config: Arc<ActiveConfigCell>,
        (clock, tasks): (EngineClock, TaskTracker),
    ) -> StartSender {
        StartSender { journal, intake, config, clock, permits: Arc::new(Semaphore::new(MOST_STARTS)), tasks }
    }

    /// Judges what is asked for, brings it to the owner of its shard and waits for the outcome. If the owner crashes
    /// before the commit, a start in its queue is lost, and the caller has at most `Accepted` for it. The business key
    /// lets a repeat begin the saga then, and find it otherwise.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn send(&self, definition: &str, asked: &DirectTrigger) -> Result<StartOutcome, StoreError> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return Ok(StartOutcome::TooMany) };
        let wanted = match self.judged(definition, asked) {
            Ok(wanted) => wanted,
            Err(refused) => return Ok(refused),
        };
        let (name, key) = (wanted.plan.definition.name.clone(), wanted.start.key.clone());
        if let Some(holder) = self.journal.store().key_holder(&name, &key).await? {
            return Ok(taken(&holder, &wanted.start));
        }
        if let Some(pause) = self.intake.pause_of(&name) {
            return Ok(StartOutcome::Paused(pause));
        }
        let until = Instant::now() + PATIENCE;
        let (reply, answer) = oneshot::channel();
        let (intake, sent) = (self.intake.clone(), wanted.start.clone());
        // A task of its own: a start whose caller does not wait any more is brought to its shard all the same.
        self.tasks.spawn(async move {
            let way = (MessageReceipt::Reply(reply), MessageSource::Outside);
            intake.begin(&wanted.plan, sent, &wanted.record, way).await;
            drop(permit);
        });
        match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(MessageOutcome::Forwarded)) => self.begun_elsewhere(&name, &wanted.start, until).await,
            Ok(Ok(outcome)) => Ok(settled(key, outcome)),
            Ok(Err(_)) | Err(_) => Ok(StartOutcome::Accepted(key)),
        }
    }

    fn judged(&self, definition: &str, asked: &DirectTrigger) -> Result<WantedStart, StartOutcome> {
        let config = self.config.keep();
        let plan = config.catalog.named(definition).ok_or(StartOutcome::UnknownDefinition)?;
        let record = asked.record(&plan.definition.trigger, number_of(&asked.start.id), self.clock.now());
        let definitions = std::slice::from_ref(&plan.definition);
        let judged = trigger::evaluate(&record, &PayloadSchema::Unneeded, definitions).pop();
        let start = match judged.map(|judged| judged.disposition) {
            Some(TriggerOutcome::Start(start)) => *start,
            Some(TriggerOutcome::Poison(poison)) => return Err(StartOutcome::Poison(poison)),
            Some(TriggerOutcome::Unwanted | TriggerOutcome::Replayed) | None => return Err(StartOutcome::Unwanted),
        };
        match &asked.key {
            Some(key) if *key != start.key => Err(StartOutcome::OtherKey(start.key)),
            Some(_) | None => Ok(WantedStart { plan: Arc::clone(plan), start, record: Arc::new(record) }),
        }
    }

    /// Another engine owns the shard, so the store is the only place that shows the outcome.
    async fn begun_elsewhere(&self, name: &str, start: &SagaStart, until: Instant) -> Result<StartOutcome, StoreError> {
        while Instant::now() < until {
            if let Some(holder) = self.journal.store().key_holder(name, &start.key).await? {
                return Ok(self.found(&holder, start).await);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(StartOutcome::Accepted(start.key.clone()))
    }

    /// The saga keeps which request started it; one that cannot be read yet has the key all the same.
    async fn found(&self, holder: &StreamKeyHolder, start: &SagaStart) -> StartOutcome {
        let asked = DirectStart::of(&start.trigger);
        let Some(saga) = SagaId::from_uuid(holder.stream) else { return taken(holder, start) };
        match self.journal.read(saga).await {
            Ok(Some(recorded)) if DirectStart::of(&recorded.state.trigger) == asked => {
                StartOutcome::Started(KeyedSaga { id: Some(saga), key: start.key.clone() })
            }
            Ok(_) | Err(_) => taken(holder, start),
        }
    }
}

/// A number by which the request is told from others, where records have their offsets.
fn number_of(id: &str) -> i64 {
    let hash: [u8; 32] = Sha256::digest(id).into();
    hash[..7].iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// What started an erased saga is not known any more.
fn taken(holder: &StreamKeyHolder, start: &SagaStart) -> StartOutcome {
    let is_known = holder.payload_hash != ERASED_HASH;
    let other_payload = is_known && holder.payload_hash != payload_hash(&start.trigger.event);
    idempotency::duplicate(other_payload);
    duplicate(start.key.clone(), SagaId::from_uuid(holder.stream), other_payload)
}

fn duplicate(key: String, id: Option<SagaId>, other_payload: bool) -> StartOutcome {
    let saga = KeyedSaga { id, key };
    if other_payload { StartOutcome::OtherPayload(saga) } else { StartOutcome::Repeated(saga) }
}

fn settled(key: String, outcome: MessageOutcome) -> StartOutcome {
    match outcome {
        MessageOutcome::Started(id) => StartOutcome::Started(KeyedSaga { id: Some(id), key }),
        MessageOutcome::Duplicate { saga, other_payload } => duplicate(key, Some(saga), other_payload),
        MessageOutcome::Refused(reason) => StartOutcome::Refused(reason),
        MessageOutcome::Ignored(reason) => match PoisonCode::parse(&reason) {
            Some(code) => StartOutcome::Poison(PoisonDiagnosis::new(code, "the shard could not begin the saga")),
            None => StartOutcome::Refused(reason),
        },
        MessageOutcome::UnknownSaga => {
            StartOutcome::Refused("the key belongs to a saga that cannot be read".to_owned())
        }
        MessageOutcome::Applied | MessageOutcome::Forwarded => StartOutcome::Accepted(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_number_whenever_it_is_sent() {
        assert_eq!(number_of("a"), number_of("a"));
        assert_ne!(number_of("a"), number_of("b"));
        assert!(number_of("a") >= 0);
    }

    #[test]
    fn what_died_at_the_shard_has_the_code_of_its_letter() {
        let died = settled("k".into(), MessageOutcome::Ignored(PoisonCode::Crash.to_string()));
        assert!(matches!(died, StartOutcome::Poison(poison) if poison.code == PoisonCode::Crash));
        let other = settled("k".into(), MessageOutcome::Ignored("unwanted".into()));
        assert_eq!(other, StartOutcome::Refused("unwanted".into()));
    }
}
