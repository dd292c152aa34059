//! What every package of the engine needs and none of them owns: the [`clock`], the lock ([`sync`]), the boundary
//! around panics ([`panics`]), and the set of [`secrets`] that no text may show.
//!
//! Nothing here knows Kafka, HTTP or the event store.

pub mod clock;
pub mod panics;
pub mod secrets;
pub mod sync;
