//! Ended sagas leave the store: to archive files, or for good, as their definitions say.
//!
//! One process at a time does this. A file is whole and on the disk before a saga leaves the store, and its record and
//! the removal of the partition are one transaction; so after a crash at any point either the store has a saga or a
//! recorded file has it. The next pass finishes what was begun, or throws it away.

pub(crate) mod erasing;
mod export;
mod keeper;
pub mod left;
mod removal;
mod rewriting;
mod rules;
#[cfg(test)]
mod tests;

pub use keeper::{ArchiveKeeper, retention_of};
pub use rules::RetentionOf;

use crate::journal::PlanCache;
use rewriting::FileRewriter;
use rules::{PassRules, start_ms};
use saga_base::clock::EngineClock;
use saga_event_store::{
    ArchiveContent, DetachOutcome, EventStore, StartPeriod, StoreError,
    archive::{ArchiveError, archive_name},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tracing::{info, warn};
use uuid::Uuid;

/// The most sagas that stay when a partition leaves: they are copied while appends wait, which takes some hundred
/// milliseconds for so many. If more stay, the sagas that leave are deleted instead.
const MOST_KEPT: u32 = 10_000;

/// Transactions of the feed that are looked at in one statement.
const FEED_PORTION: u32 = 200;

/// A pass did not come to its end. What it began is finished or thrown away by the next one.
#[derive(Debug, thiserror::Error)]
pub enum ArchivingError {
    /// The store did not do what it was asked.
    #[error("the event store did not answer")]
    Store(#[from] StoreError),
    /// A file cannot be written or read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Sagas should go to files, and no folder is named.
    #[error(
        "sagas of `{0}` go to an archive, but no folder for archives is configured: write `archive: {{folder: ./archive}}` \
         into the configuration, or `retention: {{after: …, to: drop}}` into the definition"
    )]
    NoFolder(String),
    /// Another process wrote the file anew, or took the right to archive over.
    #[error("another process has taken the archive {0} over")]
    Overtaken(String),
    /// A task ended before its time.
    #[error("a task of the archive failed: {0}")]
    Task(String),
}

/// What one pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivePassReport {
    /// The archives that it wrote, and periods whose sagas were dropped.
    pub archives: Vec<ArchivedPeriod>,
    /// Another process archives at the moment, so nothing was done.
    pub is_busy: bool,
}

/// The sagas of one period that left the store together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedPeriod {
    /// The number of the archive.
    pub number: i64,
    /// The starts of the sagas.
    pub period: StartPeriod,
    /// What it has.
    pub content: ArchiveContent,
    /// How long appends had to wait for the removal of the partition; `None`: its sagas were deleted instead.
    pub pause: Option<Duration>,
}

/// What a pass needs.
#[derive(Debug)]
pub struct ArchivePass {
    /// The store that sagas leave.
    pub store: Arc<dyn EventStore>,
    /// Definitions and policies, for the texts that a file needs.
    pub plans: Arc<PlanCache>,
    /// How long the sagas of each definition stay. Sagas of other definitions stay.
    pub retention: Vec<RetentionOf>,
    /// Where files go.
    pub folder: Option<PathBuf>,
    /// The period of a partition; where there are none, of the sagas that leave together.
    pub width: Duration,
    /// The time by which sagas are old enough.
    pub clock: EngineClock,
    /// The time of engines. Partitions that begin later stay: sagas will go to them.
    pub present: EngineClock,
}

impl ArchivePass {
    /// Lets all sagas leave that are old enough.
    ///
    /// # Errors
    /// When the store or the folder does not do what it is asked. What left before stays on record.
    pub async fn run(&self) -> Result<ArchivePassReport, ArchivingError> {
        require_folder(&self.retention, self.folder.as_deref())?;
        let holder = Uuid::new_v4();
        if !self.store.lease_archiving(holder).await? {
            return Ok(ArchivePassReport { archives: Vec::new(), is_busy: true });
        }
        let done = self.under_lease(holder).await;
        // Without this the next pass would wait until the lease ends.
        if let Err(error) = self.store.release_archiving(holder).await {
            warn!(%error, "the right to archive is not given back; it ends by itself");
        }
        done
    }

    async fn under_lease(&self, holder: Uuid) -> Result<ArchivePassReport, ArchivingError> {
        removal::finish_begun(self, holder).await?;
        let rewriter = self.rewriter(holder);
        rewriter.finish_erasures().await?;
        if self.retention.is_empty() {
            return Ok(ArchivePassReport::default());
        }
        let report = self.let_leave(holder).await?;
        // A saga that was erased after this pass had read it is in a file with its content.
        rewriter.finish_erasures().await?;
        Ok(report)
    }

    fn rewriter(&self, holder: Uuid) -> FileRewriter {
        FileRewriter { store: Arc::clone(&self.store), folder: self.folder.clone(), clock: self.clock, holder }
    }

