//! Group commit without a timer: whatever is queued goes into one transaction, and each append is answered alone.

use super::{
    retry::RetryDelays,
    store_health::{StoreHealth, StoreWriter},
};
use saga_base::operations::{OperationKind, OperationMeter};
use saga_core::id::SagaId;
use saga_event_store::{AppendOutcome, ErasedRow, EventStore, StoreError, StreamAppend, StreamErasure};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::error;
use uuid::Uuid;

/// Appends that may wait for the next transaction; beyond it the shards wait, and with them the intake.
const QUEUE_ROWS: usize = 1024;
/// Rows of one transaction: beyond 80 rows a larger batch gains little and delays its first row.
const BATCH_ROWS: usize = 256;
/// Payload bytes of one transaction, so that a batch of large payloads stays below a statement's memory.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Between two tries of a batch that the store could not take.
const RETRY_MIN: Duration = Duration::from_millis(50);
/// The longest retry delay while the store is unavailable.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// A cheap handle to a committer.
#[derive(Clone, Debug)]
pub(crate) struct GroupCommitter {
    queue: mpsc::Sender<QueuedAppend>,
}

/// The store has acknowledged one append. Made by the committer only.
#[derive(Debug)]
pub(crate) struct CommitReceipt {
    stream: Uuid,
    version: u32,
}

impl CommitReceipt {
    /// Whether it is the receipt of this version of the saga.
    pub(crate) fn is_of(&self, saga: SagaId, version: u32) -> bool {
        (self.stream, self.version) == (saga.uuid(), version)
    }

    #[cfg(test)]
    pub(crate) fn of(stream: Uuid, version: u32) -> CommitReceipt {
        CommitReceipt { stream, version }
    }
}

/// The store's answer to one append.
#[derive(Debug)]
pub(crate) enum CommitOutcome {
    /// It is in the store, and will be after any crash.
    Committed(CommitReceipt),
    /// Its business key is taken by this stream.
    DuplicateKey { stream: Uuid, payload_hash: [u8; 32] },
    /// Another decision is in the journal under the same version.
    Conflict,
    /// The shard has another owner, so the store refused the append.
    Fenced,
}

impl CommitOutcome {
    fn of(answer: &AppendOutcome, receipt: CommitReceipt) -> CommitOutcome {
        match answer {
            AppendOutcome::Committed => CommitOutcome::Committed(receipt),
            AppendOutcome::DuplicateKey { stream, payload_hash } => {
                CommitOutcome::DuplicateKey { stream: *stream, payload_hash: *payload_hash }
            }
            AppendOutcome::Conflict => CommitOutcome::Conflict,
            AppendOutcome::Fenced => CommitOutcome::Fenced,
        }
    }
}

/// The append was not committed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum CommitError {
    /// The store refuses these bytes permanently, and does not have them from an earlier try.
    #[error("the event store refuses the append: {0}")]
    Impossible(String),
    /// The committer has stopped.
    #[error("the committer has stopped")]
    Stopped,
}

#[derive(Debug)]
struct QueuedAppend {
    append: StreamAppend,
    /// The rows before it without their content, if it erases its saga.
    erased: Option<Vec<ErasedRow>>,
    reply: oneshot::Sender<Result<AppendOutcome, CommitError>>,
}

impl GroupCommitter {
    /// Starts the committer `number`. It ends when the last handle is dropped and its queue is empty.
    #[must_use]
    pub(super) fn start(
        store: Arc<dyn EventStore>,
        health: Arc<StoreHealth>,
        number: usize,
    ) -> (GroupCommitter, JoinHandle<()>) {
        let (queue, requests) = mpsc::channel(QUEUE_ROWS);
        let (writer, meter) =
            (StoreWriter::Committer(number), OperationMeter::of(OperationKind::Commit, "event store"));
        let task = tokio::spawn(run(CommitTarget { store, health, writer, meter }, requests));
        (GroupCommitter { queue }, task)
    }

