//! What happens to a store, as it is drawn: numbers that stand for streams, keys and versions, so that a failing case
//! shrinks to a few small ones.

use proptest::{collection::vec, option, prelude::*};

/// Streams of one case: few, so that writers meet.
pub(crate) const STREAMS: usize = 5;
/// Keys of one case: fewer than streams, so that some want the same one.
pub(crate) const KEYS: usize = 3;
/// The most operations of one case.
const MOST_OPERATIONS: usize = 28;

/// Which version an append has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DrawnVersion {
    Next,
    /// That of the last row.
    Taken,
    /// One is left out.
    Skipping,
}

/// Who sends an append.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DrawnWriter {
    Owner,
    /// Somebody whose claim is over.
    Former,
}

/// An append to one of the streams.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DrawnAppend {
    New {
        stream: usize,
        version: DrawnVersion,
        writer: DrawnWriter,
        key: usize,
        status: Option<usize>,
    },
    /// The last append of the stream, sent once more.
    Repeat {
        stream: usize,
    },
}

/// What becomes of an append on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AppendFate {
    Answered,
    /// The caller gives it up after so many looks and sends it again.
    Dropped(usize),
    /// The connections to the database break at the same time.
    Cut,
}

#[derive(Clone, Debug)]
pub(crate) enum StoreOperation {
    Claim {
        shard: u16,
    },
    Append {
        batch: Vec<DrawnAppend>,
        fate: AppendFate,
    },
    /// Two writers at the same time.
    Race {
        one: Vec<DrawnAppend>,
        other: Vec<DrawnAppend>,
    },
    Mark {
        stream: usize,
        writer: DrawnWriter,
        status: usize,
    },
    /// All pages of `limit` keys; what changed before so many ticks of the case's clock is old.
    Sweep {
        old: usize,
        limit: u32,
    },
    Note {
        topic: usize,
        id: usize,
    },
    Document {
        hash: usize,
        body: usize,
    },
    Snapshot {
        stream: usize,
    },
    RemoveSnapshot {
        stream: usize,
    },
}

fn appends() -> impl Strategy<Value = DrawnAppend> {
    let (taken, skipping) = (Just(DrawnVersion::Taken), Just(DrawnVersion::Skipping));
    let version = prop_oneof![6 => Just(DrawnVersion::Next), 1 => taken, 1 => skipping];
    let new = (0..STREAMS, version, writers(), 0..KEYS, option::of(0..4usize));
    prop_oneof![
        6 => new.prop_map(|(stream, version, writer, key, status)| {
            DrawnAppend::New { stream, version, writer, key, status }
        }),
        1 => (0..STREAMS).prop_map(|stream| DrawnAppend::Repeat { stream }),
    ]
}

fn writers() -> impl Strategy<Value = DrawnWriter> {
    prop_oneof![7 => Just(DrawnWriter::Owner), 1 => Just(DrawnWriter::Former)]
}

fn fates() -> impl Strategy<Value = AppendFate> {
    let dropped = (0..6usize).prop_map(AppendFate::Dropped);
    prop_oneof![6 => Just(AppendFate::Answered), 1 => dropped, 1 => Just(AppendFate::Cut)]
}

/// What happens in one case.
pub(crate) fn cases() -> impl Strategy<Value = Vec<StoreOperation>> {
    let append = (vec(appends(), 1..5), fates()).prop_map(|(batch, fate)| StoreOperation::Append { batch, fate });
    let race =
        (vec(appends(), 1..3), vec(appends(), 1..3)).prop_map(|(one, other)| StoreOperation::Race { one, other });
    let mark = (0..STREAMS, writers(), 0..4usize).prop_map(|(stream, writer, status)| StoreOperation::Mark {
        stream,
        writer,
        status,
    });
    let operation = prop_oneof![
        3 => (0..3u16).prop_map(|shard| StoreOperation::Claim { shard }),
        12 => append,
        4 => race,
        3 => mark,
        2 => (0..40usize, 1..4u32).prop_map(|(old, limit)| StoreOperation::Sweep { old, limit }),
        2 => (0..2usize, 0..4usize).prop_map(|(topic, id)| StoreOperation::Note { topic, id }),
        1 => (0..2usize, 0..2usize).prop_map(|(hash, body)| StoreOperation::Document { hash, body }),
        1 => (0..STREAMS).prop_map(|stream| StoreOperation::Snapshot { stream }),
        1 => (0..STREAMS).prop_map(|stream| StoreOperation::RemoveSnapshot { stream }),
    ];
    vec(operation, 1..MOST_OPERATIONS)
}
