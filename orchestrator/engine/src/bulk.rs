//! One act on many sagas: a job that goes through them at a pace, tells what came of each, and is on record.
//!
//! A job lives in one engine's memory and ends with it. What it has done is in the sagas' journals, each act under an
//! id made of the job's and the saga's: the same job given again, to any engine, does nothing twice.

mod item;
mod record;
mod targets;

use super::{
    act_sender::ActSender, archiving::erasing::reaches_archives, definition_lookup::DefinitionLookup,
    journal::JournalAccess,
};
use futures_util::StreamExt;
use saga_base::{clock::EngineClock, sync::UnpoisonedMutex};
use saga_core::{
    act_author::ActOrigin,
    event::OperatorAction,
    input::ActTarget,
    time::{Timestamp, rfc3339},
};
use serde::Serialize;
use std::{collections::VecDeque, num::NonZeroU32, sync::Arc, time::Duration};
use targets::LeftTargets;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

pub use item::{BulkItem, BulkItemResult};
pub use record::{BulkJobRecord, on_record};
pub use targets::{BulkSelection, MOST_NAMES};

/// Sagas per second if the request does not give another pace. Each saga is a commit and a call of a participant that
/// may have failed a moment ago. A job of some hundred sagas ends in a few seconds, and an operator who sees a problem
/// has time to stop it.
pub const PACE: NonZeroU32 = NonZeroU32::new(20).expect("it is not 0");
/// The highest pace, in sagas per second: a shard takes acts beside its other work.
pub const MOST_PACE: NonZeroU32 = NonZeroU32::new(500).expect("it is not 0");
/// The most jobs that run at the same time on an engine. Operators start them.
pub const MOST_RUNNING: usize = 4;
/// Jobs that an engine remembers, those that run among them.
const REMEMBERED: usize = 16;
/// The most items of a job that the engine keeps for queries, the latest ones. A caller that follows a job asks about
/// every second.
const ITEMS_KEPT: usize = 10_000;
/// Acts of a job that are under way at once: as many as begin within the time that is waited for what comes of one, at
/// a usual pace.
const AT_ONCE: usize = 64;

/// The operator's request for a bulk job.
#[derive(Clone, Debug)]
pub struct BulkJobRequest {
    /// Identity of the job, and the beginning of the ids of its acts.
    pub id: Uuid,
    /// The act that each saga gets.
    pub action: OperatorAction,
    /// The operator, as recorded with each act.
    pub who: String,
    /// The operator's reason, as recorded with each act.
    pub reason: String,
    /// From where the order came, as recorded with each act.
    pub origin: ActOrigin,
    /// Selects the sagas that the job goes through.
    pub targets: BulkSelection,
    /// The selection in words, for the record of the job.
    pub targets_told: String,
    /// The step that each act is about.
    pub about: Option<ActTarget>,
    /// For a retry or a migration: the definition that the sagas go on with.
    pub definition: Option<String>,
    /// The most sagas that the job comes to; `None`: all that are selected.
    pub limit: Option<NonZeroU32>,
    /// The pace of the job, in sagas per second.
    pub pace: NonZeroU32,
    /// If true, the job only reports what the act would lead to.
    pub dry_run: bool,
    /// The maximum wait for the outcome of each act.
    pub wait: Duration,
}

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BulkJobStatus {
    /// The job is going through its sagas.
    Running,
    /// The job has gone through all its sagas.
    Done,
    /// An operator stopped the job, or the engine stops.
    Cancelled,
    /// The store did not return the next sagas, or did not record the job.
    Failed,
}

/// A job as the engine reports it to callers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkJobView {
    /// Identity of the job: the same id again is the same job.
    pub id: Uuid,
    /// The act that each saga gets.
    pub action: OperatorAction,
    /// The operator, as recorded with each act.
    pub who: String,
    /// The operator's reason, as recorded with each act.
    pub reason: String,
    /// The selection of the sagas, in words.
    pub targets: String,
    /// Whether the job is a dry run, which changes nothing.
    pub dry_run: bool,
    /// The pace of the job, in sagas per second.
    pub pace: NonZeroU32,
    /// The time when the job began, in RFC 3339, UTC.
    pub started_at: String,
    /// The time when the job ended, in RFC 3339, UTC; `None` while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Whether the job runs, or how it ended.
    pub status: BulkJobStatus,
    /// The error that ended the job; `None` unless its status is failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How many sagas the job has gone through.
    pub looked_at: usize,
    /// How many sagas had each result.
    pub counts: BulkJobCounts,
}

