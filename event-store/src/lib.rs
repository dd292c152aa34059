//! Streams of versioned rows with fenced writers, unique keys and a read model, and logs of notes. This package knows
//! neither sagas nor Kafka.
//!
//! Callers use the trait [`EventStore`]. [`postgres`] and [`sqlite`] implement it, and one test suite checks that both
//! behave the same.
//!
//! SQL is in files: `sql` has the statements that both databases take, `postgres/sql` and `sqlite/sql` the others. Only
//! `BEGIN`, `ROLLBACK`, one `SET` and the query for the process of a session are in the code.

mod act;
pub mod archive;
mod archives;
mod attendance;
mod backend;
mod cipher;
mod config;
mod erasure;
mod error;
mod feed;
mod feed_reading;
mod filter;
mod journal_reader;
mod letter;
mod limits;
mod mark;
mod matching;
mod migrate;
mod note;
mod nul;
mod open;
mod opened_archive;
mod portion;
pub mod postgres;
mod projection;
mod reads;
mod repair;
mod rows;
mod sealing;
mod snapshot;
pub mod sqlite;
mod standing;
mod step_back;
mod store;
mod stream;
mod sweep;
mod tally;
mod waits;

pub use act::{ActPosition, ActQuery, ActSelection, ActSource, MAX_ACTS, StoredAct, StreamAct};
pub use archives::{
    ArchiveContent, ArchiveRecord, ArchiveReplacement, ArchiveState, ArchivedErasure, DetachOutcome, LeavingRule,
    PendingErasure, RemovedPortion, StartPeriod, StoreArchives, StreamStanding,
};
pub use attendance::{AttendanceGap, AttendanceRecord, ShardAttendance};
pub use cipher::{DataKey, KeyEncryptionKey, KeyRing, SEAL_BYTES, is_sealed};
pub use config::{StoreAccess, StoreConfig};
pub use erasure::{ERASED_HASH, ErasedRow, StreamErasure};
pub use error::StoreError;
pub use feed::{FeedError, FeedExtent, FeedPage, FeedPosition, FeedRow, PositionSyntaxError};
pub use filter::StreamFilter;
pub use journal_reader::JournalReader;
pub use letter::{
    EditChange, LetterAct, LetterActOutcome, LetterActQuery, LetterChange, LetterCoordinates, LetterEdit, LetterGroup,
    LetterOrder, LetterPart, LetterPortion, LetterPosition, LetterStatus, LetterSweep, MAX_LETTER_EDIT_BYTES,
    MAX_LETTER_GROUPS, MAX_LETTER_MESSAGE_BYTES, MAX_LETTER_TEXT_BYTES, MAX_PORTION_LETTERS, NewLetter, RepeatedLetter,
    StoreLetters, StoredLetter, StoredLetterAct, StoredLetterFilter,
};
pub use limits::{
    MAX_ACT_TEXT_BYTES, MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_CATEGORY_BYTES, MAX_KEY_BYTES, MAX_PAGE, MAX_SHARDS,
    MAX_WHO_BYTES,
};
pub use mark::{MarkOutcome, StreamMark};
pub use note::{MAX_NOTE_BYTES, MAX_NOTES, MAX_TOPIC_BYTES, NewNote, NoteNumber, StoredNote};
pub use open::open;
pub use opened_archive::OpenedArchive;
pub use portion::StreamBatch;
pub use projection::{
    ArchiveReading, ArchiveReadingError, ChangeOutcome, MAX_PROJECTED_BYTES, MAX_PROJECTED_KEY_BYTES,
    MAX_PROJECTED_ROWS, ProjectedRow, ProjectionChange, ProjectionGeneration, ProjectionStart, StoreProjections,
};
pub use repair::{RepairOutcome, StreamRepair};
pub use snapshot::{MAX_SNAPSHOT_BYTES, StreamSnapshot};
pub use standing::{SessionUsage, StreamFlagCount, StreamStatusCount};
pub use step_back::{CommitConfirmation, ConfirmedAppend, StepBack};
pub use store::{EventStore, StoreIdentity};
pub use stream::{
    AppendOutcome, DatabaseActivity, NewStreamKey, RowPosition, ShardEpoch, StreamAppend, StreamKeyHolder, StreamRow,
    StreamSummary, SummaryUpdate,
};
pub use sweep::{KeySweep, KeySweepOutcome};
pub use tally::{StreamDimension, StreamGroup};
pub use waits::{WaitFilter, WaitTarget};
