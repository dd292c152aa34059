//! The sessions of one store. Every call runs in a task of its own that nothing cancels, and ends within its bound. The
//! pool closes a session that did not answer in time, and all idle sessions with it, because they use the same network
//! path and server.

use super::{
    batch::PgQuery,
    bounds::PostgresTimeouts,
    outlives::{SurvivingSessions, outlives},
    session::{self, BackendProcess, PostgresSession},
    witness::PostgresWitness,
};
use crate::{SessionUsage, StoreAccess, StoreError};
use sqlx::{
    Row as _,
    postgres::{PgConnectOptions, PgRow},
};
use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tracing::{info, warn};

/// Sessions of one engine: two committers, claims and recovery, and some readers.
const SESSIONS: usize = 8;
/// The pool does not test a session again that was tested within this time. Under load the test would be a second round
/// trip for each append.
const TRUSTED: Duration = Duration::from_secs(1);
/// The pool replaces a session after this time: server processes grow, and the address of a host name changes.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The most sessions to remember that did not answer. The server may still have their processes. More cannot be closed
/// before a session answers again.
const GIVEN_UP: usize = 64;

/// A cheap handle to the sessions.
#[derive(Clone, Debug)]
pub(super) struct SessionPool(Arc<SessionPoolState>);

#[derive(Debug)]
struct SessionPoolState {
    options: PgConnectOptions,
    access: StoreAccess,
    bounds: PostgresTimeouts,
    places: Semaphore,
    /// Idle sessions. The pool takes the one that was used last, so that sessions that are not needed reach their
    /// lifetime.
    idle: Mutex<Vec<PostgresSession>>,
    /// Raised when all sessions are closed. The pool closes a session of an older generation when its call returns it.
    generation: AtomicU64,
    given_up: Mutex<Vec<BackendProcess>>,
    /// Compares every new session with what this process knows.
    witness: Arc<PostgresWitness>,
}

impl SessionPool {
    /// A pool without sessions.
    pub(super) fn new(
        address: PgConnectOptions,
        access: StoreAccess,
        bounds: PostgresTimeouts,
        witness: Arc<PostgresWitness>,
    ) -> SessionPool {
        SessionPool(Arc::new(SessionPoolState {
            options: session::options(address),
            access,
            bounds,
            places: Semaphore::new(SESSIONS),
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            given_up: Mutex::default(),
            witness,
        }))
    }

    /// Runs one statement, which is a transaction of its own, and returns all rows. If the caller drops the future, the
    /// statement still runs to its end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] also when there is no answer in time. The caller does not know then whether the
    /// statement took effect.
    pub(super) async fn rows(&self, query: PgQuery) -> Result<Vec<PgRow>, StoreError> {
        let shared = Arc::clone(&self.0);
        in_task(async move { shared.call(query).await }).await
    }

    /// As [`SessionPool::rows`], for a statement that returns exactly one row.
    pub(super) async fn row(&self, query: PgQuery) -> Result<PgRow, StoreError> {
        self.rows(query).await?.pop().ok_or_else(|| StoreError::Unusable("a statement has no answer".into()))
    }

    /// The time limits for calls.
    pub(super) fn bounds(&self) -> PostgresTimeouts {
        self.0.bounds
    }

    /// Opens a session outside of the pool. It ends when the caller drops it.
    ///
    /// # Errors
    /// As [`PostgresSession::open`].
    pub(super) async fn open_session(&self) -> Result<PostgresSession, StoreError> {
        let shared = Arc::clone(&self.0);
        in_task(async move { shared.open().await }).await
    }

    /// How many calls have a session or open one.
    pub(super) fn sessions(&self) -> SessionUsage {
        let free = self.0.places.available_permits();
        SessionUsage { most: SESSIONS as u64, in_use: SESSIONS.saturating_sub(free) as u64 }
    }

    /// Adds a session that was opened outside of the pool to the idle ones.
    pub(super) fn add(&self, session: PostgresSession) {
        self.0.keep(session);
    }
}

/// Runs in a task of its own, which continues if the caller drops the future. A cancelled statement would leave its
/// session in an unknown state.
pub(super) async fn in_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let task = tokio::spawn(work);
    task.await.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the task of a call failed: {error}"))))
}

