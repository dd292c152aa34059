//! Guards around calls to participants, pure: the clock is an argument, randomness is an argument, nothing waits here.
//!
//! [`breaker`] (whether a participant is asked at all), [`bulkhead`] and [`adaptive`] (how many calls to it are out at once), [`rate`] (how
//! many in a span), [`line`] (who waits, and who goes on first), [`budget`] and [`retry`] (how often a command is tried, and how long it rests between), [`class`] (what a failure is
//! worth), [`balancer`] (which endpoint takes a call), [`health`] (whether it is well by its own word).

pub mod adaptive;
pub mod balancer;
pub mod breaker;
mod buckets;
pub mod budget;
pub mod bulkhead;
pub mod class;
pub mod health;
mod lane;
pub mod rate;
pub mod retry;
mod time;
pub mod wait_queue;

pub use lane::PriorityLane;
pub use time::MonotonicTime;