    /// Appends one decision. Returns when its transaction's fate is known; a store that is unavailable, or that an
    /// operator has to repair, is waited for, with the same bytes, as often as it takes. After a crash in between the
    /// row is in the store or not, and the shard's next owner reads which. Dropping the future does not undo the
    /// append.
    ///
    /// # Errors
    /// When the store refuses the bytes permanently, or the committer has stopped.
    pub(super) async fn commit(&self, append: StreamAppend) -> Result<CommitOutcome, CommitError> {
        let receipt = CommitReceipt { stream: append.stream, version: append.version };
        Ok(CommitOutcome::of(&self.write(append, None).await?, receipt))
    }

    /// Appends the last decision of a saga and takes the content out of the rows before it, as
    /// [`GroupCommitter::commit`] appends.
    ///
    /// # Errors
    /// As [`GroupCommitter::commit`].
    pub(super) async fn erase(&self, erasure: StreamErasure) -> Result<CommitOutcome, CommitError> {
        let receipt = CommitReceipt { stream: erasure.append.stream, version: erasure.append.version };
        let answer = self.write(erasure.append, Some(erasure.rows)).await?;
        Ok(CommitOutcome::of(&answer, receipt))
    }

    async fn write(&self, append: StreamAppend, erased: Option<Vec<ErasedRow>>) -> Result<AppendOutcome, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(QueuedAppend { append, erased, reply }).await.map_err(|_| CommitError::Stopped)?;
        answer.await.unwrap_or(Err(CommitError::Stopped))
    }
}

/// The store that rows are written to, and the health that the results are reported to.
struct CommitTarget {
    store: Arc<dyn EventStore>,
    health: Arc<StoreHealth>,
    writer: StoreWriter,
    meter: OperationMeter,
}

async fn run(way: CommitTarget, mut requests: mpsc::Receiver<QueuedAppend>) {
    let mut held_over = None;
    loop {
        let first = match held_over.take() {
            Some(request) => request,
            None => match requests.recv().await {
                Some(request) => request,
                None => return,
            },
        };
        match first {
            QueuedAppend { append, erased: Some(rows), reply } => {
                drop(reply.send(erase(&way, StreamErasure { append, rows }).await));
            }
            first @ QueuedAppend { erased: None, .. } => {
                let (appends, replies) = collect(first, &mut requests, &mut held_over);
                commit(&way, appends, replies).await;
            }
        }
    }
}

type AppendReplies = Vec<oneshot::Sender<Result<AppendOutcome, CommitError>>>;

fn collect(
    first: QueuedAppend,
    requests: &mut mpsc::Receiver<QueuedAppend>,
    held_over: &mut Option<QueuedAppend>,
) -> (Vec<StreamAppend>, AppendReplies) {
    let mut bytes = first.append.bytes();
    let (mut appends, mut replies) = (vec![first.append], vec![first.reply]);
    while appends.len() < BATCH_ROWS {
        let Ok(next) = requests.try_recv() else { break };
        bytes += next.append.bytes();
        // It was taken out of the queue and cannot be put back: it begins the next batch.
        if bytes > BATCH_BYTES || next.erased.is_some() {
            *held_over = Some(next);
            break;
        }
        appends.push(next.append);
        replies.push(next.reply);
    }
    (appends, replies)
}

async fn commit(way: &CommitTarget, appends: Vec<StreamAppend>, replies: AppendReplies) {
    let started = std::time::Instant::now();
    metrics::counter!("saga_commit_rows_total").increment(appends.len() as u64);
    metrics::histogram!("saga_commit_batch_rows").record(f64::from(u16::try_from(appends.len()).unwrap_or(u16::MAX)));
    match append_until_known(way, &appends).await {
        Ok(answers) => {
            metrics::counter!("saga_commits_total").increment(1);
            metrics::histogram!("saga_commit_seconds").record(started.elapsed().as_secs_f64());
            way.meter.record(started.elapsed());
            for (reply, answer) in replies.into_iter().zip(answers) {
                drop(reply.send(Ok(answer)));
            }
        }
        // One append that is at fault must not fail the hundred that share its batch.
        Err(_) => one_by_one(way, appends, replies).await,
    }
}

