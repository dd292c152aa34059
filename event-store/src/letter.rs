//! Dead letters: rows about records of a topic of dead letters, and what people did about them.

pub(crate) mod reading;

use crate::{
    StoreError,
    act::ActSource,
    cipher::WrappedKey,
    limits::{MAX_WHO_BYTES, check_act_texts, check_length, check_texts},
};
use async_trait::async_trait;
use uuid::Uuid;

/// Most letters of one portion: their texts are some hundred bytes each.
pub const MAX_PORTION_LETTERS: usize = 10_000;
/// Most bytes of a letter's id, key or fingerprint. Each is part of an index entry.
pub const MAX_LETTER_TEXT_BYTES: usize = 1_024;
/// Most bytes of a letter's message, and of the reason and the result of an act.
pub const MAX_LETTER_MESSAGE_BYTES: usize = 4 * 1024;
/// Most bytes of the record that takes the place of a letter's original.
pub const MAX_LETTER_EDIT_BYTES: usize = 2 * 1024 * 1024;
/// Most groups of one answer.
pub const MAX_LETTER_GROUPS: u32 = 1_000;

/// Where a letter is: its topic, the number of the partition, and the offset there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterCoordinates {
    /// Name of the topic of dead letters.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
}

/// How far a partition of a topic of dead letters is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterPosition {
    /// The number of the log: 1, 2, 3, …; a topic that was made anew is the next one. 0: nothing is read yet.
    pub log: i64,
    /// The offset of the next record.
    pub offset: i64,
    /// What the record before it was, in the form of the caller.
    pub mark: Option<String>,
}

/// What a reader found at one offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLetter {
    /// Offset in the partition.
    pub offset: i64,
    /// Identity of what died.
    pub id: String,
    /// The class of the fault.
    pub code: String,
    /// Topic, partition and offset of the original; `None`: nobody said.
    pub origin: Option<LetterCoordinates>,
    /// The definition that could not process it.
    pub definition: Option<String>,
    /// The key of the original, as text.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// Letters with the same cause have it in common.
    pub fingerprint: String,
    /// How often what died had been brought back before.
    pub redrives: u32,
    /// When the letter was written, in milliseconds since the Unix epoch.
    pub written_at_ms: i64,
    /// The stream that it is about; `None`: what died names none.
    pub stream: Option<Uuid>,
}

/// Letters of a part of a partition, with the position after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterPortion {
    /// Name of the topic.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
    /// The position that the partition has before.
    pub from: LetterPosition,
    /// The position that it has afterwards. Its log is the one of the letters.
    pub to: LetterPosition,
    /// The letters, by offset.
    pub letters: Vec<NewLetter>,
}

/// What people have decided about a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LetterStatus {
    /// Nobody has acted.
    New,
    /// Somebody looks at it.
    Reviewing,
    /// Its record was brought back.
    Redriven,
    /// Nothing is to be done about it.
    Discarded,
}

impl LetterStatus {
    /// Every status, in the order of a letter's life.
    pub const ALL: [LetterStatus; 4] =
        [LetterStatus::New, LetterStatus::Reviewing, LetterStatus::Redriven, LetterStatus::Discarded];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LetterStatus::New => "new",
            LetterStatus::Reviewing => "reviewing",
            LetterStatus::Redriven => "redriven",
            LetterStatus::Discarded => "discarded",
        }
    }

    /// The status of this word; `None`: there is none.
    #[must_use]
    pub fn parse(word: &str) -> Option<LetterStatus> {
        LetterStatus::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether something is still to be decided.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            LetterStatus::New | LetterStatus::Reviewing => true,
            LetterStatus::Redriven | LetterStatus::Discarded => false,
        }
    }
}

/// The last act on a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterChange {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// By whom.
    pub who: String,
    /// Why.
    pub why: String,
    /// What came of it.
    pub result: Option<String>,
}

