//! Guards around calls to participants, pure: the clock is an argument, randomness is an argument, nothing waits here.

pub mod breaker;
pub mod retry;
