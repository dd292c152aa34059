//! Compares the database with what earlier processes knew to be committed.

use super::pool::SessionPool;
use crate::{CommitConfirmation, StoreError, step_back::ConfirmationEvidence};
use sqlx::{Row as _, postgres::PgRow};

/// Returns one entry for each of `all`, in their order.
pub(super) async fn what_is_there(
    pool: &SessionPool,
    all: &[CommitConfirmation],
) -> Result<Vec<ConfirmationEvidence>, StoreError> {
    let appends = || all.iter().map(|one| one.append);
    let query = sqlx::query(include_str!("sql/what_is_there.sql"))
        .bind(all.iter().map(|one| one.writer).collect::<Vec<_>>())
        .bind(appends().map(|it| it.map(|append| append.stream)).collect::<Vec<_>>())
        .bind(appends().map(|it| it.map(|append| append.version)).collect::<Vec<_>>())
        .bind(appends().map(|it| it.map(|append| append.append_id)).collect::<Vec<_>>());
    pool.rows(query).await?.iter().map(has).collect()
}

fn has(row: &PgRow) -> Result<ConfirmationEvidence, StoreError> {
    let number: Option<i64> = row.try_get("number")?;
    Ok(ConfirmationEvidence { beat: number.zip(row.try_get("at")?), append: row.try_get("append")? })
}