/// An erasure is a transaction of its own: it is rare, and rewrites rows.
async fn erase(way: &CommitTarget, erasure: StreamErasure) -> Result<AppendOutcome, CommitError> {
    match until_known(way, 1, || async { Ok(vec![way.store.erase(&erasure).await?]) }).await {
        Ok(answers) => answers.into_iter().next().ok_or(CommitError::Stopped),
        Err(refusal) => {
            error!(error = %refusal, stream = %erasure.append.stream, "the event store refuses an erasure for good");
            Err(CommitError::Impossible(refusal.to_string()))
        }
    }
}

async fn one_by_one(way: &CommitTarget, appends: Vec<StreamAppend>, replies: AppendReplies) {
    for (append, reply) in appends.into_iter().zip(replies) {
        drop(reply.send(alone(way, &append).await));
    }
}

async fn alone(way: &CommitTarget, append: &StreamAppend) -> Result<AppendOutcome, CommitError> {
    match append_until_known(way, std::slice::from_ref(append)).await {
        Ok(answers) => answers.into_iter().next().ok_or(CommitError::Stopped),
        // An earlier try may have been committed without an answer, and the database taken against such rows only
        // since.
        Err(_) if is_there(way.store.as_ref(), append).await => Ok(AppendOutcome::Committed),
        Err(refusal) => {
            error!(error = %refusal, stream = %append.stream, version = append.version, "the event store refuses an \
             append for good");
            Err(CommitError::Impossible(refusal.to_string()))
        }
    }
}

/// Whether the row is committed under its own append id. Nothing is given up before this is known.
async fn is_there(store: &dyn EventStore, append: &StreamAppend) -> bool {
    let mut delays = delays();
    loop {
        match store.read(append.stream).await {
            Ok(rows) => {
                return rows.iter().any(|row| (row.version, row.append_id) == (append.version, append.append_id));
            }
            // What cannot be read is no use to its saga either.
            Err(error) if error.is_damage() => return false,
            Err(error) => {
                error!(%error, stream = %append.stream, "cannot read whether an append that is refused was committed \
                 before; trying again");
                delays.wait().await;
            }
        }
    }
}

/// Repeats the same bytes while the store is unavailable or a commit's fate is unknown: the key (saga, version) and the
/// append id make that safe.
///
/// # Errors
/// Only when an append of these is itself at fault.
async fn append_until_known(way: &CommitTarget, appends: &[StreamAppend]) -> Result<Vec<AppendOutcome>, StoreError> {
    until_known(way, appends.len(), || way.store.append(appends)).await
}

async fn until_known<F: Future<Output = Result<Vec<AppendOutcome>, StoreError>>>(
    way: &CommitTarget,
    rows: usize,
    mut attempt: impl FnMut() -> F,
) -> Result<Vec<AppendOutcome>, StoreError> {
    let mut delays = delays();
    way.health.begins(way.writer);
    loop {
        let appended = attempt().await;
        way.tell(&appended);
        match appended {
            Ok(answers) => return Ok(answers),
            Err(error) if is_their_fault(&error) => return Err(error),
            Err(error) if error.is_worth_waiting_at_start() => {
                way.health.missed("write rows, which are written again", &error);
            }
            Err(error) => {
                error!(%error, rows, "the event store takes no rows until an operator repairs this; the \
                 same rows wait for it");
            }
        }
        delays.wait().await;
    }
}

impl CommitTarget {
    fn tell(&self, appended: &Result<Vec<AppendOutcome>, StoreError>) {
        match appended {
            Ok(_) => self.health.confirmed(self.writer),
            Err(error) if is_their_fault(error) => self.health.given_up(self.writer),
            Err(error) => self.health.failed(self.writer, error),
        }
    }
}

/// Whether the rows are at fault, and not the store, the way to it or its operation.
fn is_their_fault(error: &StoreError) -> bool {
    match error {
        StoreError::Refused(_) | StoreError::Limit(_) | StoreError::Damaged(_) => true,
        StoreError::Unavailable(_)
        | StoreError::ReadOnly(_)
        | StoreError::Unusable(_)
        | StoreError::Schema(_)
        | StoreError::Shards { .. }
        | StoreError::Locked { .. }
        | StoreError::Keys(_)
        | StoreError::Address(_) => false,
    }
}

fn delays() -> RetryDelays {
    RetryDelays::new(RETRY_MIN, RETRY_MAX)
}

#[cfg(test)]
mod tests;