/// A letter as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// The order in which the store got it.
    pub number: i64,
    /// Where its record is.
    pub place: LetterCoordinates,
    /// What was found there. Its redrives count those since, too.
    pub letter: NewLetter,
    /// What people have decided.
    pub status: LetterStatus,
    /// The last act; `None`: nobody has acted.
    pub change: Option<LetterChange>,
    /// Whether another record takes the place of the original.
    pub has_edit: bool,
}

/// The record that takes the place of a letter's original, in the form of the caller.
#[derive(Clone, PartialEq, Eq)]
pub struct LetterEdit {
    pub(crate) record: Vec<u8>,
    pub(crate) sealed_by: Option<(Uuid, WrappedKey)>,
}

impl LetterEdit {
    /// The edit with these bytes.
    #[must_use]
    pub fn new(record: Vec<u8>) -> LetterEdit {
        LetterEdit { record, sealed_by: None }
    }

    /// The bytes.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        &self.record
    }
}

impl std::fmt::Debug for LetterEdit {
    /// Without the content, which is other people's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LetterEdit").field("bytes", &self.record.len()).finish_non_exhaustive()
    }
}

/// What an act does to the edit of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditChange {
    /// It stays as it is.
    Keep,
    /// This one from now on.
    Put(LetterEdit),
    /// There is none any more.
    Remove,
}

/// An act of a person on one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterAct {
    /// The letter.
    pub place: LetterCoordinates,
    /// The act is done only if the letter has one of these statuses.
    pub expected: Vec<LetterStatus>,
    /// The status afterwards.
    pub status: LetterStatus,
    /// The id by which the act is known again.
    pub id: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The person.
    pub who: String,
    /// What was done, in words.
    pub action: String,
    /// Why, in the words of the person.
    pub why: String,
    /// From where the act came.
    pub source: ActSource,
    /// What came of it.
    pub result: Option<String>,
    /// By how much the number of redrives grows.
    pub redrives: u32,
    /// What becomes of the edit.
    pub edit: EditChange,
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterActOutcome {
    /// Letter and record of the act are committed.
    Applied,
    /// An act with this id was applied before. Nothing was done again.
    Repeated,
    /// The letter has another status than the act expects. Nothing was written.
    Refused(LetterStatus),
    /// The store has no such letter.
    Unknown,
}

/// A recorded act on a letter. It outlives the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetterAct {
    /// The order in which acts were recorded.
    pub number: i64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The place of the letter.
    pub place: LetterCoordinates,
    /// Identity of what died: [`NewLetter::id`].
    pub letter: String,
    /// The person.
    pub who: String,
    /// What was done.
    pub action: String,
    /// Why.
    pub why: String,
    /// What came of it.
    pub result: Option<String>,
    /// The id of the act.
    pub id: String,
    /// From where the act came.
    pub source: ActSource,
    /// The status before, as JSON; `None`: a build before this recorded the act.
    pub before: Option<String>,
    /// The status after, likewise.
    pub after: Option<String>,
}

/// Which letters are meant: those that fit all that is said. Letters of a log that its topic no longer has never are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredLetterFilter {
    /// Of this topic of dead letters.
    pub topic: Option<String>,
    /// One of these statuses; empty: any.
    pub statuses: Vec<LetterStatus>,
    /// One of these codes; empty: any.
    pub codes: Vec<String>,
    /// Whose original came from this topic.
    pub origin_topic: Option<String>,
    /// Of this definition.
    pub definition: Option<String>,
    /// Whose original has this key.
    pub key: Option<String>,
    /// With this id.
    pub id: Option<String>,
    /// With this fingerprint.
    pub fingerprint: Option<String>,
    /// About this stream.
    pub stream: Option<Uuid>,
    /// Written then or later, in milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// Written before.
    pub until_ms: Option<i64>,
    /// With this text in message, id or key, whatever the case of its letters.
    pub text: Option<String>,
    /// In this part of a partition.
    pub part: Option<LetterPart>,
    /// With a greater number.
    pub after: Option<i64>,
    /// With a smaller number.
    pub before: Option<i64>,
    /// At most so many, and at most [`crate::MAX_PAGE`].
    pub limit: u32,
}

