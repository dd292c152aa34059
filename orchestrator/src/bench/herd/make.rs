//! Journals of a herd, as an engine that is gone has left them.

use super::{Asked, NAME, WaitingFor};
use crate::{
    engine::{clock::Clock, row},
    journal::Plans,
    startup::Loaded,
};
use anyhow::{Context as _, ensure};
use saga_core::{
    answerable::ALWAYS,
    command::Guard,
    decide::{self, Admission, Context, Outcome},
    event::Decision,
    id::{SagaId, Shard},
    input::{Input, Start},
    state::{Plan, State, Status},
    time::Timestamp,
};
use saga_event_store::{Append, Appended, Epoch, EventStore};
use std::{sync::Arc, time::Duration};
use tracing::info;

/// Sagas of one batch: one row of each is a transaction.
const BATCH: u32 = 512;
/// Transactions at once.
const WRITERS: u32 = 2;
/// How long ago they started: longer than what they wait for.
const AGO: Duration = Duration::from_secs(3600);
/// When their wait was over.
const RESTED: Duration = Duration::from_secs(60);

/// Makes as many sagas as are missing.
pub(crate) async fn fill(store: &Arc<dyn EventStore>, loaded: &Loaded, asked: Asked) -> anyhow::Result<()> {
    let there = open_sagas(store.as_ref()).await?;
    ensure!(there <= asked.sagas, "the store holds {there} open sagas of the herd already");
    let missing = asked.sagas - there;
    if missing == 0 {
        return Ok(());
    }
    info!(there, missing, "journals are made");
    let plan = loaded.plans.first().context("the herd has a definition")?;
    Plans::default().publish(store.as_ref(), Arc::clone(plan)).await?;
    let maker = Arc::new(Maker::claim(store, Arc::clone(plan), asked.waiting_for).await?);
    let writers = (0..WRITERS).map(|writer| {
        let maker = Arc::clone(&maker);
        tokio::spawn(async move { maker.write(writer, missing).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    Ok(())
}

async fn open_sagas(store: &dyn EventStore) -> anyhow::Result<u32> {
    let is_open = |status: &str| status.parse::<Status>().is_ok_and(|status| !status.is_terminal());
    let counts = store.counts().await?.into_iter();
    let open = counts.filter(|(saga, status, _)| saga == NAME && is_open(status)).map(|(.., count)| count);
    u32::try_from(open.sum::<i64>()).context("how many sagas are open")
}

struct Maker {
    store: Arc<dyn EventStore>,
    plan: Arc<Plan>,
    waiting_for: WaitingFor,
    epochs: Vec<Epoch>,
    run: u64,
    began: Timestamp,
}

impl Maker {
    async fn claim(store: &Arc<dyn EventStore>, plan: Arc<Plan>, waiting_for: WaitingFor) -> anyhow::Result<Maker> {
        let mut epochs = Vec::new();
        for shard in 0..store.identity().shards {
            epochs.push(store.claim(shard, "bench").await?);
        }
        let began = Clock::Wall.now().minus(AGO);
        Ok(Maker { store: Arc::clone(store), plan, waiting_for, epochs, run: fastrand::u64(..), began })
    }

    /// Every so many-th batch.
    async fn write(&self, writer: u32, sagas: u32) -> anyhow::Result<()> {
        for first in (0..sagas).step_by(BATCH as usize).skip(writer as usize).step_by(WRITERS as usize) {
            let all = first..sagas.min(first.saturating_add(BATCH));
            let made = all.map(|number| self.make(number)).collect::<anyhow::Result<Vec<_>>>()?;
            let rows = made.iter().map(Vec::len).max().unwrap_or_default();
            for row in 0..rows {
                let batch: Vec<Append> = made.iter().filter_map(|rows| rows.get(row)).cloned().collect();
                let answers = self.store.append(&batch).await?;
                ensure!(answers.iter().all(|answer| *answer == Appended::Committed), "a row was not committed");
            }
        }
        Ok(())
    }

    /// The rows of one saga. No two start at the same moment: lines go by age.
    fn make(&self, number: u32) -> anyhow::Result<Vec<Append>> {
        let began = self.began.plus(Duration::from_millis(number.into()));
        let key = format!("{:016x}-{number}", self.run);
        let shard = Shard::of(NAME, &key, self.store.identity().shards);
        let id = SagaId::new(began, shard, fastrand::u64(..));
        let start = Start { key: key.clone(), trigger: super::super::driver::trigger(&key), traceparent: None };
        let (started, mut state) =
            decided_at(began, self.waiting_for, |context| decide::start(&self.plan, id, start, context));
        let mut rows = vec![self.row(shard, &state, &started)?];
        let rested = began.plus(RESTED);
        match self.waiting_for {
            WaitingFor::Time => {}
            WaitingFor::Breaker | WaitingFor::Answer => {
                let outcome = decided_at(rested, self.waiting_for, |context| {
                    decide::decide(&self.plan, &mut state, &Input::TimeReached, context)
                })?;
                let Outcome::Decided(decision) = outcome else { anyhow::bail!("the wait is not over: {outcome:?}") };
                rows.push(self.row(shard, &state, &decision)?);
            }
        }
        Ok(rows)
    }

    fn row(&self, shard: Shard, state: &State, decision: &Decision) -> anyhow::Result<Append> {
        let epoch = *self.epochs.get(usize::from(shard.0)).context("every shard was claimed")?;
        Ok(row::showing(row::By { shard, epoch }, &self.plan, state, decision)?)
    }
}

fn decided_at<T>(now: Timestamp, waiting_for: WaitingFor, decide: impl FnOnce(&mut Context<'_>) -> T) -> T {
    let admission = match waiting_for {
        WaitingFor::Time | WaitingFor::Answer => Admission::Admitted,
        WaitingFor::Breaker => Admission::Refused { guard: Guard::Breaker, not_before: now },
    };
    decide(&mut Context {
        now,
        answerable: &ALWAYS,
        random: fastrand::u64(..),
        admission: &mut |_| admission,
        room: &|_| None,
        choose: &mut |_| None,
        recall: &mut |_| None,
    })
}
