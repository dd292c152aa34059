//! What is configured about a participant and its guards.

use crate::participants::http::{self, HttpSettings};
use saga_guards::breaker;
use std::num::NonZeroU32;

/// One participant and its guards.
#[derive(Clone, Debug)]
pub struct ParticipantSettings {
    /// Its name in definitions.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// When it is left alone.
    pub breaker: breaker::Config,
    /// Calls over HTTP that may be under way at once.
    pub bulkhead: NonZeroU32,
}

/// How a participant is reached.
#[derive(Clone, Debug)]
pub enum Transport {
    /// By requests.
    Http(HttpSettings),
    /// By records.
    Kafka {
        /// The topic that takes its commands.
        commands: String,
    },
}

/// Participants that cannot be guarded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two of one name.
    #[error("participant `{0}` is configured twice")]
    Duplicate(String),
    /// One that cannot be called.
    #[error(transparent)]
    Http(#[from] http::Error),
}
