//! What every package of the engine needs and none of them owns: the [`clock`], the lock ([`sync`]), the boundary
//! around panics ([`panics`]), the set of [`secrets`] that no text may show, and what a metric says of itself
//! ([`metric_info`]).
//!
//! Nothing here knows Kafka, HTTP or the event store.

pub mod clock;
pub mod metric_info;
pub mod panics;
pub mod secrets;
pub mod sync;
