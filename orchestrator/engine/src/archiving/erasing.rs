//! Erases sagas that have left the store.
//!
//! First the act is on record, and the data key of the saga is gone. Only then files are written anew: an effect of the
//! act, which every later pass makes up for.

use super::{
    left::{self, LeftSagaError, LeftSagaLookup},
    rewriting::FileRewriter,
};
use crate::{
    act_preview::{self, ActPreviewOutcome, ActPreviewer},
    act_trail,
    journal::{
        self, JournalAccess, JournalError, RecordedSaga, codec,
        erasing::{ended_unread, erased_by, erased_rows},
    },
    row,
};
use saga_base::clock::EngineClock;
use saga_core::{
    decide::{self, ActMetadata, DecisionOutcome},
    event::{OperatorAction, SagaDecision},
    id::SagaId,
    input::{OperatorAct, SagaInput},
    time::Timestamp,
};
use saga_event_store::{
    ArchivedErasure, EventStore, JournalReader as _, OpenedArchive, StreamAct, StreamRow, StreamSummary,
    archive::ArchivedStream,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;
use uuid::Uuid;

/// Requests that wait for the files: more than there are people who wait for one.
const MOST_WAITING: usize = 256;
/// How long an act waits until files are written anew.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two tries to get the right to archive, while a person waits.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Reruns of reruns that are looked at: more than a person begins.
const MOST_RERUNS: usize = 100;
/// Tries to decide, each by what is on record then.
const TRIES: u32 = 3;

/// What became of the erasure of a saga that has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeftErasureOutcome {
    /// No archive has the saga.
    Unknown,
    /// It is on record.
    Recorded {
        /// Why a file can still have content; `None`: none has.
        left: Option<String>,
    },
    /// The act was on record already.
    Repeated {
        /// Since when.
        at: Timestamp,
    },
    /// The saga cannot be erased, or not now.
    Refused(String),
}

/// Whether the caller waits until files are written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RewriteWait {
    /// A person waits.
    Await,
    /// Many sagas are erased: their files are written anew together.
    Later,
}

/// Of a saga that was erased with others, before their files are written.
const WRITTEN_NEXT: &str = "its archive file is written anew together with those of other sagas; `saga archive list` \
                            says if that is still to be done";
/// Of a saga whose file was not written within [`PATIENCE`].
const NOT_WRITTEN: &str = "its archive file was not written anew within 8 seconds. Engines try again every five \
                           minutes; `saga archive list` says if it is still to be done, and the engine's log what \
                           hinders it";

/// A saga as its archive has it.
struct LeftJournal {
    opened: OpenedArchive,
    /// With its rows opened, if they can be.
    stream: ArchivedStream,
    folded: Result<RecordedSaga, JournalError>,
}

/// What would be decided of a saga that has left.
enum LeftDecision {
    Unknown,
    Refused(String),
    Repeated(Timestamp),
    Erased(Box<ArchivedErasure>),
}

/// Erases sagas that have left the store. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveEraser {
    journal: JournalAccess,
    previewer: ActPreviewer,
    folder: Option<Arc<PathBuf>>,
    requests: mpsc::Sender<Option<oneshot::Sender<()>>>,
}

impl ArchiveEraser {
    /// The handle, and the task that writes files anew. It ends with the last handle.
    pub(crate) fn new(
        journal: JournalAccess,
        previewer: ActPreviewer,
        folder: Option<PathBuf>,
        clock: EngineClock,
    ) -> (ArchiveEraser, RewriteTask) {
        let (requests, incoming) = mpsc::channel(MOST_WAITING);
        let task = RewriteTask { journal: journal.clone(), folder: folder.clone(), clock, incoming };
        (ArchiveEraser { journal, previewer, folder: folder.map(Arc::new), requests }, task)
    }

    /// What `name` means among the sagas that have left.
    ///
    /// # Errors
    /// As [`left::find`].
    pub(crate) async fn find(&self, name: &str, saga: Option<&str>) -> Result<LeftSagaLookup, LeftSagaError> {
        left::find(self.store(), self.folder(), name, saga).await
    }

    /// The other sagas that one trigger led to by reruns, without the ones that are erased: what this saga runs again,
    /// and what runs it again. Each has the trigger, and what it took over. At most [`MOST_RERUNS`], oldest first.
    ///
    /// # Errors
    /// As [`left::find`].
    pub(crate) async fn reruns_of(&self, saga: SagaId) -> Result<Vec<SagaId>, LeftSagaError> {
        let Some(summary) = self.summary(saga).await? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut next = Some(self.first_run(saga).await);
        while let Some(one) = next.filter(|_| found.len() < MOST_RERUNS) {
            let is_open_to_it = one != saga && !self.is_erased(one).await?;
            found.extend(is_open_to_it.then_some(one));
            next = journal::reruns::of(self.store(), &summary.category, one).await?.map(|rerun| rerun.id);
        }
        Ok(found)
    }

