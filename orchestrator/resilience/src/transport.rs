//! Calls to participants: one attempt of one command, from the recorded request to an answer in the core's words.
//!
//! Nothing here retries or decides; [`crate::registry`] stands before it.

mod call;
mod classes;
pub mod http;

pub use call::{DispatchKind, ParticipantCall};
pub use classes::ErrorClassifier;
use std::sync::OnceLock;

/// Names the TLS implementation of this process, once; HTTP clients need one before they are made.
pub fn install_tls() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    // A provider that the program installed before stays.
    INSTALLED.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
