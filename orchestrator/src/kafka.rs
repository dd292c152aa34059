//! Kafka: records in and out. What a record means for a saga is decided by pure functions; threads and network stay in three places.
//!
//! Read in this order: [`record`] (a record, byte-faithful), [`settings`], [`consumer`] (intake, acknowledgement, back pressure),
//! [`watermark`] (what may be committed), [`producer`], [`topics`] (what must exist before anything starts), then the pure
//! parts: [`trigger`], [`reply`], [`cloudevents`], [`envelope`], [`dlq`]. [`mock`] is the broker of `saga dev`.
//!
//! What this module does not know: shards and their owners, the journal, participants' guards.

mod brokers;
pub mod cloudevents;
pub mod consumer;
pub mod dlq;
pub mod ends;
pub mod envelope;
pub mod kept;
pub mod mock;
pub mod payload;
pub mod poison;
pub mod positions;
pub mod producer;
pub mod record;
pub mod reply;
pub mod settings;
pub mod topics;
pub mod trigger;
pub mod watermark;

#[cfg(test)]
pub(crate) mod testing;

pub use consumer::{Ack, Consumer, ConsumerEvent, Delivered};
pub use ends::Ends;
pub use kept::Kept;
pub use poison::{Poison, PoisonCode};
pub use producer::Producer;
pub use record::{Coordinates, Header, Outgoing, Record, TopicPartition};
pub use settings::{Broker, Settings};