/// What came of the sagas that a job has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkJobCounts {
    /// The act is in the journal, and led where it was meant to; of a dry run: it would.
    pub applied: usize,
    /// It was in the journal before: nothing was done again.
    pub before: usize,
    /// It is in the journal, and the saga is not where it was meant to be.
    pub elsewhere: usize,
    /// The act is on its way to the saga's owner.
    pub accepted: usize,
    /// The saga's state does not allow the act.
    pub refused: usize,
    /// There is no such saga, or it cannot be read.
    pub failed: usize,
}

impl BulkJobCounts {
    fn add(&mut self, came: BulkItemResult) {
        let counter = match came {
            BulkItemResult::Applied => &mut self.applied,
            BulkItemResult::AlreadyApplied => &mut self.before,
            BulkItemResult::OffTarget => &mut self.elsewhere,
            BulkItemResult::Accepted => &mut self.accepted,
            BulkItemResult::Refused => &mut self.refused,
            BulkItemResult::Failed => &mut self.failed,
        };
        *counter += 1;
    }
}

/// The progress of one job, with its latest items.
#[derive(Debug)]
struct BulkJobProgress {
    job: BulkJobView,
    /// The latest items; older items are only counted.
    items: VecDeque<BulkItem>,
}

/// A job, for the callers that follow or stop it.
#[derive(Clone, Debug)]
struct BulkJobHandle {
    id: Uuid,
    progress: Arc<watch::Sender<BulkJobProgress>>,
    stop: CancellationToken,
}

impl BulkJobHandle {
    fn is_running(&self) -> bool {
        self.progress.borrow().job.status == BulkJobStatus::Running
    }

    fn told(&self) -> BulkJobView {
        self.progress.borrow().job.clone()
    }
}

/// The parts of the engine that jobs use.
#[derive(Debug)]
pub(crate) struct BulkJobContext {
    journal: JournalAccess,
    acts: ActSender,
    definitions: DefinitionLookup,
    clock: EngineClock,
}

impl BulkJobContext {
    pub(crate) fn new(
        journal: JournalAccess,
        acts: ActSender,
        definitions: DefinitionLookup,
        clock: EngineClock,
    ) -> BulkJobContext {
        BulkJobContext { journal, acts, definitions, clock }
    }
}

/// The jobs of one engine.
#[derive(Debug, Default)]
pub(crate) struct BulkJobRegistry(UnpoisonedMutex<VecDeque<BulkJobHandle>>);

/// The job was not started, because [`MOST_RUNNING`] jobs run already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_RUNNING} jobs run already")]
pub struct TooManyJobs;

impl BulkJobRegistry {
    /// Begins a job, and returns it as it stands. One with the same id that runs is that job; one that has ended is
    /// gone through again, and does nothing twice.
    ///
    /// # Errors
    /// When as many run as may.
    pub(crate) fn begin(
        &self,
        context: &Arc<BulkJobContext>,
        order: BulkJobRequest,
    ) -> Result<BulkJobView, TooManyJobs> {
        let mut jobs = self.0.lock();
        if let Some(same) = jobs.iter().find(|job| job.id == order.id && job.is_running()) {
            return Ok(same.told());
        }
        if jobs.iter().filter(|job| job.is_running()).count() >= MOST_RUNNING {
            return Err(TooManyJobs);
        }
        jobs.retain(|job| job.id != order.id);
        while jobs.len() >= REMEMBERED
            && let Some(oldest) = jobs.iter().position(|job| !job.is_running())
        {
            jobs.remove(oldest);
        }
        let handle = begun(context, order);
        let told = handle.told();
        jobs.push_back(handle);
        Ok(told)
    }

    /// All that are remembered, the latest first.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<BulkJobView> {
        self.0.lock().iter().rev().map(BulkJobHandle::told).collect()
    }

    /// A job, and its items from number `after` on, counted from 0. `None`: this engine knows none with this id.
    #[must_use]
    pub(crate) fn find(&self, id: Uuid, after: usize) -> Option<(BulkJobView, Vec<BulkItem>)> {
        let handle = self.handle(id)?;
        let progress = handle.progress.borrow();
        let dropped = progress.job.looked_at - progress.items.len();
        let items = progress.items.iter().skip(after.saturating_sub(dropped)).cloned().collect();
        Some((progress.job.clone(), items))
    }

    /// Stops a job: acts that have begun are brought to their end.
    #[must_use]
    pub(crate) fn cancel(&self, id: Uuid) -> Option<BulkJobView> {
        let handle = self.handle(id)?;
        handle.stop.cancel();
        Some(handle.told())
    }

    fn handle(&self, id: Uuid) -> Option<BulkJobHandle> {
        self.0.lock().iter().find(|job| job.id == id).cloned()
    }
}