    /// Whether the saga is erased, in the store or in an archive.
    ///
    /// # Errors
    /// As [`left::find`].
    pub(crate) async fn is_erased(&self, saga: SagaId) -> Result<bool, LeftSagaError> {
        Ok(self.summary(saga).await?.is_some_and(|it| it.erased_at_ms.is_some()))
    }

    /// The saga that no other one runs again, as far as journals can be read.
    async fn first_run(&self, saga: SagaId) -> SagaId {
        let mut first = saga;
        for _ in 0..MOST_RERUNS {
            match self.origin(first).await {
                Some(earlier) => first = earlier,
                None => break,
            }
        }
        first
    }

    async fn origin(&self, saga: SagaId) -> Option<SagaId> {
        let recorded = match self.journal.read(saga).await {
            Ok(Some(recorded)) => recorded,
            Ok(None) | Err(_) => self.read(saga).await.ok()??.folded.ok()?,
        };
        recorded.state.forked_from.as_ref().map(|origin| origin.saga)
    }

    /// As the store or an archive has it.
    async fn summary(&self, saga: SagaId) -> Result<Option<StreamSummary>, LeftSagaError> {
        if let Some(summary) = self.store().summary(saga.uuid()).await? {
            return Ok(Some(summary));
        }
        let Some(left) = left::find_id(self.store(), self.folder(), saga).await? else { return Ok(None) };
        Ok(left.archive.stream(saga.uuid()).await?.map(|it| it.summary))
    }

    /// Whether only an archive can have the saga.
    pub(crate) async fn has_left(&self, saga: SagaId) -> bool {
        let store = self.store();
        let in_store = async {
            Ok::<_, saga_event_store::StoreError>((
                store.summary(saga.uuid()).await?,
                store.last_version(saga.uuid()).await?,
            ))
        };
        matches!(in_store.await, Ok((None, None)))
    }

    /// Erases the saga, and waits a while for its files if `wait` says so. Once it is on record, its files are written
    /// anew at the latest by a later pass.
    pub(crate) async fn erase(&self, saga: SagaId, act: &OperatorAct, wait: RewriteWait) -> LeftErasureOutcome {
        for _ in 0..TRIES {
            let erasure = match self.decided(saga, act).await {
                Ok(LeftDecision::Erased(erasure)) => with_trail(*erasure, act),
                Ok(LeftDecision::Unknown) => return LeftErasureOutcome::Unknown,
                Ok(LeftDecision::Refused(reason)) | Err(reason) => return LeftErasureOutcome::Refused(reason),
                Ok(LeftDecision::Repeated(at)) => return LeftErasureOutcome::Repeated { at },
            };
            match self.store().erase_archived(&erasure).await {
                Ok(true) => return LeftErasureOutcome::Recorded { left: self.rewritten(saga, wait).await },
                // Somebody was faster, or an answer was lost: what is on record says which.
                Ok(false) => {}
                Err(error) => return LeftErasureOutcome::Refused(unanswered(&error)),
            }
        }
        LeftErasureOutcome::Refused("others erase the saga at the same time: look at `saga audit`".to_owned())
    }

    /// What the erasure would lead to; `None`: no archive has the saga.
    pub(crate) async fn preview(&self, saga: SagaId, act: &OperatorAct) -> Option<ActPreviewOutcome> {
        match self.read(saga).await {
            Ok(None) => None,
            Ok(Some(LeftJournal { folded: Ok(recorded), .. })) => Some(self.previewer.preview_of(recorded, act)),
            Ok(Some(LeftJournal { stream, folded: Err(_), .. })) => Some(act_preview::of_unread(&stream.summary)),
            Err(reason) => Some(ActPreviewOutcome::Refused { reason }),
        }
    }

