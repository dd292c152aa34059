//! Whether this engine takes work.

use std::sync::Arc;

/// Whether this engine takes work, for load balancers and people. The startup and the shutdown change it; the API reads
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineReadiness {
    /// The engine takes work.
    Ready,
    /// The startup is under way.
    Starting {
        /// What does not answer yet, if the startup waits for something; for people, without secrets.
        waiting_for: Option<Arc<str>>,
    },
    /// The engine takes no more work.
    Stopping,
}

/// A startup, for people.
pub(crate) fn starting_text(waiting_for: Option<&str>) -> String {
    match waiting_for {
        Some(what) => format!("the engine is starting and waits for {what}"),
        None => "the engine is starting".to_owned(),
    }
}
