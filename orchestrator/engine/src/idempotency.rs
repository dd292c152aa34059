//! What arrived more than once and had no second effect, counted since the process began: as a metric, and for people.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdempotencyHit {
    /// A trigger whose key is taken, with the same payload.
    Start,
    /// A trigger whose key is taken, with another payload.
    OtherPayload,
    /// An answer to a command that is settled.
    Reply,
    /// An operator's act that was applied before.
    Act,
}

impl IdempotencyHit {
    /// Every kind.
    pub const ALL: [IdempotencyHit; 4] =
        [IdempotencyHit::Start, IdempotencyHit::OtherPayload, IdempotencyHit::Reply, IdempotencyHit::Act];

    /// Its word in metrics and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            IdempotencyHit::Start => "start",
            IdempotencyHit::OtherPayload => "otherPayload",
            IdempotencyHit::Reply => "reply",
            IdempotencyHit::Act => "act",
        }
    }
}

/// Beside the recorder of metrics, which cannot be asked: one for the process, as that one is.
static HITS: [AtomicU64; IdempotencyHit::ALL.len()] = [const { AtomicU64::new(0) }; IdempotencyHit::ALL.len()];
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Something was recognised and has no effect.
pub(crate) fn recognised(what: IdempotencyHit) {
    HITS[what as usize].fetch_add(1, Ordering::Relaxed);
    metrics::counter!("saga_idempotency_hits_total", "kind" => what.as_str()).increment(1);
}

/// A start came under a key that is taken, with the payload that took it or with another one.
pub(crate) fn duplicate(other_payload: bool) {
    let other = if other_payload { "yes" } else { "no" };
    metrics::counter!("saga_duplicates_total", "other_payload" => other).increment(1);
    recognised(if other_payload { IdempotencyHit::OtherPayload } else { IdempotencyHit::Start });
}

/// A key was taken by a new saga.
pub(crate) fn started() {
    STARTED.fetch_add(1, Ordering::Relaxed);
}

/// How often this process has recognised `what`.
#[must_use]
pub fn hits(what: IdempotencyHit) -> u64 {
    HITS[what as usize].load(Ordering::Relaxed)
}

/// How many sagas this process has started, each under a key of its own.
#[must_use]
pub fn starts() -> u64 {
    STARTED.load(Ordering::Relaxed)
}