/// A part of a partition: offsets from one, and before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterPart {
    /// Number of the partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The first offset behind it.
    pub to: i64,
}

/// Letters of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatedLetter {
    /// Identity of what died: [`NewLetter::id`].
    pub id: String,
    /// How many letters have it.
    pub letters: i64,
    /// How many of them are open.
    pub open: i64,
}

/// In which order a page of letters comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterOrder {
    /// By number, the greatest first.
    Newest,
    /// By number, the smallest first.
    Oldest,
}

/// Letters with the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterGroup {
    /// What they have in common.
    pub fingerprint: String,
    /// The class of the fault.
    pub code: String,
    /// The definition that could not process them.
    pub definition: Option<String>,
    /// Where their originals came from.
    pub origin_topic: Option<String>,
    /// The message of one of them.
    pub message: String,
    /// How many there are.
    pub letters: i64,
    /// How many of them are open.
    pub open: i64,
    /// When the first was written, in milliseconds since the Unix epoch.
    pub first_ms: i64,
    /// When the last was written.
    pub last_ms: i64,
    /// How many were written in the period that was asked for.
    pub recent: i64,
    /// How many were written in the period of the same length before it.
    pub before: i64,
}

/// Which acts on letters are wanted, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterActQuery {
    /// Of this person.
    pub who: Option<String>,
    /// On letters with this id.
    pub letter: Option<String>,
    /// At this time or later, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Before this time and number.
    pub before: (i64, i64),
    /// Whose text is this, or begins with it and a space; empty: any.
    pub action: String,
    /// At most so many, and at most [`crate::MAX_ACTS`].
    pub limit: u32,
}

impl Default for LetterActQuery {
    fn default() -> LetterActQuery {
        let before = (i64::MAX, i64::MAX);
        LetterActQuery { who: None, letter: None, since_ms: i64::MIN, before, action: String::new(), limit: 1_000 }
    }
}

/// Which letters are forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterSweep {
    /// Those that ended: redriven or discarded before this time, in milliseconds since the Unix epoch.
    EndedBefore(i64),
    /// Those of a partition whose record its topic no longer has, written before this time.
    Gone {
        /// Name of the topic.
        topic: String,
        /// Number of the partition.
        partition: i32,
        /// The first offset that the topic still has.
        first_offset: i64,
        /// The time, in milliseconds since the Unix epoch.
        written_before_ms: i64,
    },
}

/// The part of a store that keeps dead letters.
#[async_trait]
pub trait StoreLetters: std::fmt::Debug + Send + Sync {
    /// The topics of which something is read.
    async fn letter_topics(&self) -> Result<Vec<String>, StoreError>;

    /// How far each partition of the topic is read. Partitions of which nothing is read are not in the answer.
    async fn letter_positions(&self, topic: &str) -> Result<Vec<(i32, LetterPosition)>, StoreError>;

    /// Writes letters and position in one transaction, if the partition has the position that the portion begins with.
    /// So of several processes that read the same part, one does. False: it has another one, and nothing was written.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the portion breaks a limit. After an error that [`StoreError::is_transient`] the
    /// portion may be written; the same portion again is false then.
    async fn add_letters(&self, portion: &LetterPortion) -> Result<bool, StoreError>;

    /// A page of letters.
    async fn letters(&self, filter: &StoredLetterFilter, order: LetterOrder) -> Result<Vec<StoredLetter>, StoreError>;

    /// The letter at a place, and its edit if there is one.
    async fn letter(&self, place: &LetterCoordinates)
    -> Result<Option<(StoredLetter, Option<LetterEdit>)>, StoreError>;

    /// The greatest number of a letter; 0: there is none.
    async fn last_letter(&self) -> Result<i64, StoreError>;

    /// Changes a letter and records the act in one transaction, if the letter has a status that the act expects.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the act breaks a limit.
    async fn act_on_letter(&self, act: &LetterAct) -> Result<LetterActOutcome, StoreError>;

