//! What this process knows to be committed in the file, and the comparison with what earlier processes knew.

use crate::{
    AppendOutcome, CommitConfirmation, ConfirmedAppend, StepBack, StoreError, StreamAppend,
    step_back::{ConfirmationEvidence, missing},
};
use sqlx::{Row as _, SqlitePool};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct SqliteWitness {
    /// Id of the store. One process writes at a time, so all heartbeats in the file belong to it.
    file: Uuid,
    known: Mutex<SqliteWitnessState>,
    told: watch::Sender<Option<Arc<StepBack>>>,
}

#[derive(Debug, Default)]
struct SqliteWitnessState {
    /// How many batches were confirmed so far.
    batches: u64,
    beat: Option<(i64, i64)>,
    /// An append of the last confirmed batch, with the number of that batch.
    append: Option<(u64, ConfirmedAppend)>,
}

impl SqliteWitness {
    pub(super) fn new(file: Uuid) -> SqliteWitness {
        SqliteWitness { file, known: Mutex::default(), told: watch::Sender::new(None) }
    }

    pub(super) fn told(&self) -> watch::Receiver<Option<Arc<StepBack>>> {
        self.told.subscribe()
    }

    pub(super) fn appended(&self, batch: &[StreamAppend], answers: &[AppendOutcome]) {
        let Some(append) = ConfirmedAppend::first_of(batch, answers) else { return };
        let mut known = self.known();
        known.batches += 1;
        known.append = Some((known.batches, append));
    }

    /// How many batches are confirmed. The caller asks before it writes a heartbeat.
    pub(super) fn before_beat(&self) -> u64 {
        self.known().batches
    }

    pub(super) fn beat(&self, before: u64, number: i64, at_ms: i64) {
        let mut known = self.known();
        known.beat = Some((number, at_ms));
        known.append.take_if(|(batch, _)| *batch <= before);
    }

    pub(super) fn confirmed(&self) -> Option<CommitConfirmation> {
        let known = self.known();
        let (number, at_ms) = known.beat?;
        Some(CommitConfirmation { writer: self.file, number, at_ms, append: known.append.map(|(_, append)| append) })
    }

    pub(super) async fn compare(
        &self,
        pool: &SqlitePool,
        all: &[CommitConfirmation],
    ) -> Result<Vec<usize>, StoreError> {
        let mut has = Vec::with_capacity(all.len());
        for one in all {
            has.push(what_is_there(pool, one).await?);
        }
        let number = self.told.borrow().as_ref().map_or(1, |step| step.number + 1);
        let Some(missing) = missing(number, all, &has) else { return Ok(Vec::new()) };
        self.told.send_replace(Some(Arc::new(missing.told)));
        Ok(missing.positions)
    }

    fn known(&self) -> MutexGuard<'_, SqliteWitnessState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn what_is_there(pool: &SqlitePool, one: &CommitConfirmation) -> Result<ConfirmationEvidence, StoreError> {
    let beat = sqlx::query(include_str!("sql/last_beat.sql")).fetch_optional(pool).await?;
    let beat = beat.map(|row| Ok::<_, StoreError>((row.try_get("number")?, row.try_get("at")?))).transpose()?;
    let Some(append) = one.append else { return Ok(ConfirmationEvidence { beat, append: true }) };
    let found = sqlx::query(include_str!("sql/has_append.sql"))
        .bind(append.stream)
        .bind(append.version)
        .bind(append.append_id)
        .fetch_optional(pool)
        .await?;
    Ok(ConfirmationEvidence { beat, append: found.is_some() })
}
