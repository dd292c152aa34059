//! Dead letters as they stand in a DLQ topic: reading them, choosing among them, and what would become of one if its
//! record came again. Nothing here changes a DLQ topic.

mod cause;
mod cursor;
mod entry;
mod fault;
mod filter;
mod judge;
mod state;
mod walk;

pub(crate) use cause::{CauseAttention, CauseView, DAY_MS};
pub(crate) use cursor::LetterCursor;
pub(crate) use entry::{LetterAddress, LetterEntry, LetterName, LetterPlace};
pub(crate) use fault::{LetterFault, dump, readable};
pub(crate) use filter::{FOREIGN, LetterFilter, unknown_code};
pub(crate) use judge::{DecodedAvro, JudgedRecord, LetterJudge, LetterVerdict};
pub(crate) use state::LetterState;
pub(crate) use walk::{LetterTopics, NewestLetters, SeenNames};
