//! A handler, run within the barrier: enter, perform, keep, commit.

use crate::{
    answer::Answer,
    barrier::{Barrier, Before, Entered, Store},
    command::{Command, CommandId},
};
use sqlx::{Connection, Pool, Transaction};
use std::{error::Error, future::Future, sync::Arc};
use tracing::{debug, warn};

/// Code of a failure of the service's own: rolled back, and another attempt may succeed.
pub const TEMPORARY: &str = "temporary";

/// Why a handler could not come to an answer. It is logged, and told to nobody: the transaction is rolled back, and the answer is a
/// failure that may be retried.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// What a service does with its commands.
pub trait Handler<DB: sqlx::Database>: Send + Sync + 'static {
    /// Performs `command` with `tx` alone, whose transaction is committed together with the answer if that is final, and otherwise rolled
    /// back. Called only when there is something to do. Whatever is done elsewhere (a call to a bank) is not undone by a rollback, and needs
    /// the command's id as its own key there.
    fn perform(
        &self,
        tx: &mut DB::Connection,
        command: &Command,
        before: Before,
    ) -> impl Future<Output = Result<Answer, HandlerError>> + Send;
}

/// Whoever answers commands: a [`Participant`], or what a service makes of its own.
pub trait Answering: Send + Sync + 'static {
    /// The answer to `command`, final or not.
    fn answer(&self, command: Command) -> impl Future<Output = Result<Answer, Unsettled>> + Send;
}

/// Whether the command's effect was committed is not known, and could not be found out: nothing may be said of it. Over HTTP this is a
/// 503; from a topic there is no reply. The command comes again.
#[derive(Debug, thiserror::Error)]
#[error("what became of `{command}` is not known")]
pub struct Unsettled {
    /// The command.
    pub command: CommandId,
    /// What happened to the commit.
    pub source: sqlx::Error,
}

/// A [`Handler`] behind a [`Barrier`]. Cheap to clone.
#[derive(Debug)]
pub struct Participant<DB: sqlx::Database, H> {
    inner: Arc<Inner<DB, H>>,
}

#[derive(Debug)]
struct Inner<DB: sqlx::Database, H> {
    pool: Pool<DB>,
    barrier: Barrier<DB>,
    handler: H,
}

/// How far a command came.
enum Run {
    Answered(Answer),
    /// Nothing happened, for certain.
    Nothing(HandlerError),
    /// The commit was asked for and not confirmed.
    Unconfirmed(sqlx::Error),
}

impl<DB: sqlx::Database, H> Clone for Participant<DB, H> {
    fn clone(&self) -> Self {
        Participant { inner: Arc::clone(&self.inner) }
    }
}

impl<DB: Store, H: Handler<DB>> Participant<DB, H> {
    /// Commands are performed by `handler`, each in a transaction on a connection of `pool`.
    #[must_use]
    pub fn new(pool: Pool<DB>, barrier: Barrier<DB>, handler: H) -> Self {
        Participant { inner: Arc::new(Inner { pool, barrier, handler }) }
    }
}

impl<DB: Store, H: Handler<DB>> Answering for Participant<DB, H> {
    /// In a task of its own: a caller that goes away does not leave a transaction behind.
    async fn answer(&self, command: Command) -> Result<Answer, Unsettled> {
        let inner = Arc::clone(&self.inner);
        let id = command.id.clone();
        let done = tokio::spawn(async move { inner.settle(&command).await }).await;
        done.unwrap_or_else(|panic| {
            warn!(command = %id, %panic, "the handler of a command panicked; nothing happened");
            Ok(temporary())
        })
    }
}

impl<DB: Store, H: Handler<DB>> Inner<DB, H> {
    /// A commit that was not confirmed is asked after: whoever enters again finds the answer, or performs.
    async fn settle(&self, command: &Command) -> Result<Answer, Unsettled> {
        let unconfirmed = match self.run(command).await {
            Run::Answered(answer) => return Ok(answer),
            Run::Nothing(error) => return Ok(rolled_back(command, &error)),
            Run::Unconfirmed(error) => error,
        };
        debug!(command = %command.id, error = %unconfirmed, "a commit was not confirmed; it is asked after");
        match self.run(command).await {
            Run::Answered(answer) => Ok(answer),
            Run::Nothing(error) => {
                warn!(command = %command.id, %error, "what became of a command could not be found out");
                Err(Unsettled { command: command.id.clone(), source: unconfirmed })
            }
            Run::Unconfirmed(error) => Err(Unsettled { command: command.id.clone(), source: error }),
        }
    }

    async fn run(&self, command: &Command) -> Run {
        let mut connection = match self.pool.acquire().await {
            Ok(connection) => connection,
            Err(error) => return Run::Nothing(error.into()),
        };
        let mut tx = match connection.begin().await {
            Ok(tx) => tx,
            Err(error) => return Run::Nothing(error.into()),
        };
        match self.perform(&mut tx, command).await {
            Ok((answer, Fate::Commit)) => match tx.commit().await {
                Ok(()) => Run::Answered(answer),
                Err(error) => Run::Unconfirmed(error),
            },
            Ok((answer, Fate::RollBack)) => {
                roll_back(tx).await;
                Run::Answered(answer)
            }
            Err(error) => {
                roll_back(tx).await;
                Run::Nothing(error)
            }
        }
    }

    async fn perform(&self, tx: &mut DB::Connection, command: &Command) -> Result<(Answer, Fate), HandlerError> {
        let before = match self.barrier.enter(tx, command).await? {
            Entered::Perform(before) => before,
            Entered::Again(answer) => return Ok((answer, Fate::RollBack)),
            Entered::UndoneBefore => return Ok((Answer::undone(), Fate::RollBack)),
            Entered::NothingToUndo => return Ok((Answer::nothing_to_undo(), Fate::Commit)),
        };
        let answer = self.handler.perform(tx, command, before).await?;
        if !answer.is_final() {
            return Ok((answer, Fate::RollBack));
        }
        self.barrier.keep(tx, command, &answer).await?;
        Ok((answer, Fate::Commit))
    }
}

/// What is to become of a transaction.
enum Fate {
    Commit,
    RollBack,
}

/// Where that fails the connection is gone, and the server rolls back by itself.
async fn roll_back<DB: sqlx::Database>(tx: Transaction<'_, DB>) {
    if let Err(error) = tx.rollback().await {
        debug!(%error, "a rollback was not confirmed");
    }
}

fn rolled_back(command: &Command, error: &HandlerError) -> Answer {
    warn!(command = %command.id, error = %Chain(error.as_ref()), "a command was rolled back; it may come again");
    temporary()
}

fn temporary() -> Answer {
    Answer::not_now(TEMPORARY, "a trouble of the service's own; nothing happened")
}

/// An error and its causes in one line.
struct Chain<'a>(&'a (dyn Error + Send + Sync + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
