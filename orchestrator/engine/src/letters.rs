//! Dead letters at work: a table in the event store that follows the topic of dead letters, what people decide about
//! letters, and bringing their records back.

mod bringing;
mod desk;
mod follower;
mod job;
mod judge;
mod reader;
mod row;
mod standing;

pub(crate) use bringing::LetterCourierParts;
pub use bringing::{BringAim, BringOrder, BroughtItem, BroughtResult, MOST_REDRIVES};
pub use desk::{LetterDesk, LetterDetail, LetterError, LetterMove};
pub(crate) use desk::{PURGE_LOG, PurgeRecord};
pub(crate) use follower::LetterFollower;
pub use job::{
    LetterJobError, LetterJobOrder, LetterJobStatus, LetterJobView, LetterSelection, MOST_LETTER_NAMES,
    MOST_LETTER_PACE, USUAL_LETTER_PACE,
};
pub use judge::{EditedRecord, MendError, restored};
pub use row::fingerprint;
pub use standing::LetterFollowerView;
pub(crate) use standing::LetterStanding;

use saga_kafka::KafkaSettings;
use std::{sync::Arc, time::Duration};

/// The topic of dead letters and how the engine reads it.
#[derive(Clone, Debug)]
pub struct LetterSource {
    /// How to reach the broker.
    pub kafka: KafkaSettings,
    /// Name of the topic.
    pub topic: Arc<str>,
    /// How long a letter that ended stays in the table, and one whose record the topic no longer has.
    pub keep: Duration,
}
