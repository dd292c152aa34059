//! Calls to participants: one attempt of one command, from the recorded request to an answer in the core's words.
//!
//! Nothing here retries or decides; [`crate::guarded`] stands before it.

mod call;
pub mod http;

pub use call::{Call, Dispatch};
