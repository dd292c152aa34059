//! Streams of versioned rows, with fenced writers, taken keys and a read model. Knows neither sagas nor Kafka.
//!
//! [`EventStore`] is the seam; [`postgres`] and [`sqlite`] stand behind it, and one suite of tests holds both to the same behaviour.

mod error;
mod migrate;
pub mod postgres;
pub mod sqlite;
mod store;
mod stream;

pub use error::Error;
pub use store::{Access, EventStore, Identity, open};
pub use stream::{
    Activity, Append, Appended, Epoch, Filter, MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_CATEGORY_BYTES, MAX_KEY_BYTES,
    MAX_PAGE, MAX_SHARDS, NewKey, Portion, Row, StreamSummary, Summary, Sweep, Swept,
};