    async fn decided(&self, saga: SagaId, act: &OperatorAct) -> Result<LeftDecision, String> {
        let Some(LeftJournal { opened, stream, folded }) = self.read(saga).await? else {
            return Ok(LeftDecision::Unknown);
        };
        let Ok(recorded) = folded else { return unread(stream, act, self.previewer.now()) };
        let applied = recorded.state.acts.find(&act.id).map(|acted| acted.at);
        match self.previewer.decide(recorded, &SagaInput::Operator(act.clone())) {
            Some((DecisionOutcome::Refused(refused), _)) => Ok(LeftDecision::Refused(refused.to_string())),
            Some((DecisionOutcome::Decided(decision), _)) => {
                self.erasure(&opened, stream, &decision).await.map(LeftDecision::Erased)
            }
            Some((DecisionOutcome::Ignored(_) | DecisionOutcome::Noted, _)) | None => match applied {
                Some(at) => Ok(LeftDecision::Repeated(at)),
                None => Err(format!("what the erasure of {saga} would lead to cannot be told")),
            },
        }
    }

    /// The saga as its archive has it.
    async fn read(&self, saga: SagaId) -> Result<Option<LeftJournal>, String> {
        let found = left::find_id(self.store(), self.folder(), saga).await.map_err(|error| error.to_string())?;
        let Some(left) = found else { return Ok(None) };
        let Some(mut stream) = left.archive.stream(saga.uuid()).await.map_err(|error| unanswered(&error))? else {
            return Ok(None);
        };
        let opened = OpenedArchive::new(left.archive, Arc::clone(self.journal.store()));
        let folded = match opened.read(saga.uuid()).await {
            Ok(rows) => {
                stream.rows.clone_from(&rows);
                journal::fold(&opened, self.journal.plans(), saga, rows).await
            }
            Err(error) => Err(JournalError::of(saga, error)),
        };
        match folded {
            Err(JournalError::Store(error)) => Err(unanswered(&error)),
            folded => Ok(Some(LeftJournal { opened, stream, folded })),
        }
    }

    /// The saga without its content, with the row of the act. It was folded, so it will be read.
    async fn erasure(
        &self,
        opened: &OpenedArchive,
        stream: ArchivedStream,
        decision: &SagaDecision,
    ) -> Result<Box<ArchivedErasure>, String> {
        let saga = SagaId::from_uuid(stream.summary.stream).ok_or("the saga has no id of this product")?;
        let rows = without_content(&stream.rows, decision).map_err(|error| error.to_string())?;
        let folded = journal::fold(opened, self.journal.plans(), saga, rows.clone()).await;
        let RecordedSaga { plan, state, .. } = folded.map_err(|error| journal::shown::unreadable(&error))?;
        let act = row::act(&plan, decision).ok_or("the decision records no act")?;
        let shown = row::summary(&plan, &state, &row::ReadModelState::of(&plan, &state));
        let summary = StreamSummary {
            status: shown.status,
            step: shown.step,
            reason: shown.reason,
            updated_at_ms: decision.at.0,
            flags: shown.flags,
            code: shown.code,
            erased_at_ms: Some(decision.at.0),
            ..stream.summary
        };
        Ok(Box::new(ArchivedErasure { erased: ArchivedStream { summary, shard: stream.shard, rows }, act }))
    }

    /// Has the files written anew; why one can still have content.
    async fn rewritten(&self, saga: SagaId, wait: RewriteWait) -> Option<String> {
        let (done, written) = oneshot::channel();
        let waiter = (wait == RewriteWait::Await).then_some(done);
        // A later pass does what does not get through.
        if self.requests.try_send(waiter).is_ok() && wait == RewriteWait::Await {
            drop(tokio::time::timeout(PATIENCE, written).await);
        }
        match (self.store().pending_erasure(saga.uuid()).await, wait) {
            (Ok(None), _) => None,
            (Ok(Some(_)) | Err(_), RewriteWait::Later) => Some(WRITTEN_NEXT.to_owned()),
            (Ok(Some(_)) | Err(_), RewriteWait::Await) => Some(NOT_WRITTEN.to_owned()),
        }
    }

    fn store(&self) -> &dyn EventStore {
        self.journal.store().as_ref()
    }

    fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref().map(PathBuf::as_path)
    }
}

/// Whether an act can be about a saga that has left.
pub(crate) fn reaches_archives(action: OperatorAction) -> bool {
    match action {
        OperatorAction::Erase => true,
        OperatorAction::Retry
        | OperatorAction::Skip
        | OperatorAction::Cancel
        | OperatorAction::Abandon
        | OperatorAction::Migrate => false,
    }
}

/// With from where the act came, and how the saga stood: it has ended, and keeps its status.
fn with_trail(erasure: ArchivedErasure, by: &OperatorAct) -> ArchivedErasure {
    let ArchivedErasure { erased, act } = erasure;
    let summary = &erased.summary;
    let told =
        |is_erased| act_trail::told((&summary.status, summary.step.as_deref(), Some(&summary.document)), is_erased);
    let (before, after) = (Some(told(false)), Some(told(true)));
    let act = StreamAct { source: act_trail::source(&by.origin), before, after, ..act };
    ArchivedErasure { erased, act }
}

