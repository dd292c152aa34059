//! Limits of a store, and the checks that requests meet before the store sends them.

use crate::{StoreError, StreamAct, StreamAppend, SummaryUpdate, nul::has_nul, standing::is_flag};
use std::collections::HashSet;
use uuid::Uuid;

/// Most rows in one batch. With more, the arrays of the statement cost more than a second round trip.
pub const MAX_BATCH_ROWS: usize = 1024;
/// Most bytes of payloads and outlines in one batch. A Postgres with default settings holds four times as much per
/// statement before it uses files.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Most bytes of a key. It is part of an index entry.
pub const MAX_KEY_BYTES: usize = 256;
/// Most bytes of a category. Category and key are one index entry, which has at most 2,704 bytes on Postgres.
pub const MAX_CATEGORY_BYTES: usize = 256;
/// Most bytes of the name of a person who acts. It is part of an index entry of at most 2,704 bytes on Postgres.
pub const MAX_WHO_BYTES: usize = 2_000;
/// Most bytes of a text that says from where an act came, or how what it was done to stood.
pub const MAX_ACT_TEXT_BYTES: usize = 8 * 1024;
/// Most shards of a store. A stream id has 12 bits for its shard.
pub const MAX_SHARDS: u16 = 4096;
/// Most entries in one page of a list, a recovery or a sweep, and most streams in one read.
pub const MAX_PAGE: u32 = 10_000;

/// # Errors
/// [`StoreError::Limit`] names the limit that the batch breaks.
pub(crate) fn check_batch(batch: &[StreamAppend]) -> Result<(), StoreError> {
    if batch.len() > MAX_BATCH_ROWS {
        return Err(StoreError::Limit(format!("a batch has {} rows, the limit is {MAX_BATCH_ROWS}", batch.len())));
    }
    let bytes: usize = batch.iter().map(StreamAppend::bytes).sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(StoreError::Limit(format!("a batch has {bytes} bytes, the limit is {MAX_BATCH_BYTES}")));
    }
    batch.iter().try_for_each(check_append)?;
    let streams: HashSet<Uuid> = batch.iter().map(|append| append.stream).collect();
    if streams.len() == batch.len() {
        Ok(())
    } else {
        Err(StoreError::Limit("a batch has two appends of one stream".into()))
    }
}

fn check_append(append: &StreamAppend) -> Result<(), StoreError> {
    check_length("key", &append.key, MAX_KEY_BYTES)?;
    check_length("category", &append.category, MAX_CATEGORY_BYTES)?;
    if let Some(new_key) = &append.new_key {
        check_length("key", &new_key.key, MAX_KEY_BYTES)?;
        check_length("category", &new_key.category, MAX_CATEGORY_BYTES)?;
        check_texts([new_key.key.as_str(), new_key.category.as_str()])?;
    }
    if append.version == 0 || i32::try_from(append.version).is_err() {
        return Err(StoreError::Limit(format!("a version is {}, expected 1 to {}", append.version, i32::MAX)));
    }
    check_texts([append.key.as_str(), append.category.as_str()])?;
    append.act.as_ref().map_or(Ok(()), check_act)?;
    append.summary.as_ref().map_or(Ok(()), check_summary)
}

/// # Errors
/// [`StoreError::Limit`] names the limit that a text breaks.
pub(crate) fn check_act_texts<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Result<(), StoreError> {
    for text in texts.into_iter().flatten() {
        check_length("text of an act", text, MAX_ACT_TEXT_BYTES)?;
        check_texts([text])?;
    }
    Ok(())
}

fn check_act(act: &StreamAct) -> Result<(), StoreError> {
    // Who and time are an index entry.
    check_length("name of a person", &act.who, MAX_WHO_BYTES)?;
    check_texts([&act.who, &act.id, &act.action, &act.reason].map(String::as_str))?;
    check_act_texts(act.source.texts().into_iter().chain([act.before.as_deref(), act.after.as_deref()]))
}

pub(crate) fn check_summary(summary: &SummaryUpdate) -> Result<(), StoreError> {
    check_texts([summary.document.as_str(), summary.status.as_str()])?;
    check_texts(summary.step.as_deref())?;
    check_texts(summary.reason.as_deref())?;
    check_texts(summary.code.as_deref())?;
    match summary.flags.iter().find(|flag| !is_flag(flag)) {
        Some(flag) => Err(StoreError::Limit(format!("`{flag}` is not a flag: a flag is not empty and has no commas"))),
        None => Ok(()),
    }
}

/// # Errors
/// [`StoreError::Limit`] when a text does not have 1 to `most` bytes.
pub(crate) fn check_length(what: &str, text: &str, most: usize) -> Result<(), StoreError> {
    match text.len() {
        length if length == 0 || length > most => {
            Err(StoreError::Limit(format!("a {what} has {length} bytes, expected 1 to {most}")))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// [`StoreError::Limit`] when a text has a NUL character. Postgres cannot store it, and both stores refuse the same
/// requests.
pub(crate) fn check_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), StoreError> {
    if texts.into_iter().any(has_nul) {
        return Err(StoreError::Limit("a text has a NUL character, which a database cannot store".into()));
    }
    Ok(())
}

/// # Errors
/// [`StoreError::Limit`] when a claim names a shard that the store does not have, or an owner that a database cannot
/// store.
pub(crate) fn check_claim(shard: u16, shards: u16, owner: &str) -> Result<(), StoreError> {
    if shard >= shards {
        return Err(StoreError::Limit(format!(
            "the claim names shard {shard}, the store has shards 0 to {}",
            shards - 1
        )));
    }
    check_texts([owner])
}

/// # Errors
/// [`StoreError::Limit`] when a store cannot have this number of shards.
pub(crate) fn check_shards(shards: u16) -> Result<(), StoreError> {
    if (1..=MAX_SHARDS).contains(&shards) {
        return Ok(());
    }
    Err(StoreError::Limit(format!("a store cannot have {shards} shards, expected 1 to {MAX_SHARDS}")))
}

/// The rows of a page, as a database takes it.
pub(crate) fn page_limit(limit: u32) -> i64 {
    i64::from(limit.clamp(1, MAX_PAGE))
}

/// # Errors
/// [`StoreError::Limit`] when one call asks for more than [`MAX_PAGE`] streams.
pub(crate) fn check_streams(streams: &[Uuid]) -> Result<(), StoreError> {
    if u32::try_from(streams.len()).is_ok_and(|length| length <= MAX_PAGE) {
        return Ok(());
    }
    Err(StoreError::Limit(format!("a read asks for {} streams, the limit is {MAX_PAGE}", streams.len())))
}