    /// A page of recorded acts, newest first.
    async fn letter_acts(&self, wanted: &LetterActQuery) -> Result<Vec<StoredLetterAct>, StoreError>;

    /// The letters by cause, of one topic of dead letters or of all, the largest group first; `recent`: since when and
    /// since when before that a letter counts as recent or as before, in milliseconds since the Unix epoch.
    async fn letter_groups(&self, topic: Option<&str>, recent: (i64, i64)) -> Result<Vec<LetterGroup>, StoreError>;

    /// Ids that several letters have, in their order, behind `after`; at most `limit`, and [`crate::MAX_PAGE`].
    async fn repeated_letters(&self, after: &str, limit: u32) -> Result<Vec<RepeatedLetter>, StoreError>;

    /// Removes at most `limit` letters, and [`crate::MAX_PAGE`]. Their acts stay. Returns how many there were.
    async fn forget_letters(&self, sweep: &LetterSweep, limit: u32) -> Result<u64, StoreError>;
}

/// # Errors
/// [`StoreError::Limit`] names the limit that the portion breaks.
pub(crate) fn check_portion(portion: &LetterPortion) -> Result<(), StoreError> {
    if portion.letters.len() > MAX_PORTION_LETTERS {
        let found = portion.letters.len();
        return Err(StoreError::Limit(format!("a portion has {found} letters, the limit is {MAX_PORTION_LETTERS}")));
    }
    check_length("topic", &portion.topic, MAX_LETTER_TEXT_BYTES)?;
    check_texts([portion.topic.as_str()])?;
    check_texts(portion.to.mark.as_deref())?;
    portion.letters.iter().try_for_each(check_letter)
}

fn check_letter(letter: &NewLetter) -> Result<(), StoreError> {
    check_length("id of a letter", &letter.id, MAX_LETTER_TEXT_BYTES)?;
    check_length("fingerprint", &letter.fingerprint, MAX_LETTER_TEXT_BYTES)?;
    check_most("key of a letter", letter.key.as_deref(), MAX_LETTER_TEXT_BYTES)?;
    check_most("message of a letter", Some(&letter.message), MAX_LETTER_MESSAGE_BYTES)?;
    check_texts([letter.id.as_str(), letter.code.as_str(), letter.message.as_str(), letter.fingerprint.as_str()])?;
    check_texts(letter.definition.as_deref())?;
    check_texts(letter.key.as_deref())?;
    check_texts(letter.origin.as_ref().map(|origin| origin.topic.as_str()))
}

fn check_most(what: &str, text: Option<&str>, most: usize) -> Result<(), StoreError> {
    match text.map_or(0, str::len) {
        length if length > most => {
            Err(StoreError::Limit(format!("a {what} has {length} bytes, expected at most {most}")))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// [`StoreError::Limit`] names the limit that the act breaks.
pub(crate) fn check_letter_act(act: &LetterAct) -> Result<(), StoreError> {
    check_length("name of a person", &act.who, MAX_WHO_BYTES)?;
    check_length("id of an act", &act.id, MAX_LETTER_TEXT_BYTES)?;
    check_most("reason of an act", Some(&act.why), MAX_LETTER_MESSAGE_BYTES)?;
    check_most("result of an act", act.result.as_deref(), MAX_LETTER_MESSAGE_BYTES)?;
    check_texts([&act.place.topic, &act.who, &act.id, &act.action, &act.why].map(String::as_str))?;
    check_texts(act.result.as_deref())?;
    check_act_texts(act.source.texts())?;
    match &act.edit {
        EditChange::Put(edit) if edit.record.len() > MAX_LETTER_EDIT_BYTES => Err(StoreError::Limit(format!(
            "an edited record has {} bytes, expected at most {MAX_LETTER_EDIT_BYTES}",
            edit.record.len()
        ))),
        EditChange::Put(_) | EditChange::Keep | EditChange::Remove => Ok(()),
    }
}
