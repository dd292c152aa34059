//! A job that brings many letters back: a frozen set, one letter after the other, at a pace, with a result for each.
//!
//! A job lives in one engine's memory. Its order is on record before its first letter, and each letter that was brought
//! has an act under the job's id: resumed after a crash, on any engine, it goes on, does nothing twice, and knows what
//! became of each letter.

mod done;
mod pages;
mod record;

use super::{
    LetterSource,
    bringing::{BringOrder, BroughtItem, LetterCourier},
    reader::LetterReading,
};
use done::JobWork;
use pages::LetterPages;
use saga_base::sync::UnpoisonedMutex;
use saga_core::time::rfc3339;
use saga_event_store::{LetterCoordinates, StoreError, StoredLetter, StoredLetterFilter};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;
use tracing::{info, warn};
use uuid::Uuid;

/// Letters per second if the operator gives no other pace.
pub const USUAL_LETTER_PACE: NonZeroU32 = NonZeroU32::new(20).expect("it is not 0");
/// The highest pace: each letter is a commit and calls of participants.
pub const MOST_LETTER_PACE: NonZeroU32 = NonZeroU32::new(500).expect("it is not 0");
/// The most letters that one job names; for more there is a filter.
pub const MOST_LETTER_NAMES: usize = 1_000;
/// The most jobs that run at the same time on an engine.
const MOST_RUNNING: usize = 4;
/// Jobs without an end whose letters a list counts.
const COUNTED: usize = 16;
/// Jobs that an engine remembers.
const REMEMBERED: usize = 16;
/// The most items of a job that the engine keeps for queries, the latest ones.
const ITEMS_KEPT: usize = 10_000;

/// Which letters a job is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LetterSelection {
    /// These.
    Named(Vec<NamedPlace>),
    /// Those that fit, among the letters up to a number that is fixed when the job begins.
    #[serde(rename_all = "camelCase")]
    Matching {
        /// The filter; its bounds by number are the job's own.
        #[serde(with = "record::FilterText")]
        filter: Box<StoredLetterFilter>,
        /// The greatest number; 0: it is fixed at the beginning.
        up_to: i64,
    },
}

/// The place of a letter that a job names, as it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NamedPlace {
    /// In the usual topic of dead letters: partition and offset.
    Usual(i32, i64),
    /// In another one: topic, partition and offset.
    Of(String, i32, i64),
}

impl NamedPlace {
    fn within(&self, usual: &str) -> LetterCoordinates {
        let (topic, partition, offset) = match self {
            NamedPlace::Usual(partition, offset) => (usual, partition, offset),
            NamedPlace::Of(topic, partition, offset) => (topic.as_str(), partition, offset),
        };
        LetterCoordinates { topic: topic.to_owned(), partition: *partition, offset: *offset }
    }
}

/// The operator's request for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterJobOrder {
    /// How each letter is brought, and who says so. Its id is the job's.
    pub bring: BringOrder,
    /// Which letters.
    pub selection: LetterSelection,
    /// The selection in words.
    pub told: String,
    /// Letters per second.
    pub pace: NonZeroU32,
    /// After so many letters the job pauses until it is resumed; `None`: it does not.
    pub canary: Option<NonZeroU32>,
    /// Whether it goes on after a letter that fails.
    pub keep_going: bool,
    /// The most letters that it comes to.
    pub limit: Option<NonZeroU32>,
}

impl LetterJobOrder {
    /// Whether both ask for the same, whatever was fixed when the one began that is on record.
    fn asks_the_same(&self, other: &LetterJobOrder) -> bool {
        let is_same_selection = match (&self.selection, &other.selection) {
            (LetterSelection::Named(these), LetterSelection::Named(those)) => these == those,
            (LetterSelection::Matching { .. }, LetterSelection::Matching { .. }) => self.told == other.told,
            (LetterSelection::Named(_), LetterSelection::Matching { .. })
            | (LetterSelection::Matching { .. }, LetterSelection::Named(_)) => false,
        };
        is_same_selection && self.bring == other.bring
    }
}

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LetterJobStatus {
    /// It goes through its letters.
    Running,
    /// It waits to be resumed.
    Paused,
    /// It has gone through all.
    Done,
    /// It ended at a letter that failed.
    StoppedAtFailure,
    /// An operator stopped it.
    Cancelled,
    /// The store did not return the next letters, or did not record the job.
    Failed,
    /// Its order is on record and no end of it: another engine runs it, or its engine has stopped.
    NoEnd,
}

