//! Group commit without a timer: whatever is queued goes into one transaction, and each append is answered alone.

use backon::{BackoffBuilder, ExponentialBuilder};
use saga_event_store::{Append, Appended, Error, EventStore};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::{error, warn};

/// Appends that may wait for the next transaction; beyond it the shards wait, and with them the intake.
const QUEUE_ROWS: usize = 1024;
/// Rows of one transaction: beyond 80 rows a larger batch gains little and delays its first row.
const BATCH_ROWS: usize = 256;
/// Payload bytes of one transaction, so that a batch of large payloads stays below a statement's memory.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Between two tries of a batch that the store could not take.
const RETRY_MIN: Duration = Duration::from_millis(50);
/// The longest rest between two tries while the store is away.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// A cheap handle to a committer.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Request>,
}

/// The store cannot take the append, now or ever.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NotCommitted {
    /// The store refuses these bytes for good.
    #[error("the event store refuses the append: {0}")]
    Impossible(String),
    /// The committer has stopped.
    #[error("the committer has stopped")]
    Stopped,
}

#[derive(Debug)]
struct Request {
    append: Append,
    reply: oneshot::Sender<Result<Appended, NotCommitted>>,
}

impl Committer {
    /// Starts a committer. It ends when the last handle is dropped and its queue is empty.
    #[must_use]
    pub(super) fn start(store: Arc<dyn EventStore>) -> (Committer, JoinHandle<()>) {
        let (queue, requests) = mpsc::channel(QUEUE_ROWS);
        let task = tokio::spawn(run(store, requests));
        (Committer { queue }, task)
    }

    /// Appends one decision. Returns when its transaction's fate is known; a store that is away is waited for, with the same bytes, as
    /// often as it takes. Dropping the future does not undo the append.
    ///
    /// # Errors
    /// When the store refuses the bytes for good, or the committer has stopped.
    pub(super) async fn append(&self, append: Append) -> Result<Appended, NotCommitted> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request { append, reply }).await.map_err(|_| NotCommitted::Stopped)?;
        answer.await.unwrap_or(Err(NotCommitted::Stopped))
    }
}

async fn run(store: Arc<dyn EventStore>, mut requests: mpsc::Receiver<Request>) {
    let mut held_over = None;
    loop {
        let first = match held_over.take() {
            Some(request) => request,
            None => match requests.recv().await {
                Some(request) => request,
                None => return,
            },
        };
        let (appends, replies) = collect(first, &mut requests, &mut held_over);
        commit(store.as_ref(), appends, replies).await;
    }
}

type Replies = Vec<oneshot::Sender<Result<Appended, NotCommitted>>>;

fn collect(
    first: Request,
    requests: &mut mpsc::Receiver<Request>,
    held_over: &mut Option<Request>,
) -> (Vec<Append>, Replies) {
    let mut bytes = first.append.payload.len();
    let (mut appends, mut replies) = (vec![first.append], vec![first.reply]);
    while appends.len() < BATCH_ROWS {
        let Ok(next) = requests.try_recv() else { break };
        bytes += next.append.payload.len();
        if bytes > BATCH_BYTES {
            *held_over = Some(next);
            break;
        }
        appends.push(next.append);
        replies.push(next.reply);
    }
    (appends, replies)
}

async fn commit(store: &dyn EventStore, appends: Vec<Append>, replies: Replies) {
    let started = std::time::Instant::now();
    metrics::counter!("saga_commit_rows_total").increment(appends.len() as u64);
    match append_until_known(store, &appends).await {
        Ok(answers) => {
            metrics::counter!("saga_commits_total").increment(1);
            metrics::histogram!("saga_commit_seconds").record(started.elapsed().as_secs_f64());
            for (reply, answer) in replies.into_iter().zip(answers) {
                drop(reply.send(Ok(answer)));
            }
        }
        Err(error) if appends.len() == 1 => refuse(replies, &error),
        Err(_) => one_by_one(store, appends, replies).await,
    }
}

/// One impossible append must not fail the hundred that share its batch.
async fn one_by_one(store: &dyn EventStore, appends: Vec<Append>, replies: Replies) {
    for (append, reply) in appends.into_iter().zip(replies) {
        match append_until_known(store, std::slice::from_ref(&append)).await {
            Ok(answers) => drop(reply.send(answers.into_iter().next().ok_or(NotCommitted::Stopped))),
            Err(error) => refuse(vec![reply], &error),
        }
    }
}

fn refuse(replies: Replies, error: &Error) {
    error!(%error, "the event store refuses an append for good");
    for reply in replies {
        drop(reply.send(Err(NotCommitted::Impossible(error.to_string()))));
    }
}

/// Repeats the same bytes while the store is away or a commit's fate is unknown: the key (saga, version) and the append id make that safe.
async fn append_until_known(store: &dyn EventStore, appends: &[Append]) -> Result<Vec<Appended>, Error> {
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(RETRY_MIN)
        .with_max_delay(RETRY_MAX)
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        match store.append(appends).await {
            Ok(answers) => return Ok(answers),
            Err(error) if error.is_transient() => {
                warn!(%error, rows = appends.len(), "the event store is away; the same rows are written again when it answers");
                tokio::time::sleep(delays.next().unwrap_or(RETRY_MAX)).await;
            }
            Err(error) => return Err(error),
        }
    }
}