impl SessionPoolState {
    async fn call(&self, query: PgQuery) -> Result<Vec<PgRow>, StoreError> {
        let _place = self.place().await?;
        let mut session = self.session().await?;
        match timeout(self.bounds.call, query.fetch_all(&mut session.connection)).await {
            Ok(Ok(rows)) => {
                self.keep(session);
                Ok(rows)
            }
            Ok(Err(error)) => {
                self.settle(session, &error);
                Err(error.into())
            }
            Err(_) => {
                self.give_up(session, self.bounds.call);
                Err(no_answer("a statement", self.bounds.call))
            }
        }
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let place = timeout(self.bounds.acquire, self.places.acquire()).await;
        let place = place.map_err(|_| {
            StoreError::Unavailable(format!(
                "all {SESSIONS} connections have been in use for {:?}: the database is unavailable or slow",
                self.bounds.acquire
            ))
        })?;
        Ok(place.expect("the semaphore is never closed"))
    }

    /// An idle session that passes its test, else a new one.
    async fn session(&self) -> Result<PostgresSession, StoreError> {
        while let Some(mut session) = self.take_idle() {
            if session.tested.elapsed() <= TRUSTED {
                return Ok(session);
            }
            match timeout(self.bounds.test, session.test()).await {
                Ok(Ok(())) => return Ok(session),
                Ok(Err(error)) if error.is_worth_waiting_at_start() => self.discard(&error.to_string()),
                Ok(Err(error)) => {
                    self.discard(&error.to_string());
                    return Err(error);
                }
                Err(_) => self.give_up(session, self.bounds.test),
            }
        }
        self.open().await
    }

    async fn open(&self) -> Result<PostgresSession, StoreError> {
        let generation = self.generation.load(Ordering::Acquire);
        let opening = async {
            let mut session = PostgresSession::open(&self.options, self.access, generation).await?;
            self.witness.look(&mut session).await?;
            Ok::<_, StoreError>(session)
        };
        let opened = timeout(self.bounds.connect, opening).await;
        let mut session = opened.map_err(|_| no_answer("a new connection", self.bounds.connect))??;
        self.end_given_up(&mut session).await?;
        Ok(session)
    }

    fn take_idle(&self) -> Option<PostgresSession> {
        locked(&self.idle).pop()
    }

    fn keep(&self, session: PostgresSession) {
        let is_of_use = session.generation == self.generation.load(Ordering::Acquire);
        if is_of_use && session.opened.elapsed() < LIFETIME {
            locked(&self.idle).push(session);
        }
    }

    /// Decides after an error which sessions stay in the pool.
    fn settle(&self, session: PostgresSession, error: &sqlx::Error) {
        match outlives(error) {
            SurvivingSessions::Session => self.keep(session),
            SurvivingSessions::Others => drop(session),
            SurvivingSessions::Nothing => self.discard(&error.to_string()),
        }
    }

    /// Closes a session that does not answer, without a message to the server: the network may be silent.
    fn give_up(&self, session: PostgresSession, waited: Duration) {
        {
            let mut given_up = locked(&self.given_up);
            given_up.truncate(GIVEN_UP - 1);
            given_up.insert(0, session.backend.clone());
        }
        drop(session);
        self.discard(&format!("no answer within {waited:?}"));
    }

    fn discard(&self, why: &str) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let closed = std::mem::take(&mut *locked(&self.idle)).len();
        warn_of_discard(why, closed);
    }

    /// Ends server processes of sessions that this process closed. Nothing reads their answers, and their locks let
    /// appends and claims wait. A process that this call does not end reaches the time limits of the server.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the new session does not answer either.
    async fn end_given_up(&self, session: &mut PostgresSession) -> Result<(), StoreError> {
        let given_up = std::mem::take(&mut *locked(&self.given_up));
        if given_up.is_empty() {
            return Ok(());
        }
        let (pids, started): (Vec<i32>, Vec<String>) = given_up.iter().map(|it| (it.pid, it.started.clone())).unzip();
        let ending = sqlx::query(include_str!("sql/end_abandoned.sql")).bind(pids).bind(started);
        let row = timeout(self.bounds.test, ending.fetch_one(&mut session.connection)).await;
        let row = row.map_err(|_| no_answer("a new connection", self.bounds.test))??;
        let ended: i64 = row.try_get("ended")?;
        info!(given_up = given_up.len(), ended, "the server ended the processes of connections that had not answered");
        Ok(())
    }
}

fn warn_of_discard(why: &str, closed: usize) {
    warn!(
        why,
        idle = closed,
        "the engine closes a connection to the event store and all idle ones, \
         because they use the same network path and server"
    );
}

fn no_answer(of: &str, within: Duration) -> StoreError {
    StoreError::Unavailable(format!("{of} had no answer within {within:?}; the engine closed the connection"))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
