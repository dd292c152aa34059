//! A handler, run within the barrier: enter, perform, keep, commit.

use crate::{
    answer::ParticipantAnswer,
    barrier::{BarrierDatabase, BarrierOutcome, CommandBarrier, PriorOutcome},
    command::{SagaCommand, SagaCommandId},
};
use sqlx::{Connection, Pool, Transaction};
use std::{error::Error, future::Future, sync::Arc};
use tracing::{debug, warn};

/// Code of a failure of the service's own: rolled back, and another attempt may succeed.
pub const TEMPORARY: &str = "temporary";

/// Why a handler could not come to an answer. The service logs it, and no answer shows it: the transaction is rolled
/// back, and the answer is a failure that may be retried.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// What a service does with its commands.
pub trait CommandHandler<DB: sqlx::Database>: Send + Sync + 'static {
    /// Performs `command` with `tx` alone, whose transaction is committed together with the answer if that is final,
    /// and otherwise rolled back. Called only when there is something to do. Whatever is done elsewhere (a call to a
    /// bank) is not undone by a rollback, and needs the command's id as its own key there.
    fn perform(
        &self,
        tx: &mut DB::Connection,
        command: &SagaCommand,
        before: PriorOutcome,
    ) -> impl Future<Output = Result<ParticipantAnswer, HandlerError>> + Send;
}

/// Answers commands: a [`SagaParticipant`], or a service's own implementation.
pub trait CommandService: Send + Sync + 'static {
    /// The answer to `command`, final or not.
    fn answer(
        &self,
        command: SagaCommand,
    ) -> impl Future<Output = Result<ParticipantAnswer, UnsettledCommandError>> + Send;
}

/// Whether the command's effect was committed is not known, and could not be found out: nothing may be said of it. Over
/// HTTP this is a 503; from a topic there is no reply. The command comes again.
#[derive(Debug, thiserror::Error)]
#[error("what became of `{command}` is not known")]
pub struct UnsettledCommandError {
    /// The command whose effect is not known.
    pub command: SagaCommandId,
    /// What happened to the commit.
    pub source: sqlx::Error,
}

/// A [`CommandHandler`] behind a [`CommandBarrier`]. Cheap to clone.
#[derive(Debug)]
pub struct SagaParticipant<DB: sqlx::Database, H> {
    inner: Arc<ParticipantInner<DB, H>>,
}

#[derive(Debug)]
struct ParticipantInner<DB: sqlx::Database, H> {
    pool: Pool<DB>,
    barrier: CommandBarrier<DB>,
    handler: H,
}

/// How far a command came.
enum CommandRunOutcome {
    Answered(ParticipantAnswer),
    /// Nothing happened, for certain.
    Nothing(HandlerError),
    /// The commit was asked for and not confirmed.
    Unconfirmed(sqlx::Error),
}

impl<DB: sqlx::Database, H> Clone for SagaParticipant<DB, H> {
    fn clone(&self) -> Self {
        SagaParticipant { inner: Arc::clone(&self.inner) }
    }
}

impl<DB: BarrierDatabase, H: CommandHandler<DB>> SagaParticipant<DB, H> {
    /// Commands are performed by `handler`, each in a transaction on a connection of `pool`.
    #[must_use]
    pub fn new(pool: Pool<DB>, barrier: CommandBarrier<DB>, handler: H) -> Self {
        SagaParticipant { inner: Arc::new(ParticipantInner { pool, barrier, handler }) }
    }
}

impl<DB: BarrierDatabase, H: CommandHandler<DB>> CommandService for SagaParticipant<DB, H> {
    /// In a task of its own: a caller that goes away does not leave a transaction behind.
    async fn answer(&self, command: SagaCommand) -> Result<ParticipantAnswer, UnsettledCommandError> {
        let inner = Arc::clone(&self.inner);
        let id = command.id.clone();
        let done = tokio::spawn(async move { inner.settle(&command).await }).await;
        done.unwrap_or_else(|panic| {
            warn!(command = %id, %panic, "the handler of a command panicked; nothing happened");
            Ok(temporary())
        })
    }
}

