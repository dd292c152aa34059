//! What records mean: pure functions from a record to a typed value or to a typed reason why it is poison, and back. No
//! function here panics on a record that another program wrote, and none does input or output.
//!
//! Read in this order: [`record`] (a record, byte for byte), [`cloudevents`] (the headers of the binding), [`trigger`]
//! (does it start a saga), [`reply`] (what a participant answers), [`inbox`] (an input on its way to its shard),
//! [`poison`] and [`dead_letter`] (a record that can never be processed, and what becomes of it), [`payload_edit`] (a
//! value in Avro that a person mends).

#[cfg(test)]
mod arbitrary_tests;
pub mod cloudevents;
pub mod dead_letter;
pub mod direct;
pub mod inbox;
mod payload;
pub mod payload_edit;
pub mod payload_hints;
pub mod payload_schema;
pub mod poison;
pub mod record;
pub mod reply;
pub mod trigger;

pub use payload_schema::{PayloadReader, PayloadSchema, PayloadSchemaName};
pub use poison::{PoisonCode, PoisonDiagnosis};
pub use record::{KafkaRecord, OutgoingRecord, RecordCoordinates, RecordHeader, TopicPartition};
