//! What the API does with dead letters.

use super::{
    LetterSource, LetterStanding,
    acts::{is_recorded, letter_acts},
    avro_edit::RecordEdit,
    bringing::{BringOrder, BroughtItem, LetterCourier, LetterCourierParts, found},
    importing::{DecisionImport, ImportOutcome, LetterDecision},
    job::{LetterJobError, LetterJobOrder, LetterJobView, LetterJobs},
    judge::{EditedRecord, MendError, restored},
    reader::LetterReading,
};
use crate::act_trail;
use saga_core::act_author::{ActAuthor, ActOrigin};
use saga_event_store::{
    EditChange, LetterAct, LetterActOutcome, LetterCoordinates, LetterGroup, LetterOrder, LetterStatus, LetterSweep,
    MAX_PAGE, NewNote, StoreError, StoredLetter, StoredLetterAct, StoredLetterFilter,
};
use saga_wire::{
    dead_letter::{FoundLetter, OriginalContent},
    payload_edit::AvroValue,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Mutex;
use uuid::Uuid;

/// The log of rows that operators removed.
pub(crate) const PURGE_LOG: &str = "letter-purges";

/// A removal of rows, as it is on record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PurgeRecord {
    pub(crate) who: String,
    pub(crate) reason: String,
    pub(crate) ended_before_ms: i64,
    #[serde(default, skip_serializing_if = "ActOrigin::is_unknown")]
    pub(crate) origin: ActOrigin,
}

/// What an operator decides about a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterMove {
    /// Somebody looks at it.
    Review,
    /// Nothing is to be done about it. Its record stays in the topic.
    Discard,
    /// It is new again.
    Reopen,
}

impl LetterMove {
    /// What is on record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LetterMove::Review => "review dead letter",
            LetterMove::Discard => "discard dead letter",
            LetterMove::Reopen => "reopen dead letter",
        }
    }

    fn leads_to(self) -> LetterStatus {
        match self {
            LetterMove::Review => LetterStatus::Reviewing,
            LetterMove::Discard => LetterStatus::Discarded,
            LetterMove::Reopen => LetterStatus::New,
        }
    }

    /// From which statuses it leads there. What was redriven has had its effect: only a redrive changes it.
    fn expects(self) -> Vec<LetterStatus> {
        match self {
            LetterMove::Review => vec![LetterStatus::New, LetterStatus::Reviewing],
            LetterMove::Discard => vec![LetterStatus::New, LetterStatus::Reviewing],
            LetterMove::Reopen => vec![LetterStatus::Reviewing, LetterStatus::Discarded],
        }
    }
}