impl LetterJobStatus {
    fn is_under_way(self) -> bool {
        match self {
            LetterJobStatus::Running | LetterJobStatus::Paused => true,
            LetterJobStatus::Done
            | LetterJobStatus::StoppedAtFailure
            | LetterJobStatus::Cancelled
            | LetterJobStatus::Failed
            | LetterJobStatus::NoEnd => false,
        }
    }
}

/// A job as the engine reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterJobView {
    /// Identity of the job.
    pub id: Uuid,
    /// The operator.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
    /// The selection in words.
    pub targets: String,
    /// Whether it only tells.
    pub dry_run: bool,
    /// When it began, or was resumed; RFC 3339, UTC.
    pub started_at: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Whether it runs, or how it ended.
    pub status: LetterJobStatus,
    /// The error that ended it, or the letter at which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How many letters it has gone through.
    pub looked_at: usize,
    /// How many letters had each result.
    pub counts: BTreeMap<Cow<'static, str>, usize>,
}

/// Why a job does not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum LetterJobError {
    /// As many run as may.
    #[error("{MOST_RUNNING} jobs run already")]
    TooMany,
    /// Nobody knows the job.
    #[error("no job {0} is known: neither to this engine nor to the store")]
    Unknown(Uuid),
    /// The id is that of a job about something else.
    #[error(
        "the job {0} is there, and it is about other letters or says other things: leave out the id, or name a new one"
    )]
    OtherJob(Uuid),
    /// What is on record of it cannot be read.
    #[error("the record of the job cannot be read: {0}")]
    Unreadable(String),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an operator wants of a job under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JobWish {
    Run,
    Pause,
    Stop,
}

#[derive(Debug)]
struct JobProgress {
    job: LetterJobView,
    items: VecDeque<BroughtItem>,
}

#[derive(Clone, Debug)]
struct JobHandle {
    progress: Arc<watch::Sender<JobProgress>>,
    wish: Arc<watch::Sender<JobWish>>,
}

impl JobHandle {
    fn view(&self) -> LetterJobView {
        self.progress.borrow().job.clone()
    }

    fn id(&self) -> Uuid {
        self.progress.borrow().job.id
    }

    fn is_under_way(&self) -> bool {
        self.progress.borrow().job.status.is_under_way()
    }
}

/// The jobs of one engine.
#[derive(Debug, Default)]
pub(super) struct LetterJobs(UnpoisonedMutex<VecDeque<JobHandle>>);

impl LetterJobs {
    /// Begins a job, and returns it as it stands. One with the same id that is under way is that job.
    pub(super) async fn begin(
        &self,
        courier: &LetterCourier,
        source: &LetterSource,
        mut order: LetterJobOrder,
    ) -> Result<LetterJobView, LetterJobError> {
        if let Some(same) = self.find(order.bring.id).filter(JobHandle::is_under_way) {
            return Ok(same.view());
        }
        let before = record::find(courier, order.bring.id).await?;
        if before.is_some_and(|(before, _)| !before.asks_the_same(&order)) {
            return Err(LetterJobError::OtherJob(order.bring.id));
        }
        if let LetterSelection::Matching { up_to, .. } = &mut order.selection
            && *up_to == 0
        {
            *up_to = courier.store.last_letter().await?;
        }
        if let (LetterSelection::Matching { up_to, .. }, Some(limit)) = (&order.selection, order.limit) {
            let last = pages::last_within(courier, source.routes.usual(), order.bounds(*up_to), limit).await?;
            order.selection.end_at(last);
        }
        if !order.bring.dry_run {
            record::keep(courier, &order).await?;
        }
        self.enter(courier, source, order, JobWork::none(courier.clock.now()))
    }

    fn enter(
        &self,
        courier: &LetterCourier,
        source: &LetterSource,
        order: LetterJobOrder,
        work: JobWork,
    ) -> Result<LetterJobView, LetterJobError> {
        let mut jobs = self.0.lock();
        if let Some(same) = jobs.iter().find(|job| job.id() == order.bring.id && job.is_under_way()) {
            return Ok(same.view());
        }
        if jobs.iter().filter(|job| job.is_under_way()).count() >= MOST_RUNNING {
            return Err(LetterJobError::TooMany);
        }
        jobs.retain(|job| job.id() != order.bring.id);
        while jobs.len() >= REMEMBERED
            && let Some(oldest) = jobs.iter().position(|job| !job.is_under_way())
        {
            jobs.remove(oldest);
        }
        let handle = begun(courier, source, order, work);
        let view = handle.view();
        jobs.push_back(handle);
        Ok(view)
    }

