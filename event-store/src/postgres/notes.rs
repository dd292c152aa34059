//! The logs of notes.

use super::pool::Pool;
use crate::{Error, MAX_NOTES, NewNote, Note, NoteNumber, stream::has_nul};
use sqlx::{Row as _, postgres::PgRow};

pub(super) async fn add(pool: &Pool, note: &NewNote) -> Result<NoteNumber, Error> {
    let query =
        sqlx::query(include_str!("sql/add_note.sql")).bind(&note.topic).bind(note.id).bind(note.at_ms).bind(&note.body);
    Ok(NoteNumber(pool.row(query).await?.try_get("number")?))
}

pub(super) async fn page(pool: &Pool, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<Note>, Error> {
    if has_nul(topic) {
        return Ok(Vec::new());
    }
    let query =
        sqlx::query(include_str!("../sql/notes.sql")).bind(topic).bind(after.0).bind(i64::from(limit.min(MAX_NOTES)));
    pool.rows(query).await?.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<Note, Error> {
    Ok(Note {
        number: NoteNumber(row.try_get("number")?),
        id: row.try_get("id")?,
        at_ms: row.try_get("at")?,
        body: row.try_get("body")?,
    })
}
