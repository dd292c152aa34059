//! What the barrier needs of a database.

use super::row::{CommandRow, CommandRowState, StoredCommandRow};
use crate::command::SagaCommandId;
use std::future::Future;

/// A database that can hold the barrier: [`sqlx::Postgres`] and [`sqlx::Sqlite`]. Each function is one statement on the
/// transaction's connection.
pub trait BarrierDatabase: sqlx::Database {
    /// Makes the table where it is not there.
    fn create(connection: &mut Self::Connection) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Inserts the row of a command, in `state`. False: it is there already. Waits for other transactions that insert
    /// it.
    fn claim(
        connection: &mut Self::Connection,
        id: &SagaCommandId,
        state: CommandRowState,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;

    /// The row of a command, locked to the end of the transaction.
    fn look(
        connection: &mut Self::Connection,
        id: &SagaCommandId,
    ) -> impl Future<Output = Result<Option<StoredCommandRow>, sqlx::Error>> + Send;

    /// Writes the row of a command whose state is `from`. False: there is none in that state.
    fn write(
        connection: &mut Self::Connection,
        id: &SagaCommandId,
        row: &CommandRow,
        from: CommandRowState,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
}