fn unanswered(error: &saga_event_store::StoreError) -> String {
    format!("the erasure is not on record: {error}. Send it again under the same id")
}

/// The erasure of a saga whose journal cannot be read, by what the archive says of it beside its rows.
fn unread(stream: ArchivedStream, act: &OperatorAct, now: Timestamp) -> Result<LeftDecision, String> {
    let last = stream.rows.last();
    if erased_by(&stream.rows).is_some_and(|id| id == act.id) {
        return Ok(LeftDecision::Repeated(Timestamp(last.map_or(0, |row| row.recorded_at_ms))));
    }
    if let Err(refusal) = ended_unread(&stream.summary) {
        return Ok(LeftDecision::Refused(refusal.to_owned()));
    }
    let at = now.max(Timestamp(stream.summary.updated_at_ms));
    let version = last.map_or(1, |row| row.version.saturating_add(1));
    let metadata = ActMetadata { id: &act.id, who: &act.who, reason: &act.reason };
    let decision = decide::erase_unread(version, at, metadata);
    let rows = without_content(&stream.rows, &decision).map_err(|error| error.to_string())?;
    let summary = StreamSummary { reason: None, updated_at_ms: at.0, erased_at_ms: Some(at.0), ..stream.summary };
    let act = row::acted_as(&act.id, &act.who, &act.reason, OperatorAction::Erase.as_str().to_owned());
    let erased = ArchivedStream { summary, shard: stream.shard, rows };
    Ok(LeftDecision::Erased(Box::new(ArchivedErasure { erased, act })))
}

fn without_content(
    rows: &[StreamRow],
    decision: &SagaDecision,
) -> Result<Vec<StreamRow>, journal::codec::RowEncodeError> {
    let erased = erased_rows(rows, decision.version)?;
    let without =
        |(row, erased): (&StreamRow, saga_event_store::ErasedRow)| StreamRow { payload: erased.payload, ..row.clone() };
    let mut rows: Vec<StreamRow> = rows.iter().zip(erased).map(without).collect();
    rows.push(StreamRow {
        version: decision.version,
        recorded_at_ms: decision.at.0,
        append_id: Uuid::from_u128(fastrand::u128(..)),
        payload: codec::encode(decision)?,
    });
    Ok(rows)
}

/// Writes files anew when an erasure was recorded.
#[derive(Debug)]
pub(crate) struct RewriteTask {
    journal: JournalAccess,
    folder: Option<PathBuf>,
    clock: EngineClock,
    incoming: mpsc::Receiver<Option<oneshot::Sender<()>>>,
}

impl RewriteTask {
    /// Runs until no handle is left. What is asked for while files are written is done together afterwards.
    pub(crate) async fn run(mut self) {
        while let Some(first) = self.incoming.recv().await {
            let mut waiters = vec![first];
            while let Ok(more) = self.incoming.try_recv() {
                waiters.push(more);
            }
            let is_awaited = waiters.iter().any(Option::is_some);
            let began = tokio::time::Instant::now();
            self.rewrite(if is_awaited { PATIENCE } else { Duration::ZERO }).await;
            let took = began.elapsed();
            for waiter in waiters.into_iter().flatten() {
                let _gone_by_now = waiter.send(());
            }
            if !is_awaited {
                // A job erases many sagas of one file: it is written seldom.
                tokio::time::sleep(took * 4).await;
            }
        }
    }

    async fn rewrite(&self, patience: Duration) {
        let until = tokio::time::Instant::now() + patience;
        loop {
            match self.under_lease().await {
                Ok(false) if tokio::time::Instant::now() < until => tokio::time::sleep(TRY_AGAIN).await,
                // The pass that is under way does it at its end.
                Ok(_) => return,
                Err(error) => {
                    warn!(%error, "erased sagas may still have content in archives; the next try is later");
                    return;
                }
            }
        }
    }

    async fn under_lease(&self) -> Result<bool, super::ArchivingError> {
        let (store, holder) = (self.journal.store(), Uuid::new_v4());
        if !store.lease_archiving(holder).await? {
            return Ok(false);
        }
        let rewriter =
            FileRewriter { store: Arc::clone(store), folder: self.folder.clone(), clock: self.clock, holder };
        let done = rewriter.finish_erasures().await;
        // Without this the next pass would wait until the lease ends.
        if let Err(error) = store.release_archiving(holder).await {
            warn!(%error, "the right to archive is not given back; it ends by itself");
        }
        done.map(|()| true)
    }
}
