//! Streams as an engine writes them.

use crate::place::{SHARDS, Store};
use anyhow::Result;
use saga_event_store::{AppendOutcome, NewStreamKey, ShardEpoch, StreamAppend, StreamFilter, SummaryUpdate};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// The shard of streams of which nothing else is said.
pub(crate) const SHARD: u16 = 3;
/// The category of streams of which nothing else is said.
pub(crate) const CATEGORY: &str = "order-fulfillment";
/// When streams start of which nothing else is said.
pub(crate) const STARTED_MS: i64 = 1_700_000_000_000;

/// An id that is greater than those before it, as time-ordered ids are.
pub(crate) fn next_id(shard: u16) -> Uuid {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let tick = u128::from(LAST.fetch_add(1, Ordering::Relaxed));
    let started = u128::from(STARTED_MS.unsigned_abs());
    Uuid::from_u128(((started + tick) << 80) | (7 << 76) | (u128::from(shard) << 64) | (1 << 63) | tick)
}

/// The first row of a new stream in [`SHARD`], which takes `key` and is running.
pub(crate) fn start(epoch: ShardEpoch, key: &str) -> StreamAppend {
    start_in(SHARD, epoch, key)
}

/// As [`start`], in another shard.
pub(crate) fn start_in(shard: u16, epoch: ShardEpoch, key: &str) -> StreamAppend {
    let append = StreamAppend {
        append_id: Uuid::new_v4(),
        shard,
        epoch,
        stream: next_id(shard),
        version: 1,
        recorded_at_ms: STARTED_MS,
        payload: b"started".to_vec(),
        outline: None,
        category: CATEGORY.to_owned(),
        key: key.to_owned(),
        new_key: Some(new_key(key)),
        summary: None,
        act: None,
    };
    showing(append, "running")
}

/// The key of a stream in [`CATEGORY`].
pub(crate) fn new_key(key: &str) -> NewStreamKey {
    NewStreamKey::new(CATEGORY, key, hash_of(key))
}

/// The same in another category, with its key.
pub(crate) fn in_category(category: &str, append: StreamAppend) -> StreamAppend {
    let new_key = append.new_key.clone().map(|taken| NewStreamKey::new(category, taken.key, taken.payload_hash));
    StreamAppend { category: category.into(), new_key, ..append }
}

/// The row after `previous`, a second later, of which the read model hears nothing.
pub(crate) fn after(previous: &StreamAppend) -> StreamAppend {
    StreamAppend {
        append_id: Uuid::new_v4(),
        version: previous.version + 1,
        recorded_at_ms: previous.recorded_at_ms + 1000,
        payload: format!("decision {}", previous.version + 1).into_bytes(),
        new_key: None,
        summary: None,
        act: None,
        ..previous.clone()
    }
}

/// The same decision taken by somebody else.
pub(crate) fn rival_of(append: &StreamAppend) -> StreamAppend {
    StreamAppend { append_id: Uuid::new_v4(), payload: b"another decision".to_vec(), ..append.clone() }
}

/// `append` with a change of the read model; a status is open unless it is a last one.
pub(crate) fn showing(append: StreamAppend, status: &str) -> StreamAppend {
    let summary = SummaryUpdate {
        document: "d0".repeat(32),
        status: status.to_owned(),
        open: !["completed", "compensated", "abandoned"].contains(&status),
        step: None,
        reason: None,
        started_at_ms: STARTED_MS,
        waits_on: Vec::new(),
        flags: Vec::new(),
        code: None,
    };
    StreamAppend { summary: Some(summary), ..append }
}

/// Stands for the hash of what started the stream with `key`.
pub(crate) fn hash_of(key: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    for (slot, byte) in hash.iter_mut().zip(key.bytes()) {
        *slot = byte;
    }
    hash
}

/// Claims [`SHARD`].
pub(crate) async fn claim(store: &Store) -> Result<ShardEpoch> {
    Ok(store.claim(SHARD, "engine").await?)
}

/// Claims all shards, in order.
pub(crate) async fn claim_all(store: &Store) -> Result<Vec<ShardEpoch>> {
    let mut epochs = Vec::new();
    for shard in 0..SHARDS {
        epochs.push(store.claim(shard, "engine").await?);
    }
    Ok(epochs)
}

/// Appends alone, and returns the answer.
pub(crate) async fn append(store: &Store, append: &StreamAppend) -> Result<AppendOutcome> {
    let answers = store.append(std::slice::from_ref(append)).await?;
    anyhow::ensure!(answers.len() == 1, "one append has one answer: {answers:?}");
    Ok(answers[0].clone())
}

/// Appends alone, which has to be committed.
pub(crate) async fn commit(store: &Store, row: &StreamAppend) -> Result<()> {
    commit_all(store, std::slice::from_ref(row)).await
}

/// Appends all in one batch, each of which has to be committed.
pub(crate) async fn commit_all(store: &Store, rows: &[StreamAppend]) -> Result<()> {
    let answers = store.append(rows).await?;
    anyhow::ensure!(answers == vec![AppendOutcome::Committed; rows.len()], "{answers:?}");
    Ok(())
}

/// All that the read model has, and more than any case writes.
pub(crate) fn all() -> StreamFilter {
    StreamFilter { limit: 5000, ..StreamFilter::default() }
}

/// The versions that a stream has.
pub(crate) async fn versions(store: &Store, stream: Uuid) -> Result<Vec<u32>> {
    Ok(store.read(stream).await?.iter().map(|row| row.version).collect())
}
