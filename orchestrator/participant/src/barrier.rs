//! Each command once, in the service's own transaction.
//!
//! | what comes | what is entered |
//! |---|---|
//! | a command for the first time | [`BarrierOutcome::Perform`] |
//! | one that has a final answer | [`BarrierOutcome::Again`] with that answer |
//! | a do after its undo | [`BarrierOutcome::UndoneBefore`] |
//! | an undo whose do did nothing | [`BarrierOutcome::NothingToUndo`]; its do will never do anything |
//!
//! A command claims the row of its do, an undo its own row besides, always in this order. Unique keys and row locks
//! decide between commands at the same time: the second one waits for the end of the first one's transaction, and then
//! sees what it left. Nothing is left by a transaction that is rolled back, or whose process dies.

mod postgres;
mod row;
mod sqlite;
mod store;

pub use row::{CommandRow, CommandRowState, StoredCommandRow};
pub use store::BarrierDatabase;

use crate::{
    answer::ParticipantAnswer,
    command::{SagaCommand, SagaCommandId},
};
use saga_contract::CommandDirection;
use serde_json::Value;
use sqlx::Pool;
use std::marker::PhantomData;

/// The barrier cannot do its work. Roll the transaction back.
#[derive(Debug, thiserror::Error)]
pub enum BarrierError {
    /// The database refused or cannot be reached.
    #[error("the table saga_commands cannot be used")]
    Database(#[from] sqlx::Error),
    /// A row holds what no version of this crate wrote.
    #[error("the table saga_commands holds an unreadable row for `{command}`: {reason}")]
    Unreadable {
        /// Identity of the command whose row is unreadable.
        command: String,
        /// What is wrong with the row.
        reason: String,
    },
    /// Only final answers are kept: after any other, roll back.
    #[error("`{0}` has no final answer: roll the transaction back, so that nothing happened")]
    NotFinal(SagaCommandId),
    /// The transaction did not enter with [`BarrierOutcome::Perform`] for this command.
    #[error("`{0}` was not entered in this transaction: call `enter` first, and `keep` only to perform")]
    NotEntered(SagaCommandId),
}

/// What a transaction that enters finds.
#[derive(Clone, Debug, PartialEq)]
pub enum BarrierOutcome {
    /// Do the work in this transaction, [`CommandBarrier::keep`] the answer, commit.
    Perform(PriorOutcome),
    /// Answer this again; there is nothing to do.
    Again(ParticipantAnswer),
    /// A do whose undo came first: answer [`ParticipantAnswer::undone`]; there is nothing to do.
    UndoneBefore,
    /// An undo whose do never came, or did nothing: commit, then answer [`ParticipantAnswer::nothing_to_undo`].
    NothingToUndo,
}

/// What is known when a command is to be performed.
#[derive(Clone, Debug, PartialEq)]
pub enum PriorOutcome {
    /// A do, asked for the first time.
    Nothing,
    /// A do that was refused at an earlier attempt, and is repeated by an operator
    /// ([`RefusalRetention::UntilInsisted`]).
    Refused(ParticipantAnswer),
    /// An undo: its do succeeded with this result.
    Done(Value),
}

/// How long a final refusal is kept. A success is kept for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusalRetention {
    /// For ever: the same command never gets another answer, also when an operator retries the step.
    #[default]
    Kept,
    /// Until the same command comes as a later attempt than the one that was refused, as an operator's `saga retry`
    /// sends it. Repeated deliveries of the refused attempt, and whatever names no attempt, get the refusal.
    ///
    /// A later attempt that left because the refusal of the earlier one was late is taken for insistence too, and may
    /// be performed after the engine has given the step up: only for commands that are refused well within the
    /// attempt's timeout.
    UntilInsisted,
}

/// The barrier of one service, in the table `saga_commands` of its database `DB`: [`sqlx::Postgres`] or
/// [`sqlx::Sqlite`].
///
/// Expects the isolation that the database has by default. Under a stricter one, commands at the same time may end with
/// the database's serialization errors, which roll back and do no harm. On SQLite nothing may have been *read* in the
/// transaction before [`CommandBarrier::enter`]: a transaction that begins by reading cannot always go on to write.
#[derive(Debug)]
pub struct CommandBarrier<DB> {
    refusals: RefusalRetention,
    database: PhantomData<fn() -> DB>,
}

// Not derived: a barrier is as easily copied whether or not its database's type is.
impl<DB> Clone for CommandBarrier<DB> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<DB> Copy for CommandBarrier<DB> {}

impl<DB: BarrierDatabase> CommandBarrier<DB> {
    /// The barrier of a database that has the table: a service that runs its own migrations puts `sql/postgres.sql` or
    /// `sql/sqlite.sql` among them.
    #[must_use]
    pub fn new() -> CommandBarrier<DB> {
        CommandBarrier { refusals: RefusalRetention::default(), database: PhantomData }
    }

    /// The same; makes the table first where it is not there. Safe at every start, by several instances at once.
    ///
    /// # Errors
    /// The database refuses, or cannot be reached.
    pub async fn create(pool: &Pool<DB>) -> Result<CommandBarrier<DB>, BarrierError> {
        DB::create(&mut *pool.acquire().await?).await?;
        Ok(CommandBarrier::new())
    }

    /// The same, with another way of keeping refusals.
    #[must_use]
    pub fn refusals(self, refusals: RefusalRetention) -> CommandBarrier<DB> {
        CommandBarrier { refusals, ..self }
    }

