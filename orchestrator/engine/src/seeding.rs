//! Journals of many open sagas, as a stopped engine left them: benchmarks and tests of recovery begin with them.
//!
//! The state machine makes the decisions and the codec the rows, so that a seeded journal is one that an engine could
//! have written.

#[cfg(test)]
pub(crate) mod fixture;

use crate::{
    journal::{PlanCache, codec::RowEncodeError},
    row, unguarded,
};
use saga_base::clock::EngineClock;
use saga_core::{
    command::GuardKind,
    decide::{self, AdmissionVerdict, DecisionContext, DecisionOutcome},
    event::{SagaDecision, TriggerRecord},
    id::{SagaId, ShardId},
    input::{SagaInput, SagaStart},
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use saga_event_store::{AppendOutcome, EventStore, ShardEpoch, StreamAppend};
use std::{sync::Arc, time::Duration};

/// Sagas of one batch: one row of each is a transaction.
const BATCH: u32 = 512;
/// Transactions that the seeding runs at the same time.
const WRITERS: u32 = 2;
/// How long ago the sagas started: longer than what they wait for.
const AGO: Duration = Duration::from_secs(3600);
/// When their first step, a wait, was over.
const WAITED: Duration = Duration::from_secs(60);

/// What the seeded sagas wait for. The first step of their definition is a `wait` of one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedState {
    /// The end of that wait, which has come.
    DueTime,
    /// The breaker of the participant of the second step.
    RefusedByBreaker,
    /// The answer to the command of the second step, which was sent.
    AwaitedAnswer,
}

/// The journals could not be made. Those that were written stay.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The store did not take a definition.
    #[error(transparent)]
    Plan(#[from] crate::journal::PlanError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] saga_event_store::StoreError),
    /// A row could not be read back, so it was not written.
    #[error(transparent)]
    Row(#[from] RowEncodeError),
    /// Another engine claimed a shard, or wrote under the same key.
    #[error("the store did not commit a row: {0:?}")]
    NotCommitted(AppendOutcome),
    /// The definition does not begin with a `wait` of one minute.
    #[error("the wait is not over after a minute: {0}")]
    NoWait(String),
    /// A task of the writers panicked.
    #[error("a writer ended early: {0}")]
    Writer(#[from] tokio::task::JoinError),
}

/// Writes `sagas` journals of `plan`, whose sagas are in `state`, with events that `trigger` makes of their keys.
/// Claims all shards of the store: no engine may work on it.
///
/// # Errors
/// [`SeedError`].
pub async fn seed(
    store: &Arc<dyn EventStore>,
    plan: &Arc<SagaPlan>,
    state: SeedState,
    sagas: u32,
    trigger: fn(&str) -> TriggerRecord,
) -> Result<(), SeedError> {
    PlanCache::default().publish(store.as_ref(), Arc::clone(plan)).await?;
    let seeder = Arc::new(JournalSeeder::claim(store, Arc::clone(plan), state, trigger).await?);
    let writers = (0..WRITERS).map(|writer| {
        let seeder = Arc::clone(&seeder);
        tokio::spawn(async move { seeder.write(writer, sagas).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok(())
}

struct JournalSeeder {
    store: Arc<dyn EventStore>,
    plan: Arc<SagaPlan>,
    state: SeedState,
    trigger: fn(&str) -> TriggerRecord,
    epochs: Vec<ShardEpoch>,
    run: u64,
    began: Timestamp,
}

impl JournalSeeder {
    async fn claim(
        store: &Arc<dyn EventStore>,
        plan: Arc<SagaPlan>,
        state: SeedState,
        trigger: fn(&str) -> TriggerRecord,
    ) -> Result<JournalSeeder, SeedError> {
        let mut epochs = Vec::new();
        for shard in 0..store.identity().shards {
            epochs.push(store.claim(shard, "seeding").await?);
        }
        let began = EngineClock::Wall.now().minus(AGO);
        Ok(JournalSeeder { store: Arc::clone(store), plan, state, trigger, epochs, run: fastrand::u64(..), began })
    }

    /// Writes every [`WRITERS`]th batch, beginning with the one of this writer's number.
    async fn write(&self, writer: u32, sagas: u32) -> Result<(), SeedError> {
        for first in (0..sagas).step_by(BATCH as usize).skip(writer as usize).step_by(WRITERS as usize) {
            let all = first..sagas.min(first.saturating_add(BATCH));
            let made = all.map(|number| self.journal(number)).collect::<Result<Vec<_>, SeedError>>()?;
            let rows = made.iter().map(Vec::len).max().unwrap_or_default();
            for row in 0..rows {
                let batch: Vec<StreamAppend> = made.iter().filter_map(|rows| rows.get(row)).cloned().collect();
                self.append(&batch).await?;
            }
        }
        Ok(())
    }

    async fn append(&self, batch: &[StreamAppend]) -> Result<(), SeedError> {
        let answers = self.store.append(batch).await?;
        match answers.into_iter().find(|answer| *answer != AppendOutcome::Committed) {
            Some(other) => Err(SeedError::NotCommitted(other)),
            None => Ok(()),
        }
    }

    /// The rows of one saga. No two start at the same moment, because wait queues go by age.
    fn journal(&self, number: u32) -> Result<Vec<StreamAppend>, SeedError> {
        let began = self.began.plus(Duration::from_millis(number.into()));
        let name = &self.plan.definition.name;
        let key = format!("{:016x}-{number}", self.run);
        let shard = ShardId::of(name, &key, self.store.identity().shards);
        let id = SagaId::new(began, shard, fastrand::u64(..));
        let start = SagaStart { key: key.clone(), trigger: (self.trigger)(&key), traceparent: None };
        let (started, mut state) =
            decided_at(began, self.state, |context| decide::start(&self.plan, id, start, context));
        let mut rows = vec![self.row(shard, &state, &started)?];
        match self.state {
            SeedState::DueTime => {}
            SeedState::RefusedByBreaker | SeedState::AwaitedAnswer => {
                let decision = self.end_of_wait(began.plus(WAITED), &mut state)?;
                rows.push(self.row(shard, &state, &decision)?);
            }
        }
        Ok(rows)
    }

    fn end_of_wait(&self, at: Timestamp, state: &mut SagaState) -> Result<SagaDecision, SeedError> {
        let outcome =
            decided_at(at, self.state, |context| decide::decide(&self.plan, state, &SagaInput::TimeReached, context));
        match outcome {
            Ok(DecisionOutcome::Decided(decision)) => Ok(decision),
            other => Err(SeedError::NoWait(format!("{other:?}"))),
        }
    }

    fn row(&self, shard: ShardId, state: &SagaState, decision: &SagaDecision) -> Result<StreamAppend, SeedError> {
        let epoch = self.epochs[usize::from(shard.0)];
        Ok(row::showing(row::ShardWriter { shard, epoch }, &self.plan, state, decision)?)
    }
}

fn decided_at<T>(now: Timestamp, state: SeedState, decide: impl FnOnce(&mut DecisionContext<'_>) -> T) -> T {
    let admission = match state {
        SeedState::DueTime | SeedState::AwaitedAnswer => AdmissionVerdict::Admitted,
        SeedState::RefusedByBreaker => AdmissionVerdict::Refused { guard: GuardKind::Breaker, not_before: now },
    };
    unguarded::decided_at(now, fastrand::u64(..), admission, decide)
}
