//! The sessions of one store. Every call runs in a task of its own that nobody cancels, within a bound; a session that did not answer in time
//! is closed hard, and with it all that rest: their way is the same.

use super::{
    batch::PgQuery,
    bounds::Bounds,
    outlives::{Outlives, outlives},
    session::{self, Backend, Session},
    witness::Witness,
};
use crate::{Access, Error, Sessions};
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

/// Sessions of one engine: two committers, claims and recovery, and a few readers.
const SESSIONS: usize = 8;
/// A session that was tested so recently is not tested again: under load that would be a second round trip of every append.
const TRUSTED: Duration = Duration::from_secs(1);
/// A session is replaced after this: server processes grow, and addresses change behind a name.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Sessions that were given up, of which the server may still have the process: more than can be given up before one answers again.
const GIVEN_UP: usize = 64;

/// A cheap handle to the sessions.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: PgConnectOptions,
    access: Access,
    bounds: Bounds,
    places: Semaphore,
    /// The last one used is used first, so that those beyond need grow old.
    resting: Mutex<Vec<Session>>,
    /// Sessions of an older generation are closed when they come back.
    generation: AtomicU64,
    given_up: Mutex<Vec<Backend>>,
    /// What every new session is held against.
    witness: Arc<Witness>,
}

impl Pool {
    /// Without any session yet.
    pub(super) fn new(address: PgConnectOptions, access: Access, bounds: Bounds, witness: Arc<Witness>) -> Pool {
        Pool(Arc::new(Shared {
            options: session::options(address),
            access,
            bounds,
            places: Semaphore::new(SESSIONS),
            resting: Mutex::default(),
            generation: AtomicU64::new(0),
            given_up: Mutex::default(),
            witness,
        }))
    }

    /// All rows of one statement, which is a transaction of its own. Whoever waits for them may go away: the statement runs to its end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] also when there is no answer in time; then it is not known whether the statement took effect.
    pub(super) async fn rows(&self, query: PgQuery) -> Result<Vec<PgRow>, Error> {
        let shared = Arc::clone(&self.0);
        in_task(async move { shared.call(query).await }).await
    }

    /// As [`Pool::rows`], of a statement that has exactly one row.
    pub(super) async fn row(&self, query: PgQuery) -> Result<PgRow, Error> {
        self.rows(query).await?.pop().ok_or_else(|| Error::Unusable("a statement has no answer".into()))
    }

    /// The bounds of every call.
    pub(super) fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    /// A session outside of the pool, which ends when it is dropped.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(super) async fn open_session(&self) -> Result<Session, Error> {
        let shared = Arc::clone(&self.0);
        in_task(async move { shared.open().await }).await
    }

    /// How many of its places are taken.
    pub(super) fn sessions(&self) -> Sessions {
        let free = self.0.places.available_permits();
        Sessions { most: SESSIONS as u64, in_use: SESSIONS.saturating_sub(free) as u64 }
    }

    /// Lets a session that was opened beside rest among the others.
    pub(super) fn add(&self, session: Session) {
        self.0.keep(session);
    }
}

/// Runs in a task of its own.
pub(super) async fn in_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let task = tokio::spawn(work);
    task.await.unwrap_or_else(|error| Err(Error::Unavailable(format!("a call broke off: {error}"))))
}

impl Shared {
    async fn call(&self, query: PgQuery) -> Result<Vec<PgRow>, Error> {
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

    async fn place(&self) -> Result<SemaphorePermit<'_>, Error> {
        let place = timeout(self.bounds.acquire, self.places.acquire()).await;
        let place = place.map_err(|_| {
            Error::Unavailable(format!(
                "all {SESSIONS} connections have been in use for {:?}: it is away, or slow",
                self.bounds.acquire
            ))
        })?;
        Ok(place.expect("nobody closes the semaphore"))
    }

    /// One that rested and lives, else a new one.
    async fn session(&self) -> Result<Session, Error> {
        while let Some(mut session) = self.take_resting() {
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

    async fn open(&self) -> Result<Session, Error> {
        let generation = self.generation.load(Ordering::Acquire);
        let opening = async {
            let mut session = Session::open(&self.options, self.access, generation).await?;
            self.witness.look(&mut session).await?;
            Ok::<_, Error>(session)
        };
        let opened = timeout(self.bounds.connect, opening).await;
        let mut session = opened.map_err(|_| no_answer("a new connection", self.bounds.connect))??;
        self.end_given_up(&mut session).await?;
        Ok(session)
    }

    fn take_resting(&self) -> Option<Session> {
        locked(&self.resting).pop()
    }

    fn keep(&self, session: Session) {
        let is_of_use = session.generation == self.generation.load(Ordering::Acquire);
        if is_of_use && session.opened.elapsed() < LIFETIME {
            locked(&self.resting).push(session);
        }
    }

    /// After an answer that is an error: of the statement alone, or of the session, and then of all that have the same server.
    fn settle(&self, session: Session, error: &sqlx::Error) {
        match outlives(error) {
            Outlives::Session => self.keep(session),
            Outlives::Others => drop(session),
            Outlives::Nothing => self.discard(&error.to_string()),
        }
    }

    /// Closes a session that does not answer, hard: nothing is said to the server, which may not hear it.
    fn give_up(&self, session: Session, waited: Duration) {
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
        let closed = std::mem::take(&mut *locked(&self.resting)).len();
        warn_of_discard(why, closed);
    }

    /// Their answers are heard by nobody, and what they hold keeps appends and claims waiting. What is not ended here ends by the server's
    /// own bounds.
    ///
    /// # Errors
    /// When the new session does not answer either.
    async fn end_given_up(&self, session: &mut Session) -> Result<(), Error> {
        let given_up = std::mem::take(&mut *locked(&self.given_up));
        if given_up.is_empty() {
            return Ok(());
        }
        let (pids, started): (Vec<i32>, Vec<String>) = given_up.iter().map(|it| (it.pid, it.started.clone())).unzip();
        let ending = sqlx::query(include_str!("sql/end_abandoned.sql")).bind(pids).bind(started);
        let row = timeout(self.bounds.test, ending.fetch_one(&mut session.connection)).await;
        let row = row.map_err(|_| no_answer("a new connection", self.bounds.test))??;
        let ended: i64 = row.try_get("ended")?;
        info!(
            given_up = given_up.len(),
            ended, "connections that had not answered were ended on the database's server"
        );
        Ok(())
    }
}

fn warn_of_discard(why: &str, closed: usize) {
    warn!(
        why,
        resting = closed,
        "a connection to the event store is closed, and with it all that rest: they have the same way and server"
    );
}

fn no_answer(of: &str, within: Duration) -> Error {
    Error::Unavailable(format!("{of} had no answer within {within:?}; the connection is closed"))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
