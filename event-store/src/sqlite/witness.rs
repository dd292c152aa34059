//! What this process knows to be committed in the file, and the comparison with what earlier processes knew.

use crate::{
    Append, Appended, Confirmed, ConfirmedAppend, Error, StepBack,
    step_back::{Has, missing},
};
use sqlx::{Row as _, SqlitePool};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct Witness {
    /// Id of the store. One process writes at a time, so all heartbeats in the file belong to it.
    file: Uuid,
    known: Mutex<Known>,
    told: watch::Sender<Option<Arc<StepBack>>>,
}

#[derive(Debug, Default)]
struct Known {
    /// How many batches were confirmed so far.
    batches: u64,
    beat: Option<(i64, i64)>,
    /// An append of the last confirmed batch, with the number of that batch.
    append: Option<(u64, ConfirmedAppend)>,
}

impl Witness {
    pub(super) fn new(file: Uuid) -> Witness {
        Witness { file, known: Mutex::default(), told: watch::Sender::new(None) }
    }

    pub(super) fn told(&self) -> watch::Receiver<Option<Arc<StepBack>>> {
        self.told.subscribe()
    }

    pub(super) fn appended(&self, batch: &[Append], answers: &[Appended]) {
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

    pub(super) fn confirmed(&self) -> Option<Confirmed> {
        let known = self.known();
        let (number, at_ms) = known.beat?;
        Some(Confirmed { writer: self.file, number, at_ms, append: known.append.map(|(_, append)| append) })
    }

    pub(super) async fn compare(&self, pool: &SqlitePool, all: &[Confirmed]) -> Result<Vec<usize>, Error> {
        let mut has = Vec::with_capacity(all.len());
        for one in all {
            has.push(what_is_there(pool, one).await?);
        }
        let number = self.told.borrow().as_ref().map_or(1, |step| step.number + 1);
        let Some(missing) = missing(number, all, &has) else { return Ok(Vec::new()) };
        self.told.send_replace(Some(Arc::new(missing.told)));
        Ok(missing.positions)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn what_is_there(pool: &SqlitePool, one: &Confirmed) -> Result<Has, Error> {
    let beat = sqlx::query(include_str!("sql/last_beat.sql")).fetch_optional(pool).await?;
    let beat = beat.map(|row| Ok::<_, Error>((row.try_get("number")?, row.try_get("at")?))).transpose()?;
    let Some(append) = one.append else { return Ok(Has { beat, append: true }) };
    let found = sqlx::query(include_str!("sql/has_append.sql"))
        .bind(append.stream)
        .bind(append.version)
        .bind(append.append_id)
        .fetch_optional(pool)
        .await?;
    Ok(Has { beat, append: found.is_some() })
}
