//! Streams of versioned rows, with fenced writers, taken keys and a read model, and logs of notes beside them. Knows neither sagas nor Kafka.
//!
//! [`EventStore`] is the seam; [`postgres`] and [`sqlite`] stand behind it, and one suite of tests holds both to the same behaviour.
//!
//! SQL is in files: `sql` has what both databases take, `postgres/sql` and `sqlite/sql` the rest. Only `BEGIN`, `ROLLBACK`, one `SET` and
//! the look at a session's process stand in the code, beside the reason why they are sent.

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
pub use open::{is_address, open, place};
pub use portion::Portion;
pub use standing::{Flagged, Sessions, Standing};
pub use step_back::{Confirmed, ConfirmedAppend, StepBack};
pub use store::{EventStore, Identity};
pub use stream::{Activity, Append, Appended, Epoch, NewKey, Row, StreamSummary, Summary};
pub use sweep::{Sweep, Swept};
pub use tally::{Dimension, Tally};
pub use waits::{Waiting, WaitsOn};
