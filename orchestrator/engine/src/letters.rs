//! Dead letters at work: a table in the event store that follows the topic of dead letters, what people decide about
//! letters, and bringing their records back.

mod acts;
mod avro_edit;
mod bringing;
mod depth;
mod desk;
mod follower;
mod importing;
mod job;
mod judge;
mod reader;
mod row;
mod standing;

pub use acts::letter_acts;
pub use avro_edit::{EditedValue, RecordEdit};
pub(crate) use bringing::LetterCourierParts;
pub use bringing::{BringAim, BringOrder, BroughtItem, BroughtResult};
pub use depth::OpenLetters;
pub use desk::{LetterDesk, LetterDetail, LetterError, LetterMove};
pub(crate) use desk::{PURGE_LOG, PurgeRecord};
pub(crate) use follower::LetterFollower;
pub use importing::{ImportOutcome, LetterDecision};
pub use job::{
    LetterJobError, LetterJobOrder, LetterJobStatus, LetterJobView, LetterSelection, MOST_LETTER_NAMES,
    MOST_LETTER_PACE, NamedPlace, USUAL_LETTER_PACE,
};
pub use judge::{EditedRecord, MendError, restored};
pub use row::{fingerprint, letter_row};
pub use saga_wire::dead_letter::MOST_REDRIVES;
pub use standing::LetterFollowerView;
pub(crate) use standing::LetterStanding;

use super::LetterRoutes;
use saga_event_store::LetterCoordinates;
use saga_kafka::KafkaSettings;
use std::time::Duration;

/// The topics of dead letters and how the engine reads them.
#[derive(Clone, Debug)]
pub struct LetterSource {
    /// How to reach the broker.
    pub kafka: KafkaSettings,
    /// Names of the topics.
    pub routes: LetterRoutes,
    /// How long a letter that ended stays in the table, and one whose record the topic no longer has.
    pub keep: Duration,
}

/// A place for people and programs: `partition/offset` in the usual topic of dead letters, else with the topic before.
#[must_use]
pub fn letter_place(place: &LetterCoordinates, usual: &str) -> String {
    let LetterCoordinates { topic, partition, offset } = place;
    if topic == usual { format!("{partition}/{offset}") } else { format!("{topic}/{partition}/{offset}") }
}