    async fn let_leave(&self, holder: Uuid) -> Result<ArchivePassReport, ArchivingError> {
        let mut report = ArchivePassReport::default();
        let partitions = self.store.partitions().await?;
        let now_ms = self.clock.now().0;
        let before = partitions.first().map_or(now_ms, |first| first.from_ms);
        let before = StartPeriod { from_ms: 0, to_ms: before };
        let rules = PassRules::of(&self.retention, now_ms);
        self.leave(holder, before, &rules.of_old(self.width), false, &mut report).await?;
        // Partitions leave oldest first: what stays of one moves to the partition before it. The newest stays: the next
        // one begins at its end.
        let newest = partitions.last().map(|newest| newest.from_ms);
        let present_ms = self.present.now().0;
        let mut is_oldest = true;
        for period in partitions {
            is_oldest &= period.from_ms <= present_ms && Some(period.from_ms) != newest;
            let rules = rules.of_partition(period);
            is_oldest = self.leave(holder, period, &rules, is_oldest, &mut report).await? && is_oldest;
        }
        self.forget_feed(holder).await?;
        Ok(report)
    }

    /// Shortens the feed by what has left, in portions that take some milliseconds.
    async fn forget_feed(&self, holder: Uuid) -> Result<(), ArchivingError> {
        while self.store.forget_feed(FEED_PORTION).await? == u64::from(FEED_PORTION) {
            self.store.lease_archiving(holder).await?;
        }
        Ok(())
    }

    /// Lets the sagas of a period leave, and returns whether the partition is gone.
    async fn leave(
        &self,
        holder: Uuid,
        period: StartPeriod,
        rules: &rules::PeriodRules,
        may_detach: bool,
        report: &mut ArchivePassReport,
    ) -> Result<bool, ArchivingError> {
        let store = &self.store;
        while !rules.all.is_empty() {
            let detaches =
                may_detach && store.staying(period, &rules.all, MOST_KEPT + 1).await? <= u64::from(MOST_KEPT);
            if !detaches && store.leaving(period, &rules.all, Uuid::nil(), 1).await?.is_empty() {
                break;
            }
            let number = store.begin_archive(period, self.clock.now().0).await?;
            let left = if detaches {
                self.detach(holder, number, period, rules).await?
            } else {
                removal::remove(self, holder, number, period, rules).await?
            };
            let Some(left) = left else { return Ok(false) };
            if left.content.streams + left.content.dropped == 0 {
                return Ok(detaches);
            }
            info!(
                archive = left.number,
                sagas = left.content.streams,
                dropped = left.content.dropped,
                file = left.content.file,
                "sagas have left the event store"
            );
            report.archives.push(left);
            if detaches {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the archive of a partition and takes the partition out; `None`: a saga changed meanwhile, or another
    /// process was faster. The next pass tries again.
    async fn detach(
        &self,
        holder: Uuid,
        number: i64,
        period: StartPeriod,
        rules: &rules::PeriodRules,
    ) -> Result<Option<ArchivedPeriod>, ArchivingError> {
        self.store.watch_partition(period).await?;
        let exported = export::partition(self, holder, number, period, rules).await?;
        let began = std::time::Instant::now();
        let outcome =
            self.store.detach_partition(number, period, &exported.kept, &exported.content, self.clock.now().0);
        match outcome.await? {
            DetachOutcome::Done => {
                let pause = Some(began.elapsed());
                Ok(Some(ArchivedPeriod { number, period, content: exported.content, pause }))
            }
            DetachOutcome::Changed | DetachOutcome::Lost => {
                self.throw_away(number).await?;
                Ok(None)
            }
        }
    }

    /// Removes the file of an attempt, and then its record.
    async fn throw_away(&self, number: i64) -> Result<(), ArchivingError> {
        if let Some(path) = self.path(number) {
            blocking(move || saga_event_store::archive::ArchiveFile::remove(&path)).await??;
        }
        Ok(self.store.withdraw_archive(number).await?)
    }

    fn name(&self, number: i64) -> String {
        archive_name(self.store.identity().installation, number, 0)
    }

    fn path(&self, number: i64) -> Option<PathBuf> {
        self.folder.as_deref().map(|folder: &Path| folder.join(self.name(number)))
    }
}

/// Checks that archives have a place.
///
/// # Errors
/// When sagas of a definition go to an archive and no folder is configured.
pub fn require_folder(retention: &[RetentionOf], folder: Option<&Path>) -> Result<(), ArchivingError> {
    match retention.iter().find(|it| it.goes_to_archive()) {
        Some(it) if folder.is_none() => Err(ArchivingError::NoFolder(it.saga.clone())),
        Some(_) | None => Ok(()),
    }
}

/// Runs work on files in a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ArchivingError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ArchivingError::Task(error.to_string()))
}

/// Whether the id of a stream is in a period.
fn is_in(period: StartPeriod, stream: Uuid) -> bool {
    let started = start_ms(stream);
    period.from_ms <= started && started < period.to_ms
}