fn begun(context: &Arc<BulkJobContext>, order: BulkJobRequest) -> BulkJobHandle {
    let job = BulkJobView {
        id: order.id,
        action: order.action,
        who: order.who.clone(),
        reason: order.reason.clone(),
        targets: order.targets_told.clone(),
        dry_run: order.dry_run,
        pace: order.pace,
        started_at: rfc3339(context.clock.now()),
        ended_at: None,
        status: BulkJobStatus::Running,
        failure: None,
        looked_at: 0,
        counts: BulkJobCounts::default(),
    };
    let progress = Arc::new(watch::Sender::new(BulkJobProgress { job, items: VecDeque::new() }));
    let handle = BulkJobHandle { id: order.id, progress, stop: CancellationToken::new() };
    tokio::spawn(run(Arc::clone(context), order, handle.clone()));
    handle
}

/// From the first saga to the last.
async fn run(context: Arc<BulkJobContext>, order: BulkJobRequest, handle: BulkJobHandle) {
    // The job is recorded before its first act: the engine does no act that an operator could not explain later.
    let ended = match record::keep(&context.journal, context.clock.now(), &handle.told()).await {
        Ok(()) => go_through(&context, &order, &handle).await,
        Err(error) => Err(error),
    };
    let (status, failure) = match ended {
        Err(error) => (BulkJobStatus::Failed, Some(error.to_string())),
        Ok(()) if handle.stop.is_cancelled() => (BulkJobStatus::Cancelled, None),
        Ok(()) => (BulkJobStatus::Done, None),
    };
    let at = context.clock.now();
    handle.progress.send_modify(|progress| progress.job.end(at, status, failure));
    let job = handle.told();
    info!(job = %job.id, action = job.action.as_str(), who = job.who, looked_at = job.looked_at, ?status, "a job on \
     sagas ended");
    if let Err(error) = record::keep(&context.journal, context.clock.now(), &job).await {
        warn!(job = %job.id, %error, "the end of a job is not on record; its acts are in the sagas' journals");
    }
}

async fn go_through(
    context: &Arc<BulkJobContext>,
    order: &BulkJobRequest,
    handle: &BulkJobHandle,
) -> Result<(), saga_event_store::StoreError> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / order.pace.get());
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let most = order.limit.map_or(usize::MAX, |limit| limit.get() as usize);
    let eraser = context.acts.eraser();
    let left = if reaches_archives(order.action) { LeftTargets::Taken(eraser) } else { LeftTargets::Told(eraser) };
    let targets = targets::stream(context.journal.store().as_ref(), &order.targets, (goes_to(order), left)).take(most);
    let paced = targets.zip(futures_util::stream::unfold(pace, |mut pace| async {
        pace.tick().await;
        Some(((), pace))
    }));
    let each = paced
        .take_until(handle.stop.cancelled())
        .map(|(target, ())| async { Ok(item::of(context, order, target?).await) });
    let mut all = std::pin::pin!(each.buffer_unordered(AT_ONCE));
    while let Some(item) = all.next().await {
        match item {
            Ok(item) => handle.progress.send_modify(|progress| progress.add(item)),
            Err(error) => {
                warn!(job = %order.id, %error, "the job stops because the engine cannot read the rest of its sagas");
                return Err(error);
            }
        }
    }
    Ok(())
}

/// What the sagas of a migration shall run by: those that do are not come to.
fn goes_to(order: &BulkJobRequest) -> Option<&str> {
    match order.action {
        OperatorAction::Migrate => order.definition.as_deref(),
        OperatorAction::Retry
        | OperatorAction::Skip
        | OperatorAction::Cancel
        | OperatorAction::Abandon
        | OperatorAction::Erase => None,
    }
}

impl BulkJobView {
    fn end(&mut self, at: Timestamp, status: BulkJobStatus, failure: Option<String>) {
        self.ended_at = Some(rfc3339(at));
        self.status = status;
        self.failure = failure;
    }
}

impl BulkJobProgress {
    fn add(&mut self, item: BulkItem) {
        self.job.looked_at += 1;
        self.job.counts.add(item.result);
        if self.items.len() == ITEMS_KEPT {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }
}
