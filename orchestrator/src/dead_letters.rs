//! Dead letters as they stand in a DLQ topic: reading them, choosing among them, and what would become of one if its
//! record came again. Nothing here changes a DLQ topic.

mod cursor;
mod entry;
mod filter;
mod judge;
mod state;
mod walk;

pub(crate) use entry::{LetterEntry, LetterName, LetterPlace};
pub(crate) use cursor::LetterCursor;
pub(crate) use filter::{FOREIGN, LetterFilter};
pub(crate) use judge::{LetterJudge, LetterVerdict};
pub(crate) use state::LetterState;
pub(crate) use walk::{LetterTopic, NewestLetters, SeenNames};
