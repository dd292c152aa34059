//! The barrier on Postgres.

use super::{
    row::{CommandRow, CommandRowState, StoredCommandRow},
    store::BarrierDatabase,
};
use crate::command::SagaCommandId;
use sqlx::{PgConnection, Postgres, Row as _};

impl BarrierDatabase for Postgres {
    async fn create(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(include_str!("../../sql/postgres.sql")).execute(connection).await?;
        Ok(())
    }

    async fn claim(
        connection: &mut PgConnection,
        id: &SagaCommandId,
        state: CommandRowState,
    ) -> Result<bool, sqlx::Error> {
        let insert = sqlx::query(include_str!("../../sql/postgres/claim.sql"))
            .bind(id.to_string())
            .bind(&id.saga)
            .bind(&id.step)
            .bind(id.direction.as_str())
            .bind(state.as_str());
        Ok(insert.execute(connection).await?.rows_affected() == 1)
    }

    async fn look(connection: &mut PgConnection, id: &SagaCommandId) -> Result<Option<StoredCommandRow>, sqlx::Error> {
        let select = sqlx::query(include_str!("../../sql/postgres/look.sql")).bind(id.to_string());
        let Some(row) = select.fetch_optional(connection).await? else { return Ok(None) };
        Ok(Some(StoredCommandRow {
            state: row.try_get("state")?,
            answer: row.try_get("answer")?,
            attempt: row.try_get("attempt")?,
        }))
    }

    async fn write(
        connection: &mut PgConnection,
        id: &SagaCommandId,
        row: &CommandRow,
        from: CommandRowState,
    ) -> Result<bool, sqlx::Error> {
        let update = sqlx::query(include_str!("../../sql/postgres/write.sql"))
            .bind(id.to_string())
            .bind(row.state.as_str())
            .bind(row.answer_text())
            .bind(row.attempt_number())
            .bind(from.as_str());
        Ok(update.execute(connection).await?.rows_affected() == 1)
    }
}