/// Why something about a letter does not work.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// The table has no such letter.
    #[error(
        "the table has no dead letter at {}/{} of {}: it has not come that far, or the row was removed after the letter \
         had ended (purge, `deadLetters.keep`)", .0.partition, .0.offset, .0.topic
    )]
    Unknown(LetterCoordinates),
    /// Its status does not allow the act.
    #[error("the letter is {}, and `{}` needs it to be {}", .0.as_str(), .1, .2)]
    Refused(LetterStatus, &'static str, String),
    /// What was asked for does not fit it.
    #[error(transparent)]
    Mend(#[from] MendError),
    /// The topic no longer has it, or cannot be read.
    #[error("{0}")]
    Gone(String),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A letter with its record and what was done about it.
#[derive(Clone, Debug)]
pub struct LetterDetail {
    /// The row.
    pub letter: StoredLetter,
    /// The letter as the topic has it; an error: why it cannot be shown.
    pub found: Result<FoundLetter, String>,
    /// The original's value, if it is in Avro.
    pub avro: Option<AvroValue>,
    /// What takes the place of the original in a redrive, and its value, if it is in Avro.
    pub edit: Option<(OriginalContent, Option<AvroValue>)>,
    /// What people did, newest first.
    pub acts: Vec<StoredLetterAct>,
}

/// Letters for the API. A cheap handle.
#[derive(Clone, Debug)]
pub struct LetterDesk {
    courier: LetterCourier,
    source: LetterSource,
    reading: Arc<Mutex<LetterReading>>,
    jobs: Arc<LetterJobs>,
    standing: Arc<LetterStanding>,
}

impl LetterDesk {
    pub(crate) fn new(parts: LetterCourierParts, source: LetterSource, standing: Arc<LetterStanding>) -> LetterDesk {
        let reading = Arc::new(Mutex::new(LetterReading::new(source.clone())));
        let courier = LetterCourier::new(parts, source.routes.usual());
        LetterDesk { courier, source, reading, jobs: Arc::default(), standing }
    }

    /// Name of the usual topic of dead letters.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.source.routes.usual()
    }

    /// Names of all topics of dead letters, the usual one first.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<str>> {
        self.source.routes.all()
    }

    /// How the table follows the topic; `None`: another engine fills it.
    #[must_use]
    pub fn standing(&self) -> Option<super::LetterFollowerView> {
        self.standing.view()
    }

    /// A page of letters.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self, filter: StoredLetterFilter, order: LetterOrder) -> Result<Vec<StoredLetter>, StoreError> {
        self.courier.store.letters(&filter, order).await
    }

    /// The letters by cause, of one topic of dead letters or of all.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn groups(&self, topic: Option<&str>, recent: (i64, i64)) -> Result<Vec<LetterGroup>, StoreError> {
        self.courier.store.letter_groups(topic, recent).await
    }

    /// One letter with all that is known of it.
    ///
    /// # Errors
    /// The table does not have it, or the store does not answer.
    pub async fn show(&self, place: &LetterCoordinates) -> Result<LetterDetail, LetterError> {
        let (letter, edit) = self.stored(place).await?;
        let found = found(&mut *self.reading.lock().await, &letter).await.map_err(|part| part.told());
        let acts = letter_acts(self.courier.store.as_ref(), &letter.letter.id, &letter.place).await?;
        let avro = match &found {
            Ok(found) => self.avro(found, &found.original).await,
            Err(_) => None,
        };
        let edit = match (edit, &found) {
            (Some(edit), Ok(found)) => Some((edit.clone(), self.avro(found, &edit).await)),
            (edit, _) => edit.map(|edit| (edit, None)),
        };
        Ok(LetterDetail { letter, found, avro, edit, acts })
    }

    /// Changes the status of a letter; the same id again is the same act.
    ///
    /// # Errors
    /// [`LetterError`].
    pub async fn act(
        &self,
        place: &LetterCoordinates,
        what: LetterMove,
        id: &str,
        by: &ActAuthor,
    ) -> Result<StoredLetter, LetterError> {
        let act = self.act_of(place, (what.leads_to(), what.as_str()), id, by);
        let act = LetterAct { expected: what.expects(), ..act };
        self.done(act, what.as_str()).await
    }

    /// Keeps a record that takes the place of the letter's original, if it would not be poison again; `None` removes
    /// the one that is kept. Returns what it would lead to.
    ///
    /// # Errors
    /// [`LetterError`].
    pub async fn edit(
        &self,
        place: &LetterCoordinates,
        edit: Option<RecordEdit>,
        id: &str,
        by: &ActAuthor,
    ) -> Result<(StoredLetter, Option<String>), LetterError> {
        let what = if edit.is_some() { "edit dead letter" } else { "remove edit of dead letter" };
        let act = self.act_of(place, (LetterStatus::Reviewing, what), id, by);
        let (letter, kept) = self.stored(place).await?;
        let Some(edit) = edit else {
            if kept.is_none() && !is_recorded(self.courier.store.as_ref(), &letter, id).await? {
                return Err(MendError::Unfit("the letter has no edit: there is nothing to remove".to_owned()).into());
            }
            let act = LetterAct { edit: EditChange::Remove, ..act };
            return Ok((self.done(act, what).await?, None));
        };
        let found = found(&mut *self.reading.lock().await, &letter).await;
        let found = found.map_err(|part| LetterError::Gone(part.told()))?;
        let before = kept.unwrap_or_else(|| found.original.clone());
        let edit = self.courier.judge.encoded(&found, before, edit).await?;
        let record = restored(&found, edit.content()?);
        let leads_to = self.courier.accepts(&found, &record).await?;
        let result = Some(leads_to[..leads_to.floor_char_boundary(1_024)].to_owned());
        let act = LetterAct { edit: EditChange::Put(edit.stored()), result, ..act };
        Ok((self.done(act, what).await?, Some(leads_to)))
    }

    /// What would become of a letter if it were brought back now.
    ///
    /// # Errors
    /// [`LetterError`].
    pub async fn foretell(&self, place: &LetterCoordinates, order: &BringOrder) -> Result<BroughtItem, LetterError> {
        let (letter, _) = self.stored(place).await?;
        let order = BringOrder { dry_run: true, again: true, ..order.clone() };
        Ok(self.courier.bring(&mut *self.reading.lock().await, &letter, &order).await)
    }

    /// Begins a job, and returns it as it stands.
    ///
    /// # Errors
    /// As many run as may, or the store does not answer.
    pub async fn begin_job(&self, order: LetterJobOrder) -> Result<LetterJobView, LetterJobError> {
        self.jobs.begin(&self.courier, &self.source, order).await
    }

    /// Lets a job go on that is paused, has ended, or whose engine has ended.
    ///
    /// # Errors
    /// Nobody knows it, as many run as may, or the store does not answer.
    pub async fn resume_job(&self, id: Uuid, keep_going: bool) -> Result<LetterJobView, LetterJobError> {
        self.jobs.resume(&self.courier, &self.source, id, keep_going).await
    }

    /// Pauses a job before its next letter. `None`: this engine knows none with this id.
    #[must_use]
    pub fn pause_job(&self, id: Uuid) -> Option<LetterJobView> {
        self.jobs.pause(id)
    }

    /// Stops a job before its next letter. `None`: this engine knows none with this id.
    #[must_use]
    pub fn cancel_job(&self, id: Uuid) -> Option<LetterJobView> {
        self.jobs.cancel(id)
    }

    /// The latest jobs of all engines, the latest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn jobs(&self) -> Result<Vec<LetterJobView>, StoreError> {
        self.jobs.all(&self.courier).await
    }

    /// A job of another engine, or of one that has stopped, and the letters that it brought from number `after` on, as
    /// they are on record. `None`: it is not among the latest.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn recorded_job(
        &self,
        id: Uuid,
        after: usize,
    ) -> Result<Option<(LetterJobView, Vec<BroughtItem>)>, StoreError> {
        self.jobs.recorded(&self.courier, id, after).await
    }

    /// A job, and its items from number `after` on. `None`: this engine knows none with this id.
    #[must_use]
    pub fn job(&self, id: Uuid, after: usize) -> Option<(LetterJobView, Vec<BroughtItem>)> {
        self.jobs.show(id, after)
    }

    /// Removes rows of letters that ended before a time, in milliseconds since the Unix epoch, and returns how many.
    /// Who did so and why is on record before the first. The topic keeps its records.
    ///
    /// # Errors
    /// When the store does not answer. A part may be removed then; the caller repeats the call.
    pub async fn purge(&self, before_ms: i64, id: Uuid, by: &ActAuthor) -> Result<u64, StoreError> {
        let at_ms = self.courier.clock.now().0;
        let ActAuthor { who, reason, origin } = by.clone();
        let record = PurgeRecord { who, reason, ended_before_ms: before_ms, origin };
        let body = serde_json::to_string(&record).map_err(|error| StoreError::Unusable(error.to_string()))?;
        let note = NewNote { id, topic: PURGE_LOG.to_owned(), body, at_ms };
        self.courier.store.add_note(&note).await?;
        let mut removed = 0;
        loop {
            let page = self.courier.store.forget_letters(&LetterSweep::EndedBefore(before_ms), MAX_PAGE).await?;
            removed += page;
            if page < u64::from(MAX_PAGE) {
                return Ok(removed);
            }
        }
    }

    /// Puts back a decision that an export has, if nobody has acted on its letter.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn import(
        &self,
        decision: &LetterDecision,
        dry_run: bool,
        by: &ActAuthor,
    ) -> Result<ImportOutcome, StoreError> {
        let import = DecisionImport { by, dry_run };
        import.put(self.courier.store.as_ref(), decision, self.courier.clock.now()).await
    }

    async fn avro(&self, letter: &FoundLetter, content: &OriginalContent) -> Option<AvroValue> {
        self.courier.judge.avro(&restored(letter, content.clone())).await
    }

    async fn stored(&self, place: &LetterCoordinates) -> Result<(StoredLetter, Option<OriginalContent>), LetterError> {
        let found = self.courier.store.letter(place).await?;
        let (letter, edit) = found.ok_or_else(|| LetterError::Unknown(place.clone()))?;
        let edit = edit.map(|edit| EditedRecord::read(&edit)?.content()).transpose()?;
        Ok((letter, edit))
    }

    fn act_of(
        &self,
        place: &LetterCoordinates,
        (status, action): (LetterStatus, &str),
        id: &str,
        by: &ActAuthor,
    ) -> LetterAct {
        LetterAct {
            place: place.clone(),
            expected: vec![LetterStatus::New, LetterStatus::Reviewing],
            status,
            id: id.to_owned(),
            at_ms: self.courier.clock.now().0,
            who: by.who.clone(),
            action: action.to_owned(),
            why: by.reason.clone(),
            source: act_trail::source(&by.origin),
            result: None,
            redrives: 0,
            edit: EditChange::Keep,
        }
    }

    async fn done(&self, act: LetterAct, what: &'static str) -> Result<StoredLetter, LetterError> {
        let expected: Vec<&str> = act.expected.iter().map(|status| status.as_str()).collect();
        match self.courier.store.act_on_letter(&act).await? {
            LetterActOutcome::Applied | LetterActOutcome::Repeated => Ok(self.stored(&act.place).await?.0),
            LetterActOutcome::Refused(status) => Err(LetterError::Refused(status, what, expected.join(" or "))),
            LetterActOutcome::Unknown => Err(LetterError::Unknown(act.place)),
        }
    }
}
