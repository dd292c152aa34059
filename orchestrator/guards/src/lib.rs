//! Guards around calls to participants, pure: the clock is an argument, randomness is an argument, nothing waits here.
//!
//! [`breaker`] (whether a participant is asked at all), [`bulkhead`] (how many calls to it are out at once), [`retry`] (how often a
//! command is tried, and how long it rests between).

pub mod breaker;
pub mod bulkhead;
pub mod retry;
mod time;

pub use time::Monotonic;