    /// Lets a job go on: one that is paused, or one that has ended or whose engine has. One that this engine knows to
    /// be done stays as it is. `keep_going`: a job that begins again passes over letters that fail.
    pub(super) async fn resume(
        &self,
        courier: &LetterCourier,
        source: &LetterSource,
        id: Uuid,
        keep_going: bool,
    ) -> Result<LetterJobView, LetterJobError> {
        if let Some(done) = self.find(id).map(|job| job.view()).filter(|job| job.status == LetterJobStatus::Done) {
            return Ok(done);
        }
        if let Some(job) = self.find(id).filter(JobHandle::is_under_way) {
            job.wish.send_replace(JobWish::Run);
            return Ok(job.view());
        }
        let (order, at) = record::find(courier, id).await?.ok_or(LetterJobError::Unknown(id))?;
        let work = done::on_record(courier, &order, at).await?;
        let seen = self.find(id).map_or(0, |job| job.view().looked_at).max(work.brought);
        let canary = order.canary.filter(|canary| canary.get() as usize > seen);
        let keep_going = order.keep_going || keep_going;
        self.enter(courier, source, LetterJobOrder { canary, keep_going, ..order }, work)
    }

    pub(super) fn pause(&self, id: Uuid) -> Option<LetterJobView> {
        self.wish(id, JobWish::Pause)
    }

    pub(super) fn cancel(&self, id: Uuid) -> Option<LetterJobView> {
        self.wish(id, JobWish::Stop)
    }

    fn wish(&self, id: Uuid, wish: JobWish) -> Option<LetterJobView> {
        let job = self.find(id)?;
        job.wish.send_replace(wish);
        Some(job.view())
    }

    /// The latest jobs that are remembered or on record, the latest first. What an engine remembers of its own counts;
    /// of the latest ones without an end, what is on record of their letters.
    pub(super) async fn all(&self, courier: &LetterCourier) -> Result<Vec<LetterJobView>, StoreError> {
        let mut jobs = record::latest(courier).await?;
        for own in self.0.lock().iter().map(JobHandle::view) {
            jobs.retain(|job| job.id != own.id);
            jobs.push(own);
        }
        jobs.sort_by(|one, other| other.started_at.cmp(&one.started_at));
        let open = jobs.iter_mut().filter(|job| job.status == LetterJobStatus::NoEnd);
        for job in open.take(COUNTED) {
            done::shown(courier, job).await?;
        }
        Ok(jobs)
    }

    /// A job that this engine does not know, and its items from number `after` on, as they are on record.
    pub(super) async fn recorded(
        &self,
        courier: &LetterCourier,
        id: Uuid,
        after: usize,
    ) -> Result<Option<(LetterJobView, Vec<BroughtItem>)>, StoreError> {
        let Some(mut job) = record::latest(courier).await?.into_iter().find(|job| job.id == id) else {
            return Ok(None);
        };
        let items = done::shown(courier, &mut job).await?;
        Ok(Some((job, items.into_iter().skip(after).collect())))
    }

    /// A job, and its items from number `after` on.
    pub(super) fn show(&self, id: Uuid, after: usize) -> Option<(LetterJobView, Vec<BroughtItem>)> {
        let handle = self.find(id)?;
        let progress = handle.progress.borrow();
        let dropped = progress.job.looked_at - progress.items.len();
        let items = progress.items.iter().skip(after.saturating_sub(dropped)).cloned().collect();
        Some((progress.job.clone(), items))
    }

    fn find(&self, id: Uuid) -> Option<JobHandle> {
        self.0.lock().iter().find(|job| job.id() == id).cloned()
    }
}

fn begun(courier: &LetterCourier, source: &LetterSource, order: LetterJobOrder, work: JobWork) -> JobHandle {
    let job = LetterJobView {
        id: order.bring.id,
        who: order.bring.who.clone(),
        reason: order.bring.reason.clone(),
        targets: order.told.clone(),
        dry_run: order.bring.dry_run,
        started_at: rfc3339(work.began_at),
        ended_at: None,
        status: LetterJobStatus::Running,
        failure: None,
        looked_at: work.brought,
        counts: work.counts,
    };
    let progress = JobProgress { job, items: work.items };
    let handle = JobHandle {
        progress: Arc::new(watch::Sender::new(progress)),
        wish: Arc::new(watch::Sender::new(JobWish::Run)),
    };
    let run = JobRun {
        courier: courier.clone(),
        usual: Arc::clone(source.routes.usual()),
        reading: LetterReading::new(source.clone()),
        order,
        handle: handle.clone(),
        brought: work.brought,
        settled: work.settled,
    };
    tokio::spawn(run.run());
    handle
}

