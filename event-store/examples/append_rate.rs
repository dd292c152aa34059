//! How many rows a store takes per second, and what they cost in write-ahead log.
//!
//! `cargo run --release -p saga-event-store --example append_rate -- postgres://… [seconds per line, default 3]`
//! The database should be empty and nobody else's: commits and log are counted for all its clients.

use anyhow::{Context, Result};
use saga_event_store::{
    AppendOutcome, EventStore, NewStreamKey, ShardEpoch, StoreAccess, StreamAppend, SummaryUpdate, open,
};
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use uuid::Uuid;

/// Rows of one stream: what a four-step saga writes.
const STREAM_ROWS: u32 = 5;
/// Shards that the streams are spread over, and that a batch locks.
const SHARDS: u16 = 64;
/// Of all streams.
const CATEGORY: &str = "order-fulfillment";
/// Bytes of one row's payload.
const PAYLOAD_BYTES: usize = 220;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("usage: append_rate ADDRESS [SECONDS]")?;
    let seconds = arguments.next().map_or(Ok(3), |seconds| seconds.parse()).context("SECONDS is not a number")?;
    let store = open(&address, StoreAccess::Write { shards: SHARDS }).await?;
    let mut epochs = Vec::new();
    for shard in 0..SHARDS {
        epochs.push(store.claim(shard, "append_rate").await?);
    }
    say("batch  writers    rows/s  streams/s  commits/s  WAL bytes per stream");
    for (batch, writers) in [(1, 1), (10, 1), (40, 1), (80, 1), (1, 2), (10, 2), (40, 2), (80, 2)] {
        say(&measure(&store, &epochs, batch, writers, Duration::from_secs(seconds)).await?);
    }
    Ok(())
}

async fn measure(
    store: &Arc<dyn EventStore>,
    epochs: &[ShardEpoch],
    batch: usize,
    writers: usize,
    span: Duration,
) -> Result<String> {
    let (before, started) = (store.activity().await?, Instant::now());
    let tasks: Vec<_> = (0..writers)
        .map(|_| tokio::spawn(write_streams(Arc::clone(store), epochs.to_vec(), batch, started + span)))
        .collect();
    let mut streams = 0;
    for task in tasks {
        streams += task.await??;
    }
    let (elapsed, after) = (started.elapsed().as_secs_f64(), store.activity().await?);
    let wal = (after.wal_bytes - before.wal_bytes) as f64 / streams as f64;
    let per_second = streams as f64 / elapsed;
    let commits = per_second * f64::from(STREAM_ROWS) / batch as f64;
    let rows = per_second * f64::from(STREAM_ROWS);
    Ok(format!("{batch:>5}  {writers:>7}  {rows:>8.0}  {per_second:>9.0}  {commits:>9.0}  {wal:>20.0}"))
}

/// Whole streams, `batch` of them side by side, until `end`; returns how many.
async fn write_streams(store: Arc<dyn EventStore>, epochs: Vec<ShardEpoch>, batch: usize, end: Instant) -> Result<u64> {
    let mut streams = 0;
    while Instant::now() < end {
        let ids: Vec<(Uuid, u16)> = (0..batch).map(|_| new_stream()).collect();
        for version in 1..=STREAM_ROWS {
            let rows: Vec<StreamAppend> = ids.iter().map(|(id, shard)| row(*id, *shard, &epochs, version)).collect();
            let answers = store.append(&rows).await?;
            anyhow::ensure!(answers.iter().all(|answer| *answer == AppendOutcome::Committed), "{answers:?}");
        }
        streams += batch as u64;
    }
    Ok(streams)
}

/// An id of version 7 that carries its shard, as the ids of sagas do.
fn new_stream() -> (Uuid, u16) {
    let random = Uuid::new_v4().as_u128();
    let shard = (random >> 64) as u16 % SHARDS;
    let id = (u128::from(now_ms().unsigned_abs()) << 80)
        | (0x7 << 76)
        | (u128::from(shard) << 64)
        | (random & 0xbfff_ffff_ffff_ffff)
        | (1 << 63);
    (Uuid::from_u128(id), shard)
}

fn row(stream: Uuid, shard: u16, epochs: &[ShardEpoch], version: u32) -> StreamAppend {
    let key = format!("order-{}", stream.simple());
    let summary = |status: &str, open| SummaryUpdate {
        document: "b7".repeat(32),
        status: status.into(),
        open,
        step: None,
        reason: None,
        code: None,
        started_at_ms: now_ms(),
        waits_on: Vec::new(),
        flags: Vec::new(),
    };
    StreamAppend {
        append_id: Uuid::new_v4(),
        shard,
        epoch: epochs[usize::from(shard)],
        stream,
        version,
        recorded_at_ms: now_ms(),
        payload: vec![b'x'; PAYLOAD_BYTES],
        outline: None,
        category: CATEGORY.to_owned(),
        new_key: (version == 1).then(|| NewStreamKey::new(CATEGORY, key.clone(), [7; 32])),
        key,
        summary: match version {
            1 => Some(summary("running", true)),
            STREAM_ROWS => Some(summary("completed", false)),
            _ => None,
        },
        act: None,
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::print_stdout, reason = "an example's result is its output")]
fn say(line: &str) {
    println!("{line}");
}
