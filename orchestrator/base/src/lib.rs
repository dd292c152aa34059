//! What every package of the engine needs and none of them owns: the [`clock`], the lock ([`sync`]), the boundary
//! around panics ([`panics`]), the set of [`secrets`] that no text may show, what a metric says of itself
//! ([`metric_info`]), and how long [`operations`] take.
//!
//! Nothing here knows Kafka, HTTP or the event store.

pub mod clock;
pub mod metric_info;
pub mod operations;
pub mod panics;
pub mod secrets;
pub mod sync;
