//! What the sample participants remember, in a file, so that a later run knows what an earlier one did.
//!
//! This is the barrier that every participant needs: a command that was done gets the same answer again, an undo is accepted whether
//! or not its do ever arrived, and a do that comes after its undo does nothing.

#[cfg(test)]
mod tests;

use saga_core::{command::Direction, id::CommandId};
use serde_json::Value;
use sqlx::{
    ConnectOptions, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::path::Path;
use tokio::sync::Mutex;

/// Code of the refusal that a do gets whose undo came first.
pub(super) const UNDONE: &str = "undone";

/// What a participant says to a command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Done, with this result.
    Done(Value),
    /// Refused; nothing was done.
    Declined {
        /// Short and stable.
        code: String,
        /// For people.
        message: String,
    },
}

/// What is known when a command is performed. For an undo it is what became of the do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Nothing: of an undo that there is nothing to undo.
    Nothing,
    /// It was refused.
    Declined,
    /// It was done.
    Done,
}

/// Whether a command was answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// It is answered now.
    First,
    /// It gets the answer that it had.
    Again,
}

/// Verdicts by command.
#[derive(Debug)]
pub(super) struct Ledger {
    /// One writer, and nobody between its look and its entry.
    connection: Mutex<SqliteConnection>,
}

impl Ledger {
    /// Opens the file at `path`, or makes it. What was answered survives the death of the process; of a power cut it may lose the last
    /// answers, which a demonstration can bear.
    pub(super) async fn open(path: &Path) -> Result<Ledger, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        let mut connection = options.connect().await?;
        sqlx::raw_sql(include_str!("ledger/schema.sql")).execute(&mut connection).await?;
        Ok(Ledger { connection: Mutex::new(connection) })
    }

    /// The answer to `command`: the one that it had, or the one that `perform` makes now.
    pub(super) async fn answer(
        &self,
        command: &CommandId,
        perform: impl FnOnce(Past) -> Verdict,
    ) -> Result<(Verdict, Hearing), sqlx::Error> {
        let mut connection = self.connection.lock().await;
        let own = find(&mut connection, command).await?;
        if let Some(done @ Verdict::Done(_)) = own {
            return Ok((done, Hearing::Again));
        }
        let other = find(&mut connection, &counterpart(command)).await?;
        let verdict = match (command.direction, past(other.as_ref())) {
            (Direction::Do, Past::Done) => undone(),
            (Direction::Do, Past::Nothing | Past::Declined) => perform(past(own.as_ref())),
            (Direction::Undo, past_of_do) => perform(past_of_do),
        };
        keep(&mut connection, command, &verdict).await?;
        Ok((verdict, Hearing::First))
    }
}

fn counterpart(command: &CommandId) -> CommandId {
    let direction = match command.direction {
        Direction::Do => Direction::Undo,
        Direction::Undo => Direction::Do,
    };
    CommandId { direction, ..command.clone() }
}

fn undone() -> Verdict {
    Verdict::Declined { code: UNDONE.into(), message: "its undo came first, so it does nothing".into() }
}

fn past(verdict: Option<&Verdict>) -> Past {
    match verdict {
        None => Past::Nothing,
        Some(Verdict::Declined { .. }) => Past::Declined,
        Some(Verdict::Done(_)) => Past::Done,
    }
}

async fn find(connection: &mut SqliteConnection, command: &CommandId) -> Result<Option<Verdict>, sqlx::Error> {
    let found = sqlx::query(include_str!("ledger/find.sql")).bind(command.to_string());
    let Some(row) = found.fetch_optional(connection).await? else { return Ok(None) };
    let result: Option<String> = row.try_get("result")?;
    Ok(Some(match result {
        Some(json) => Verdict::Done(serde_json::from_str(&json).map_err(|error| sqlx::Error::Decode(error.into()))?),
        None => Verdict::Declined { code: row.try_get("code")?, message: row.try_get("message")? },
    }))
}

async fn keep(connection: &mut SqliteConnection, command: &CommandId, verdict: &Verdict) -> Result<(), sqlx::Error> {
    let (result, refusal) = match verdict {
        Verdict::Done(result) => (Some(result.to_string()), None),
        Verdict::Declined { code, message } => (None, Some((code, message))),
    };
    sqlx::query(include_str!("ledger/keep.sql"))
        .bind(command.to_string())
        .bind(result)
        .bind(refusal.map(|(code, _)| code))
        .bind(refusal.map(|(_, message)| message))
        .execute(connection)
        .await?;
    Ok(())
}
