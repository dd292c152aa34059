//! The logs of notes.

use crate::{Error, MAX_NOTES, NewNote, Note, NoteNumber, stream::has_nul};
use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};

pub(super) async fn add(pool: &SqlitePool, note: &NewNote) -> Result<NoteNumber, Error> {
    let row = sqlx::query(include_str!("sql/add_note.sql"))
        .bind(&note.topic)
        .bind(note.id)
        .bind(note.at_ms)
        .bind(&note.body)
        .fetch_one(pool)
        .await?;
    Ok(NoteNumber(row.try_get("number")?))
}

pub(super) async fn page(pool: &SqlitePool, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<Note>, Error> {
    if has_nul(topic) {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(include_str!("../sql/notes.sql"))
        .bind(topic)
        .bind(after.0)
        .bind(i64::from(limit.min(MAX_NOTES)))
        .fetch_all(pool)
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<Note, Error> {
    Ok(Note {
        number: NoteNumber(row.try_get("number")?),
        id: row.try_get("id")?,
        at_ms: row.try_get("at")?,
        body: row.try_get("body")?,
    })
}
