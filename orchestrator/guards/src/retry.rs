//! Retry policies: how many attempts, and how long between them.

use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, time::Duration};

/// How often a command is tried and how long it rests between attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Attempts, the first one included.
    pub attempts: Attempts,
    /// Before the second attempt, without jitter.
    pub delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// How the delay grows.
    pub backoff: Backoff,
    /// How the delay is spread.
    pub jitter: Jitter,
}

/// A number of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Attempts {
    /// Until it succeeds.
    Forever,
    /// At most this many, the first one included.
    Limited(NonZeroU32),
}

/// How the delay grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Backoff {
    /// Always `delay`.
    Constant,
    /// `delay`, twice, three times…
    Linear,
    /// `delay`, doubled each time.
    Exponential,
}

/// How the delay is spread so that many sagas do not come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Jitter {
    /// The delay as computed.
    None,
    /// Half of it fixed, half of it random.
    Equal,
    /// Anything from zero to the delay.
    Full,
}
