//! Kafka's transport: records in and out. What a record means for a saga is the package `saga-wire`'s.
//!
//! Read in this order: [`settings`], [`consumer`] (intake, acknowledgement, back pressure, what may be committed),
//! [`producer`], [`topics`] (what must exist before anything starts). [`mock`] is the broker of `saga dev`.

mod brokers;
mod client_form;
pub mod consumer;
pub mod consumer_groups;
pub mod end_offsets;
pub mod mock;
pub mod offset_metadata;
pub mod producer;
pub mod settings;
pub mod topics;

#[cfg(test)]
mod fixture;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use consumer::{ConsumerEvent, DeliveredRecord, KafkaConsumer, RecordAck};
pub use end_offsets::EndOffsetReader;
pub use offset_metadata::OffsetMetadataStore;
pub use producer::KafkaProducer;
pub use settings::{BrokerKind, KafkaSettings};
