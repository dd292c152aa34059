//! The logs of notes.

use super::pool::SessionPool;
use crate::{MAX_NOTES, NewNote, NoteNumber, StoreError, StoredNote, stream::has_nul};
use sqlx::{Row as _, postgres::PgRow};

pub(super) async fn add(pool: &SessionPool, note: &NewNote) -> Result<NoteNumber, StoreError> {
    let query = sqlx::query("SELECT add_note($1, $2, $3, $4) AS number")
        .bind(&note.topic)
        .bind(note.id)
        .bind(note.at_ms)
        .bind(&note.body);
    Ok(NoteNumber(pool.row(query).await?.try_get("number")?))
}

pub(super) async fn page(
    pool: &SessionPool,
    topic: &str,
    after: NoteNumber,
    limit: u32,
) -> Result<Vec<StoredNote>, StoreError> {
    if has_nul(topic) {
        return Ok(Vec::new());
    }
    let query =
        sqlx::query(include_str!("sql/notes.sql")).bind(topic).bind(after.0).bind(i64::from(limit.min(MAX_NOTES)));
    pool.rows(query).await?.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<StoredNote, StoreError> {
    Ok(StoredNote {
        number: NoteNumber(row.try_get("number")?),
        id: row.try_get("id")?,
        at_ms: row.try_get("at")?,
        body: row.try_get("body")?,
    })
}
