//! What a store takes.

use crate::{Append, Error, Summary, standing::is_flag};
use std::collections::HashSet;
use uuid::Uuid;

/// Rows of one batch: beyond this a statement's arrays cost more than a second round trip.
pub const MAX_BATCH_ROWS: usize = 1024;
/// Payload bytes of one batch: a quarter of what a default Postgres gives a statement before it spills.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of a key: what an index entry holds comfortably.
pub const MAX_KEY_BYTES: usize = 256;
/// Bytes of a category: with a key it is one index entry, of which a Postgres page holds 2,704.
pub const MAX_CATEGORY_BYTES: usize = 256;
/// Shards of one store: an id has 12 bits for its shard.
pub const MAX_SHARDS: u16 = 4096;
/// Rows of one page of a list, a recovery or a sweep.
pub const MAX_PAGE: u32 = 10_000;

/// Whether a batch keeps the store's limits.
///
/// # Errors
/// Which limit it breaks, and by how much.
pub(crate) fn check_batch(batch: &[Append]) -> Result<(), Error> {
    if batch.len() > MAX_BATCH_ROWS {
        return Err(Error::Limit(format!("a batch has {} rows, the limit is {MAX_BATCH_ROWS}", batch.len())));
    }
    let bytes: usize = batch.iter().map(Append::bytes).sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(Error::Limit(format!("a batch has {bytes} bytes, the limit is {MAX_BATCH_BYTES}")));
    }
    batch.iter().try_for_each(check_append)?;
    let streams: HashSet<Uuid> = batch.iter().map(|append| append.stream).collect();
    if streams.len() == batch.len() {
        Ok(())
    } else {
        Err(Error::Limit("a batch has two appends of one stream".into()))
    }
}

fn check_append(append: &Append) -> Result<(), Error> {
    check_length("key", &append.key, MAX_KEY_BYTES)?;
    check_length("category", &append.category, MAX_CATEGORY_BYTES)?;
    if append.version == 0 || i32::try_from(append.version).is_err() {
        return Err(Error::Limit(format!("a version is {}, expected 1 to {}", append.version, i32::MAX)));
    }
    check_texts([append.key.as_str(), append.category.as_str()])?;
    append.summary.as_ref().map_or(Ok(()), check_summary)
}

fn check_summary(summary: &Summary) -> Result<(), Error> {
    check_texts([summary.document.as_str(), summary.status.as_str()])?;
    check_texts(summary.step.as_deref())?;
    check_texts(summary.reason.as_deref())?;
    check_texts(summary.code.as_deref())?;
    match summary.flags.iter().find(|flag| !is_flag(flag)) {
        Some(flag) => Err(Error::Limit(format!("`{flag}` is no flag: one has no commas and is not empty"))),
        None => Ok(()),
    }
}

/// Whether a text has 1 to `most` bytes.
///
/// # Errors
/// When not.
pub(crate) fn check_length(what: &str, text: &str, most: usize) -> Result<(), Error> {
    match text.len() {
        length if length == 0 || length > most => {
            Err(Error::Limit(format!("a {what} has {length} bytes, expected 1 to {most}")))
        }
        _ => Ok(()),
    }
}

/// Whether texts can be kept.
///
/// # Errors
/// When one has a NUL character: Postgres cannot keep it, and what one store refuses all do.
pub(crate) fn check_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
    if texts.into_iter().any(has_nul) {
        return Err(Error::Limit("a text has a NUL character, which a database cannot keep".into()));
    }
    Ok(())
}

/// Whether a claim names a shard that the store has, by an owner that can be kept.
///
/// # Errors
/// Which of them it does not.
pub(crate) fn check_claim(shard: u16, shards: u16, owner: &str) -> Result<(), Error> {
    if shard >= shards {
        return Err(Error::Limit(format!("shard {shard} was claimed, the store has shards 0 to {}", shards - 1)));
    }
    check_texts([owner])
}

/// Whether a store can be created with so many shards.
///
/// # Errors
/// When not.
pub(crate) fn check_shards(shards: u16) -> Result<(), Error> {
    if (1..=MAX_SHARDS).contains(&shards) {
        return Ok(());
    }
    Err(Error::Limit(format!("a store with {shards} shards was asked for, expected 1 to {MAX_SHARDS}")))
}

/// Whether so many streams can be read at once.
///
/// # Errors
/// When not.
pub(crate) fn check_streams(streams: &[Uuid]) -> Result<(), Error> {
    if u32::try_from(streams.len()).is_ok_and(|length| length <= MAX_PAGE) {
        return Ok(());
    }
    Err(Error::Limit(format!("{} streams were asked for at once, the limit is {MAX_PAGE}", streams.len())))
}

pub(crate) fn has_nul(text: &str) -> bool {
    text.contains('\0')
}
