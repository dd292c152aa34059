//! Streams of versioned rows, with fenced writers, taken keys and a read model, and logs of notes beside them. Knows neither sagas nor Kafka.
//!
//! [`EventStore`] is the seam; [`postgres`] and [`sqlite`] stand behind it, and one suite of tests holds both to the same behaviour.

mod attendance;
mod error;
mod mark;
mod migrate;
mod note;
pub mod postgres;
pub mod sqlite;
mod standing;
mod step_back;
mod store;
mod stream;
mod tally;
mod waits;

pub use attendance::{AttendanceGap, AttendanceRecord, ShardAttendance};
pub use error::StoreError;
pub use mark::{MarkOutcome, StreamMark};
pub use note::{MAX_NOTE_BYTES, MAX_NOTES, MAX_TOPIC_BYTES, NewNote, NoteNumber, StoredNote};
pub use standing::{SessionUsage, StreamFlagCount, StreamStatusCount};
pub use step_back::{CommitConfirmation, ConfirmedAppend, StepBack};
pub use store::{EventStore, StoreAccess, StoreIdentity, is_address, open, place};
pub use stream::{
    AppendOutcome, DatabaseActivity, KeySweep, KeySweepOutcome, MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_CATEGORY_BYTES,
    MAX_KEY_BYTES, MAX_PAGE, MAX_SHARDS, NewStreamKey, ShardEpoch, StreamAppend, StreamBatch, StreamFilter, StreamRow,
    StreamSummary, SummaryUpdate,
};
pub use tally::{StreamDimension, StreamGroup};
pub use waits::{WaitFilter, WaitTarget};
