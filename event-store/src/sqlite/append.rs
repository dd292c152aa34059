//! Appends a batch in one transaction, row by row. SQLite runs in this process, so a statement costs no round trip.

use crate::{
    AppendOutcome, NewStreamKey, StoreError, StreamAct, StreamAppend, SummaryUpdate, WaitTarget, cipher::WrappedKey,
    rows::payload_hash, standing, waits::in_order,
};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

pub(super) async fn append(writer: &SqlitePool, batch: &[StreamAppend]) -> Result<Vec<AppendOutcome>, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let mut answers = Vec::with_capacity(batch.len());
    for append in batch {
        answers.push(append_one(&mut transaction, append).await?);
    }
    transaction.commit().await?;
    Ok(answers)
}

pub(super) async fn append_one(
    transaction: &mut Transaction<'static, Sqlite>,
    append: &StreamAppend,
) -> Result<AppendOutcome, StoreError> {
    let row = row_at(transaction, append.stream, append.version).await?;
    if row == Some(append.append_id) {
        return Ok(AppendOutcome::Committed);
    }
    if epoch(transaction, append.shard).await? != Some(append.epoch.0) {
        return Ok(AppendOutcome::Fenced);
    }
    if let Some(taken) = taken_by_another(transaction, append).await? {
        return Ok(taken);
    }
    let skips_one = append.version > 1 && row_at(transaction, append.stream, append.version - 1).await?.is_none();
    if row.is_some() || skips_one {
        return Ok(AppendOutcome::Conflict);
    }
    write(transaction, append).await?;
    Ok(AppendOutcome::Committed)
}

/// Called after all checks, which saw the same state: the transaction keeps other writers out from its first statement.
async fn write(transaction: &mut Transaction<'static, Sqlite>, append: &StreamAppend) -> Result<(), StoreError> {
    if let Some(new_key) = &append.new_key {
        take_key(transaction, append, new_key).await?;
    }
    if let Some(wrapped) = append.new_key.as_ref().and_then(|new_key| new_key.wrapped.as_ref()) {
        keep_data_key(transaction, append, wrapped).await?;
    }
    sqlx::query(include_str!("sql/add_row.sql"))
        .bind(append.stream)
        .bind(i64::from(append.version))
        .bind(append.append_id)
        .bind(append.recorded_at_ms)
        .bind(append.payload.clone())
        .execute(&mut **transaction)
        .await?;
    note_commit(transaction, append).await?;
    if let Some(outline) = &append.outline {
        keep_outline(transaction, append, outline).await?;
    }
    if let Some(summary) = &append.summary {
        show(transaction, append, summary).await?;
    }
    if let Some(act) = &append.act {
        let place = (append.stream, append.version, append.recorded_at_ms);
        keep_act(transaction, place, &append.key, act).await?;
    }
    Ok(())
}

