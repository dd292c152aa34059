//! Kafka's transport: records in and out. What a record means for a saga belongs to the package `saga-wire`.
//!
//! Read in this order:
//!
//! - [`settings`]: what the clients of librdkafka are configured with, and which of it a user may change.
//! - [`consumer`]: a thread that owns the client. `consumer_loop` is what it does in each iteration, `partitions` and
//!   `watermark` are what it knows of each partition, `ack` is how the engine says that a record is finished.
//! - `consumer/continuity` and `consumer/fingerprint`: whether a committed offset still belongs to the log that the
//!   topic has now. `consumer/inspector` is the thread that asks the broker about it.
//! - [`producer`]: records out, and what a delivery report means.
//! - [`topics`]: which topics have to exist before anything starts, and that they belong to this installation.
//! - [`consumer_groups`], [`end_offsets`], [`offset_metadata`]: questions about groups and offsets from outside of a
//!   consumer.
//! - [`topic_portions`]: a topic from its beginning, or back from its end, by portions, for commands.
//! - [`mock`]: the broker of `saga dev`.

mod brokers;
mod client_form;
pub mod consumer;
pub mod consumer_groups;
pub mod end_offsets;
pub mod metric_catalogue;
pub mod mock;
pub mod offset_metadata;
pub mod producer;
pub mod settings;
pub mod topic_portions;
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
pub use topic_portions::TopicPortionReader;