/// A job at work.
struct JobRun {
    courier: LetterCourier,
    usual: Arc<str>,
    reading: LetterReading,
    order: LetterJobOrder,
    handle: JobHandle,
    /// How many letters the job had brought before it was resumed.
    brought: usize,
    /// Their places, if the job would come to them again.
    settled: BTreeSet<String>,
}

/// How a job ended, and why.
type JobEnd = (LetterJobStatus, Option<String>);

impl JobRun {
    async fn run(mut self) {
        let (status, failure) = match self.go_through().await {
            Ok(end) => end,
            Err(error) => (LetterJobStatus::Failed, Some(format!("the event store: {error}"))),
        };
        let at = rfc3339(self.courier.clock.now());
        self.handle.progress.send_modify(|progress| {
            progress.job.status = status;
            progress.job.failure = failure;
            progress.job.ended_at = Some(at);
        });
        let job = self.handle.view();
        info!(job = %job.id, who = job.who, looked_at = job.looked_at, ?status, "a job on dead letters ended");
        if !job.dry_run
            && let Err(error) = record::keep_end(&self.courier, &job).await
        {
            warn!(job = %job.id, %error, "the end of a job is not on record; its acts are");
        }
    }

    async fn go_through(&mut self) -> Result<JobEnd, StoreError> {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / self.order.pace.get());
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let most = self.order.limit.map_or(usize::MAX, |limit| limit.get() as usize);
        let (mut pages, mut seen) = (self.pages(), self.brought);
        loop {
            let page = pages.next(&self.courier, &self.usual).await?;
            if page.is_empty() {
                return Ok((LetterJobStatus::Done, None));
            }
            for found in page {
                if self.is_settled(&found) {
                    continue;
                }
                if seen == most {
                    return Ok((LetterJobStatus::Done, None));
                }
                if self.order.canary.is_some_and(|canary| canary.get() as usize == seen) {
                    self.handle.wish.send_if_modified(|wish| {
                        let runs = *wish == JobWish::Run;
                        *wish = if runs { JobWish::Pause } else { *wish };
                        runs
                    });
                }
                if self.is_stopped().await {
                    return Ok((LetterJobStatus::Cancelled, None));
                }
                pace.tick().await;
                seen += 1;
                if let Some(end) = self.one(found).await {
                    return Ok(end);
                }
            }
        }
    }

    /// Whether the job had brought the letter before it was resumed.
    fn is_settled(&self, found: &Result<StoredLetter, BroughtItem>) -> bool {
        let place = |letter: &StoredLetter| self.courier.place(&letter.place);
        found.as_ref().is_ok_and(|letter| self.settled.contains(&place(letter)))
    }

    /// Brings one letter; a status: the job ends with it.
    async fn one(&mut self, found: Result<StoredLetter, BroughtItem>) -> Option<JobEnd> {
        let item = match found {
            Ok(letter) => self.courier.bring(&mut self.reading, &letter, &self.order.bring).await,
            Err(missing) => missing,
        };
        let fails = !item.result.is_success() && !self.order.keep_going && !self.order.bring.dry_run;
        let said = format!("{} {}", item.place, item.message.clone().unwrap_or_default());
        self.handle.progress.send_modify(|progress| progress.add(item));
        fails.then_some((LetterJobStatus::StoppedAtFailure, Some(said)))
    }

    /// Waits while the job is paused.
    async fn is_stopped(&self) -> bool {
        let mut wish = self.handle.wish.subscribe();
        loop {
            let now = *wish.borrow_and_update();
            match now {
                JobWish::Run => {
                    self.show(LetterJobStatus::Running);
                    return false;
                }
                JobWish::Stop => return true,
                JobWish::Pause => self.show(LetterJobStatus::Paused),
            }
            if wish.changed().await.is_err() {
                return true;
            }
        }
    }

    fn show(&self, status: LetterJobStatus) {
        self.handle.progress.send_if_modified(|progress| {
            let changes = progress.job.status != status;
            progress.job.status = status;
            changes
        });
    }

    fn pages(&self) -> LetterPages {
        match &self.order.selection {
            LetterSelection::Named(places) => LetterPages::Named(places.clone().into()),
            LetterSelection::Matching { up_to, .. } => LetterPages::Matching(Box::new(self.order.bounds(*up_to))),
        }
    }
}

impl JobProgress {
    fn add(&mut self, item: BroughtItem) {
        self.job.looked_at += 1;
        *self.job.counts.entry(Cow::Borrowed(item.result.as_str())).or_default() += 1;
        if self.items.len() == ITEMS_KEPT {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }
}