impl<DB: BarrierDatabase, H: CommandHandler<DB>> ParticipantInner<DB, H> {
    /// A commit that was not confirmed is checked by entering again: the second run finds the answer of the first one,
    /// or performs the command.
    async fn settle(&self, command: &SagaCommand) -> Result<ParticipantAnswer, UnsettledCommandError> {
        let unconfirmed = match self.run(command).await {
            CommandRunOutcome::Answered(answer) => return Ok(answer),
            CommandRunOutcome::Nothing(error) => return Ok(rolled_back(command, &error)),
            CommandRunOutcome::Unconfirmed(error) => error,
        };
        debug!(command = %command.id, error = %unconfirmed, "a commit was not confirmed; it is asked after");
        match self.run(command).await {
            CommandRunOutcome::Answered(answer) => Ok(answer),
            CommandRunOutcome::Nothing(error) => {
                warn!(command = %command.id, %error, "what became of a command could not be found out");
                Err(UnsettledCommandError { command: command.id.clone(), source: unconfirmed })
            }
            CommandRunOutcome::Unconfirmed(error) => {
                Err(UnsettledCommandError { command: command.id.clone(), source: error })
            }
        }
    }

    async fn run(&self, command: &SagaCommand) -> CommandRunOutcome {
        let mut connection = match self.pool.acquire().await {
            Ok(connection) => connection,
            Err(error) => return CommandRunOutcome::Nothing(error.into()),
        };
        let mut tx = match connection.begin().await {
            Ok(tx) => tx,
            Err(error) => return CommandRunOutcome::Nothing(error.into()),
        };
        match self.perform(&mut tx, command).await {
            Ok((answer, TransactionEnd::Commit)) => match tx.commit().await {
                Ok(()) => CommandRunOutcome::Answered(answer),
                Err(error) => CommandRunOutcome::Unconfirmed(error),
            },
            Ok((answer, TransactionEnd::RollBack)) => {
                roll_back(tx).await;
                CommandRunOutcome::Answered(answer)
            }
            Err(error) => {
                roll_back(tx).await;
                CommandRunOutcome::Nothing(error)
            }
        }
    }

    async fn perform(
        &self,
        tx: &mut DB::Connection,
        command: &SagaCommand,
    ) -> Result<(ParticipantAnswer, TransactionEnd), HandlerError> {
        let before = match self.barrier.enter(tx, command).await? {
            BarrierOutcome::Perform(before) => before,
            BarrierOutcome::Again(answer) => return Ok((answer, TransactionEnd::RollBack)),
            BarrierOutcome::UndoneBefore => return Ok((ParticipantAnswer::undone(), TransactionEnd::RollBack)),
            BarrierOutcome::NothingToUndo => return Ok((ParticipantAnswer::nothing_to_undo(), TransactionEnd::Commit)),
        };
        let answer = self.handler.perform(tx, command, before).await?;
        if !answer.is_final() {
            return Ok((answer, TransactionEnd::RollBack));
        }
        self.barrier.keep(tx, command, &answer).await?;
        Ok((answer, TransactionEnd::Commit))
    }
}

/// What is to become of a transaction.
enum TransactionEnd {
    Commit,
    RollBack,
}

/// Where the rollback fails the connection is closed, and the server rolls back by itself.
async fn roll_back<DB: sqlx::Database>(tx: Transaction<'_, DB>) {
    if let Err(error) = tx.rollback().await {
        debug!(%error, "a rollback was not confirmed");
    }
}

fn rolled_back(command: &SagaCommand, error: &HandlerError) -> ParticipantAnswer {
    warn!(command = %command.id, error = %ErrorChain(error.as_ref()), "a command was rolled back; it may come again");
    temporary()
}

fn temporary() -> ParticipantAnswer {
    ParticipantAnswer::not_now(TEMPORARY, "the service has a temporary error; it did nothing")
}

/// An error and its causes in one line.
struct ErrorChain<'a>(&'a (dyn Error + Send + Sync + 'static));

impl std::fmt::Display for ErrorChain<'_> {
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
