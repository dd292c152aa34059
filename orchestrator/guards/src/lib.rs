//! The arithmetic of the guards around calls to participants. It is pure: the clock and the random numbers are
//! arguments, and nothing waits here.
//!
//! | module | decides |
//! |---|---|
//! | [`breaker`] | whether the participant gets calls at all |
//! | [`bulkhead`], [`adaptive`] | how many calls are in flight at once, and how that limit follows the response times |
//! | [`rate`] | how many calls are sent in a span |
//! | [`wait_queue`] | which waiting command goes on first |
//! | [`budget`], [`retry`] | how many further attempts there may be, and after which delay |
//! | [`class`] | what a failure means for retries and for the breaker |
//! | [`balancer`] | which endpoint gets a call |
//! | [`health`] | whether health checks find the participant healthy |

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