    /// Enters with a command; first thing in the transaction. Waits for other transactions that entered with this
    /// command or its counterpart.
    ///
    /// # Errors
    /// The transaction has to be rolled back; nothing happened.
    pub async fn enter(&self, tx: &mut DB::Connection, command: &SagaCommand) -> Result<BarrierOutcome, BarrierError> {
        match command.direction() {
            CommandDirection::Do => self.enter_do(tx, command).await,
            CommandDirection::Undo => self.enter_undo(tx, command).await,
        }
    }

    /// Keeps the final answer of a command that was entered to be performed; last thing before the commit.
    ///
    /// # Errors
    /// The answer is not final, or the command was not entered: roll back.
    pub async fn keep(
        &self,
        tx: &mut DB::Connection,
        command: &SagaCommand,
        answer: &ParticipantAnswer,
    ) -> Result<(), BarrierError> {
        let row =
            CommandRow::answered(answer, command.attempt).ok_or_else(|| BarrierError::NotFinal(command.id.clone()))?;
        if DB::write(tx, &command.id, &row, CommandRowState::Claimed).await? {
            return Ok(());
        }
        Err(BarrierError::NotEntered(command.id.clone()))
    }

    async fn enter_do(&self, tx: &mut DB::Connection, command: &SagaCommand) -> Result<BarrierOutcome, BarrierError> {
        if DB::claim(tx, &command.id, CommandRowState::Claimed).await? {
            return Ok(BarrierOutcome::Perform(PriorOutcome::Nothing));
        }
        let row = existing::<DB>(tx, &command.id).await?;
        match row.state {
            CommandRowState::Claimed => Ok(BarrierOutcome::Perform(PriorOutcome::Nothing)),
            CommandRowState::Undone => Ok(BarrierOutcome::UndoneBefore),
            CommandRowState::Succeeded | CommandRowState::Failed => self.answered(tx, command, row).await,
        }
    }

    /// Claims the do first, so that a do that comes later does nothing. Both commands claim the row of the do first: in
    /// the same order, so that they cannot wait for each other.
    async fn enter_undo(&self, tx: &mut DB::Connection, command: &SagaCommand) -> Result<BarrierOutcome, BarrierError> {
        let id_of_do = command.id.of_do();
        let never_came = DB::claim(tx, &id_of_do, CommandRowState::Undone).await?;
        if !DB::claim(tx, &command.id, CommandRowState::Claimed).await? {
            let row = existing::<DB>(tx, &command.id).await?;
            match row.state {
                CommandRowState::Succeeded | CommandRowState::Failed => return self.answered(tx, command, row).await,
                CommandRowState::Claimed | CommandRowState::Undone => {}
            }
        }
        if never_came {
            return nothing_to_undo::<DB>(tx, command).await;
        }
        let row = existing::<DB>(tx, &id_of_do).await?;
        match row.state {
            CommandRowState::Succeeded => Ok(BarrierOutcome::Perform(PriorOutcome::Done(row.result(&id_of_do)?))),
            CommandRowState::Undone => nothing_to_undo::<DB>(tx, command).await,
            CommandRowState::Claimed | CommandRowState::Failed => {
                DB::write(tx, &id_of_do, &CommandRow::undone(), row.state).await?;
                nothing_to_undo::<DB>(tx, command).await
            }
        }
    }

    /// A command that has an answer gets it again, except a refusal that an operator wants to have repeated.
    async fn answered(
        &self,
        tx: &mut DB::Connection,
        command: &SagaCommand,
        row: CommandRow,
    ) -> Result<BarrierOutcome, BarrierError> {
        let answer = row.answer(&command.id)?;
        if !self.insisted(&row, command) {
            return Ok(BarrierOutcome::Again(answer));
        }
        DB::write(tx, &command.id, &CommandRow::claimed(), row.state).await?;
        match command.direction() {
            CommandDirection::Do => Ok(BarrierOutcome::Perform(PriorOutcome::Refused(answer))),
            CommandDirection::Undo => {
                let of_do = command.id.of_do();
                Ok(BarrierOutcome::Perform(PriorOutcome::Done(existing::<DB>(tx, &of_do).await?.result(&of_do)?)))
            }
        }
    }

    fn insisted(&self, row: &CommandRow, command: &SagaCommand) -> bool {
        match (self.refusals, row.state) {
            (RefusalRetention::UntilInsisted, CommandRowState::Failed) => {
                row.attempt.is_some() && row.attempt < command.attempt
            }
            (
                RefusalRetention::UntilInsisted,
                CommandRowState::Claimed | CommandRowState::Succeeded | CommandRowState::Undone,
            )
            | (RefusalRetention::Kept, _) => false,
        }
    }
}

impl<DB: BarrierDatabase> Default for CommandBarrier<DB> {
    fn default() -> Self {
        Self::new()
    }
}

async fn nothing_to_undo<DB: BarrierDatabase>(
    tx: &mut DB::Connection,
    command: &SagaCommand,
) -> Result<BarrierOutcome, BarrierError> {
    let row = CommandRow::answered(&ParticipantAnswer::nothing_to_undo(), command.attempt).expect("a success is final");
    DB::write(tx, &command.id, &row, CommandRowState::Claimed).await?;
    Ok(BarrierOutcome::NothingToUndo)
}

/// The row of a command that could not be claimed, locked to the end of the transaction.
async fn existing<DB: BarrierDatabase>(
    tx: &mut DB::Connection,
    id: &SagaCommandId,
) -> Result<CommandRow, BarrierError> {
    match DB::look(tx, id).await? {
        Some(stored) => CommandRow::read(id, stored),
        None => Err(BarrierError::Unreadable { command: id.to_string(), reason: "it was removed meanwhile".into() }),
    }
}