/// Adds an act to the index; the place is stream, version and time of its row.
pub(super) async fn keep_act(
    transaction: &mut Transaction<'static, Sqlite>,
    (stream, version, at_ms): (Uuid, u32, i64),
    key: &str,
    act: &StreamAct,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/add_act.sql"))
        .bind(stream)
        .bind(i64::from(version))
        .bind(at_ms)
        .bind(key.to_owned())
        .bind(act.who.clone())
        .bind(act.action.clone())
        .bind(act.reason.clone())
        .bind(act.id.clone())
        .bind(act.source.subject.clone())
        .bind(act.source.token.clone())
        .bind(act.source.address.clone())
        .bind(act.source.request.clone())
        .bind(act.before.clone())
        .bind(act.after.clone())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Adds the row to the feed.
async fn note_commit(transaction: &mut Transaction<'static, Sqlite>, append: &StreamAppend) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/add_commit.sql"))
        .bind(append.stream)
        .bind(i64::from(append.version))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn keep_data_key(
    transaction: &mut Transaction<'static, Sqlite>,
    append: &StreamAppend,
    wrapped: &WrappedKey,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/add_data_key.sql"))
        .bind(append.stream)
        .bind(wrapped.0.clone())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn keep_outline(
    transaction: &mut Transaction<'static, Sqlite>,
    append: &StreamAppend,
    outline: &[u8],
) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/add_outline.sql"))
        .bind(append.stream)
        .bind(i64::from(append.version))
        .bind(outline.to_vec())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// The append id of the row; `None`: there is no row with this version.
async fn row_at(
    transaction: &mut Transaction<'static, Sqlite>,
    stream: Uuid,
    version: u32,
) -> Result<Option<Uuid>, StoreError> {
    let row = sqlx::query(include_str!("sql/append_id.sql"))
        .bind(stream)
        .bind(i64::from(version))
        .fetch_optional(&mut **transaction)
        .await?;
    row.map(|row| Ok(row.try_get("append_id")?)).transpose()
}

async fn epoch(transaction: &mut Transaction<'static, Sqlite>, shard: u16) -> Result<Option<i64>, StoreError> {
    let row =
        sqlx::query(include_str!("sql/epoch.sql")).bind(i64::from(shard)).fetch_optional(&mut **transaction).await?;
    row.map(|row| Ok(row.try_get("epoch")?)).transpose()
}

/// The answer if another stream has the key; `None`: the key is free, belongs to this stream, or the append takes none.
async fn taken_by_another(
    transaction: &mut Transaction<'static, Sqlite>,
    append: &StreamAppend,
) -> Result<Option<AppendOutcome>, StoreError> {
    let Some(new_key) = &append.new_key else { return Ok(None) };
    let row = sqlx::query(include_str!("sql/key.sql"))
        .bind(new_key.category.clone())
        .bind(new_key.key.clone())
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let stream: Uuid = row.try_get("stream")?;
    if stream == append.stream {
        return Ok(None);
    }
    let payload_hash = payload_hash(row.try_get("payload_hash")?)?;
    Ok(Some(AppendOutcome::DuplicateKey { stream, payload_hash }))
}

async fn take_key(
    transaction: &mut Transaction<'static, Sqlite>,
    append: &StreamAppend,
    new_key: &NewStreamKey,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/take_key.sql"))
        .bind(new_key.category.clone())
        .bind(new_key.key.clone())
        .bind(append.stream)
        .bind(new_key.payload_hash.to_vec())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn show(
    transaction: &mut Transaction<'static, Sqlite>,
    append: &StreamAppend,
    summary: &SummaryUpdate,
) -> Result<(), StoreError> {
    let shown = sqlx::query(include_str!("sql/upsert_stream.sql"))
        .bind(append.stream)
        .bind(i64::from(append.shard))
        .bind(append.category.clone())
        .bind(append.key.clone())
        .bind(summary.document.clone())
        .bind(summary.status.clone())
        .bind(summary.open)
        .bind(summary.step.clone())
        .bind(summary.reason.clone())
        .bind(summary.started_at_ms)
        .bind(append.recorded_at_ms)
        .bind(standing::stored(&summary.flags))
        .bind(summary.code.clone())
        .fetch_one(&mut **transaction)
        .await?;
    if shown.try_get("waited")? {
        end_waits(transaction, append.stream).await?;
    }
    for waits_on in in_order(&summary.waits_on) {
        add_wait(transaction, append.stream, &waits_on).await?;
    }
    Ok(())
}

pub(super) async fn end_waits(transaction: &mut Transaction<'static, Sqlite>, stream: Uuid) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/end_waits.sql")).bind(stream).execute(&mut **transaction).await?;
    Ok(())
}

pub(super) async fn add_wait(
    transaction: &mut Transaction<'static, Sqlite>,
    stream: Uuid,
    waits_on: &WaitTarget,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/add_wait.sql"))
        .bind(stream)
        .bind(waits_on.kind().to_owned())
        .bind(waits_on.name().to_owned())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
