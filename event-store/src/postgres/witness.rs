//! Compares every new session with what this process knows to be committed. A standby that lagged when it took over, or
//! a restored database, does not have it, and no error of the server reports that.

use super::{
    known::{PostgresWitnessState, REMEMBERED, WitnessedAppend},
    left::{ServerComparison, timeline, what_is_left},
    session::PostgresSession,
};
use crate::{
    AppendOutcome, CommitConfirmation, ConfirmedAppend, ShardEpoch, StepBack, StoreError, StreamAppend,
    step_back::{ConfirmationEvidence, missing},
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;
use tracing::info;
use uuid::Uuid;

/// What this process knows, and the channel that reports a step back.
#[derive(Debug)]
pub(super) struct PostgresWitness {
    writer: Uuid,
    /// Set when the store is open. Before that, sessions are not compared.
    installation: OnceLock<Uuid>,
    known: Mutex<PostgresWitnessState>,
    told: watch::Sender<Option<Arc<StepBack>>>,
}

impl PostgresWitness {
    pub(super) fn new(writer: Uuid) -> PostgresWitness {
        PostgresWitness {
            writer,
            installation: OnceLock::new(),
            known: Mutex::default(),
            told: watch::Sender::new(None),
        }
    }

    pub(super) fn writer(&self) -> Uuid {
        self.writer
    }

    /// From now on the witness compares new sessions.
    pub(super) fn begin(&self, installation: Uuid, timeline: Option<i64>) {
        self.known().timeline = timeline;
        self.installation.get_or_init(|| installation);
    }

    pub(super) fn told(&self) -> watch::Receiver<Option<Arc<StepBack>>> {
        self.told.subscribe()
    }

    pub(super) fn claimed(&self, shard: u16, epoch: ShardEpoch, owner: &str) {
        let mut known = self.known();
        known.claims.insert(shard, (epoch, owner.to_owned()));
        known.highest.insert(shard, epoch);
    }

    /// The epoch that a new epoch of the shard has to be above.
    pub(super) fn highest(&self, shard: u16) -> ShardEpoch {
        self.known().highest.get(&shard).copied().unwrap_or(ShardEpoch(0))
    }

    pub(super) fn appended(&self, batch: &[StreamAppend], answers: &[AppendOutcome]) {
        let Some(append) = ConfirmedAppend::first_of(batch, answers) else { return };
        let mut known = self.known();
        known.confirmed += 1;
        let mark = WitnessedAppend { order: known.confirmed, append };
        known.appends.truncate(REMEMBERED - 1);
        known.appends.push_front(mark);
    }

    /// How many appends are confirmed. The caller asks before it sends a heartbeat: all of these are before it in the
    /// log.
    pub(super) fn before_beat(&self) -> u64 {
        self.known().confirmed
    }

    /// Records a confirmed heartbeat. A server that has it also has all appends that were confirmed before it was sent.
    pub(super) fn beat(&self, before: u64, number: i64, at_ms: i64) {
        let mut known = self.known();
        known.beat = Some((number, at_ms));
        known.appends.retain(|mark| mark.order > before);
    }

    /// What this process knows, for later processes.
    pub(super) fn confirmed(&self) -> Option<CommitConfirmation> {
        let known = self.known();
        let (number, at_ms) = known.beat?;
        let append = known.appends.front().map(|mark| mark.append);
        Some(CommitConfirmation { writer: self.writer, number, at_ms, append })
    }

    /// Returns the positions in `all` that are missing, and reports a step back if there are any.
    pub(super) fn compared(&self, all: &[CommitConfirmation], has: &[ConfirmationEvidence]) -> Vec<usize> {
        let mut known = self.known();
        let Some(missing) = missing(known.steps + 1, all, has) else { return Vec::new() };
        let timeline = known.timeline;
        known.start_over(timeline);
        drop(known);
        self.told.send_replace(Some(Arc::new(missing.told)));
        missing.positions
    }

    /// The batch, with an epoch that no process holds in place of each fenced epoch; `None`: none is fenced. The
    /// database then still answers for each append whether it is committed.
    pub(super) fn fenced(&self, batch: &[StreamAppend]) -> Option<Vec<StreamAppend>> {
        const UNUSED: ShardEpoch = ShardEpoch(0);
        let known = self.known();
        let is_fenced =
            |append: &StreamAppend| known.fenced.get(&append.shard).is_some_and(|last| append.epoch <= *last);
        if !batch.iter().any(is_fenced) {
            return None;
        }
        let fence = |append: &StreamAppend| match is_fenced(append) {
            true => StreamAppend { epoch: UNUSED, ..append.clone() },
            false => append.clone(),
        };
        Some(batch.iter().map(fence).collect())
    }

    /// Compares a new session with what is known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when something is missing: the caller tries again after the step back.
    /// [`StoreError::Unusable`] when the session belongs to another store.
    pub(super) async fn look(&self, session: &mut PostgresSession) -> Result<(), StoreError> {
        let Some(installation) = self.installation.get() else { return Ok(()) };
        let known = self.known().clone();
        let left = ServerComparison::read(&what_is_left(session, &known, self.writer).await?)?;
        if left.installation != Some(*installation) {
            return Err(another_store(*installation, left.installation));
        }
        let timeline = timeline(session).await?;
        if left.lacks(&known) {
            return Err(self.step_back(&known, &left, timeline));
        }
        self.note_timeline(&known, timeline);
        Ok(())
    }

    fn note_timeline(&self, known: &PostgresWitnessState, timeline: Option<i64>) {
        if let (Some(before), Some(now)) = (known.timeline, timeline)
            && before != now
        {
            info!(
                before,
                now, "another server or timeline answers as the event store; it has all that is known to be committed"
            );
        }
        self.known().timeline = timeline.or(known.timeline);
    }

    fn step_back(&self, looked: &PostgresWitnessState, left: &ServerComparison, timeline: Option<i64>) -> StoreError {
        let mut known = self.known();
        // Another session may have reported the same step back just before.
        if known.steps == looked.steps {
            let told = left.step_back(looked, timeline);
            known.start_over(timeline);
            drop(known);
            self.told.send_replace(Some(Arc::new(told)));
        }
        StoreError::Unavailable(
            "its state is older than what it had confirmed; the engine reads its shards again".into(),
        )
    }

    fn known(&self) -> MutexGuard<'_, PostgresWitnessState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn another_store(own: Uuid, answers: Option<Uuid>) -> StoreError {
    let answers = answers.map_or("none".to_owned(), |it| it.to_string());
    StoreError::Unusable(format!(
        "another store answers at this address: this engine works for installation {own}, \
         the database belongs to {answers}. \
         Make the address lead to the right database; the engine continues then"
    ))
}
