//! Streams of versioned rows with fenced writers, unique keys and a read model, and logs of notes. This package knows
//! neither sagas nor Kafka.
//!
//! Callers use the trait [`EventStore`]. [`postgres`] and [`sqlite`] implement it, and one test suite checks that both
//! behave the same.
//!
//! SQL is in files: `sql` has the statements that both databases take, `postgres/sql` and `sqlite/sql` the others. Only
//! `BEGIN`, `ROLLBACK`, one `SET` and the query for the process of a session are in the code.

mod attendance;
mod backend;
mod config;
mod error;
mod filter;
mod limits;
mod mark;
mod matching;
mod migrate;
mod note;
mod open;
mod portion;
pub mod postgres;
mod reads;
mod rows;
pub mod sqlite;
mod standing;
mod step_back;
mod store;
mod stream;
mod sweep;
mod tally;
mod waits;

pub use attendance::{Attendance, Attended, Gap};
pub use config::{Access, StoreConfig};
pub use error::Error;
pub use filter::Filter;
pub use limits::{MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_CATEGORY_BYTES, MAX_KEY_BYTES, MAX_PAGE, MAX_SHARDS};
pub use mark::{Mark, Marked};
pub use note::{MAX_NOTE_BYTES, MAX_NOTES, MAX_TOPIC_BYTES, NewNote, Note, NoteNumber};
pub use open::open;
pub use portion::Portion;
pub use standing::{Flagged, Sessions, Standing};
pub use step_back::{Confirmed, ConfirmedAppend, StepBack};
pub use store::{EventStore, Identity};
pub use stream::{Activity, Append, Appended, Epoch, NewKey, Row, StreamSummary, Summary};
pub use sweep::{Sweep, Swept};
pub use tally::{Dimension, Tally};
pub use waits::{Waiting, WaitsOn};
