//! Brings the record of one dead letter back, and records what became of it.

use super::{
    acts::is_recorded,
    judge::{EditedRecord, MendError, RecordJudge, RecordTargets, poisoned, restored},
    letter_place,
    reader::LetterReading,
};
use crate::{
    act_preview::{ActPreviewer, ReplyPreview},
    act_trail,
    active_config::ActiveConfigCell,
    dead_letter::{DeadLetter, DeadLetterWriter},
    definition_lookup::DefinitionLookup,
    definition_pauses::DefinitionPause,
    message::{MessageOutcome, MessageReceipt, NO_SAGA},
    router::MessageSource,
    schema_source::SchemaSource,
    trigger_intake::TriggerIntake,
};
use saga_base::clock::EngineClock;
use saga_core::{act_author::ActOrigin, id::SagaId, input::SagaStart, state::SagaPlan, time::rfc3339};
use saga_event_store::{
    EditChange, EventStore, LetterAct, LetterActOutcome, LetterCoordinates, LetterStatus, StoreError, StoredLetter,
};
use saga_wire::{
    KafkaRecord, PoisonCode,
    dead_letter::{FoundLetter, MOST_REDRIVES, with_redrives},
    reply::{self, CommandReply, ParsedReply},
    trigger::TriggerOutcome,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;
use uuid::Uuid;

/// How long the owner of the shard may take until the record counts as on its way.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether another engine has begun the saga.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// To whom records are brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BringAim {
    /// To the definition that could not process it, by the text in force.
    #[default]
    Failed,
    /// To that definition, by the text with this hash.
    Text(String),
    /// To every definition that reads the topic.
    Everybody,
}

/// How letters are brought back, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BringOrder {
    /// The beginning of the ids of its acts.
    pub id: Uuid,
    /// The operator.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
    /// To whom.
    pub aim: BringAim,
    /// Also letters that were redriven or discarded before.
    pub again: bool,
    /// Only tells what would become of each.
    pub dry_run: bool,
    /// From where the act came.
    #[serde(default, skip_serializing_if = "ActOrigin::is_unknown")]
    pub origin: ActOrigin,
}

/// What became of a letter, in a word; of a dry run what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BroughtResult {
    /// A saga began.
    Started,
    /// The saga that waits for the reply has it.
    Answered,
    /// A saga has the key already: nothing began.
    Duplicate,
    /// It is on its way to the owner of its shard.
    Accepted,
    /// The same job had brought it before: nothing was done again.
    Before,
    /// Nobody wants it, or it changed nothing.
    Ignored,
    /// It is poison again: there is a new letter.
    PoisonAgain,
    /// The schema registry does not answer: nobody can say what it is, and nothing was done.
    NotJudged,
    /// It may not be brought back.
    Refused,
    /// The record is gone, or the store does not answer.
    Failed,
}

impl BroughtResult {
    /// All of them.
    pub const ALL: [BroughtResult; 9] = [
        BroughtResult::Started,
        BroughtResult::Answered,
        BroughtResult::Duplicate,
        BroughtResult::Accepted,
        BroughtResult::Before,
        BroughtResult::Ignored,
        BroughtResult::PoisonAgain,
        BroughtResult::Refused,
        BroughtResult::Failed,
    ];

    /// Whether it is what the operator wanted.
    #[must_use]
    pub fn is_success(self) -> bool {
        match self {
            BroughtResult::Started
            | BroughtResult::Answered
            | BroughtResult::Duplicate
            | BroughtResult::Accepted
            | BroughtResult::Before => true,
            BroughtResult::Ignored
            | BroughtResult::PoisonAgain
            | BroughtResult::NotJudged
            | BroughtResult::Refused
            | BroughtResult::Failed => false,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BroughtResult::Started => "started",
            BroughtResult::Answered => "answered",
            BroughtResult::Duplicate => "duplicate",
            BroughtResult::Accepted => "accepted",
            BroughtResult::Before => "before",
            BroughtResult::Ignored => "ignored",
            BroughtResult::PoisonAgain => "poison again",
            BroughtResult::NotJudged => "not judged",
            BroughtResult::Refused => "refused",
            BroughtResult::Failed => "failed",
        }
    }
}

/// One letter of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BroughtItem {
    /// Where the letter is: `partition/offset`, with its topic before where that is not the usual one.
    pub place: String,
    /// Identity of what died.
    pub letter: String,
    /// What became of it.
    pub result: BroughtResult,
    /// The saga that began, has the key or has the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What became of a record for one definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BroughtPart {
    result: BroughtResult,
    saga: Option<SagaId>,
    message: Option<String>,
}

impl BroughtPart {
    fn new(result: BroughtResult) -> BroughtPart {
        BroughtPart { result, saga: None, message: None }
    }

    fn saying(self, message: impl Into<String>) -> BroughtPart {
        BroughtPart { message: Some(message.into()), ..self }
    }

    fn of_saga(self, saga: Option<SagaId>) -> BroughtPart {
        BroughtPart { saga, ..self }
    }

    /// What is said to people.
    pub(super) fn told(self) -> String {
        self.message.unwrap_or_else(|| self.result.as_str().to_owned())
    }

    fn text(&self) -> String {
        let parts =
            [Some(self.result.as_str().to_owned()), self.saga.map(|saga| saga.to_string()), self.message.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

impl From<MendError> for BroughtPart {
    fn from(error: MendError) -> BroughtPart {
        match error {
            MendError::Unfit(why) => BroughtPart::new(BroughtResult::Refused).saying(why),
            MendError::NotJudged(why) => BroughtPart::new(BroughtResult::NotJudged).saying(why.to_string()),
            MendError::Poison { code, message } => {
                BroughtPart::new(BroughtResult::PoisonAgain).saying(format!("{code}: {message}"))
            }
        }
    }
}

impl From<StoreError> for BroughtPart {
    fn from(error: StoreError) -> BroughtPart {
        BroughtPart::new(BroughtResult::Failed).saying(format!("the event store: {error}"))
    }
}

/// What a courier is made of.
pub(crate) struct LetterCourierParts {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) intake: TriggerIntake,
    pub(crate) letters: DeadLetterWriter,
    pub(crate) clock: EngineClock,
    pub(crate) config: Arc<ActiveConfigCell>,
    pub(crate) definitions: DefinitionLookup,
    pub(crate) schemas: SchemaSource,
    pub(crate) previewer: ActPreviewer,
    /// Names of the topic of replies and of the inbox.
    pub(crate) topics: (Arc<str>, Arc<str>),
}

/// Brings records back. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct LetterCourier {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) judge: RecordJudge,
    previewer: ActPreviewer,
    intake: TriggerIntake,
    letters: DeadLetterWriter,
    pub(super) clock: EngineClock,
    /// The usual topic of dead letters.
    usual: Arc<str>,
}

impl LetterCourier {
    pub(super) fn new(parts: LetterCourierParts, usual: &Arc<str>) -> LetterCourier {
        let LetterCourierParts { store, intake, letters, clock, config, definitions, schemas, previewer, topics } =
            parts;
        let (replies, inbox) = topics;
        let judge = RecordJudge { config, definitions, schemas, replies, inbox };
        LetterCourier { store, judge, previewer, intake, letters, clock, usual: Arc::clone(usual) }
    }

    /// A place for people and programs.
    pub(super) fn place(&self, place: &LetterCoordinates) -> String {
        letter_place(place, &self.usual)
    }

    /// Brings one letter's record back, as it stands or as it was edited, and records that.
    ///
    /// The record is brought before the act is recorded: after a crash in between it is brought again, and its business
    /// key, or the attempt that it answers, keeps it from having its effect twice.
    pub(super) async fn bring(
        &self,
        reading: &mut LetterReading,
        letter: &StoredLetter,
        order: &BringOrder,
    ) -> BroughtItem {
        let part = match self.brought(reading, letter, order).await {
            Ok(part) | Err(part) => part,
        };
        BroughtItem {
            place: self.place(&letter.place),
            letter: letter.letter.id.clone(),
            result: part.result,
            saga: part.saga.map(|saga| saga.to_string()),
            message: part.message,
        }
    }

    async fn brought(
        &self,
        reading: &mut LetterReading,
        letter: &StoredLetter,
        order: &BringOrder,
    ) -> Result<BroughtPart, BroughtPart> {
        self.check(letter, order).await?;
        let (found, record) = self.record(reading, letter).await?;
        let (everybody, wanted) = match &order.aim {
            BringAim::Failed => (false, None),
            BringAim::Text(hash) => (false, Some(hash.as_str())),
            BringAim::Everybody => (true, None),
        };
        let part = match self.judge.targets(&found, everybody, wanted).await? {
            RecordTargets::Saga => self.bring_reply(record, order).await?,
            RecordTargets::Definitions(plans) => {
                let mut parts = Vec::new();
                for plan in plans {
                    parts.push((plan.definition.name.clone(), self.bring_to(&plan, &record, order).await?));
                }
                joined(parts)
            }
        };
        if order.dry_run || !is_brought(part.result) {
            return Ok(part);
        }
        self.record_act(letter, order, &part).await
    }

    /// Whether the letter may be brought back.
    async fn check(&self, letter: &StoredLetter, order: &BringOrder) -> Result<(), BroughtPart> {
        let refused = |said: String| Err(BroughtPart::new(BroughtResult::Refused).saying(said));
        if letter.letter.redrives >= MOST_REDRIVES {
            return refused(format!(
                "it was brought back {} times, and at most {MOST_REDRIVES} are done: find out why \
                 it fails",
                letter.letter.redrives
            ));
        }
        if letter.status.is_open() {
            return Ok(());
        }
        if is_recorded(self.store.as_ref(), letter, &act_id(order, letter)).await? {
            let said = letter.change.as_ref().and_then(|change| change.result.clone()).unwrap_or_default();
            return Err(BroughtPart::new(BroughtResult::Before).saying(said));
        }
        if order.again {
            return Ok(());
        }
        let (at, who) = letter.change.as_ref().map_or_else(Default::default, |change| {
            (rfc3339(saga_core::time::Timestamp(change.at_ms)), change.who.clone())
        });
        refused(format!("it was {} at {at} by {who}: --again brings it back all the same", letter.status.as_str()))
    }

    /// The letter as its topic has it, and its record as it is to be brought.
    async fn record(
        &self,
        reading: &mut LetterReading,
        letter: &StoredLetter,
    ) -> Result<(FoundLetter, KafkaRecord), BroughtPart> {
        let found = found(reading, letter).await?;
        let content = match self.store.letter(&letter.place).await? {
            Some((_, Some(edit))) => EditedRecord::read(&edit)?.content()?,
            Some((_, None)) | None => found.original.clone(),
        };
        let record = with_redrives(restored(&found, content), letter.letter.redrives + 1);
        Ok((found, record))
    }

    async fn bring_to(
        &self,
        plan: &Arc<SagaPlan>,
        record: &KafkaRecord,
        order: &BringOrder,
    ) -> Result<BroughtPart, BroughtPart> {
        let name = &plan.definition.name;
        match self.judge.judged(record, plan).await? {
            TriggerOutcome::Unwanted | TriggerOutcome::Replayed => {
                Ok(BroughtPart::new(BroughtResult::Ignored).saying(format!("{name} does not want it")))
            }
            TriggerOutcome::Poison(poison) => {
                let part = BroughtPart::from(poisoned(&poison));
                if !order.dry_run {
                    let (receipt, answer) = oneshot::channel();
                    let letter = DeadLetter { poison, definition: Some(name.clone()) };
                    self.letters.send(Arc::new(record.clone()), MessageReceipt::Reply(receipt), letter);
                    // Without an answer the letter may not be there: the act is not recorded then.
                    answer.await.map_err(|_| BroughtPart::new(BroughtResult::Failed).saying("the engine stops"))?;
                }
                Ok(part)
            }
            TriggerOutcome::Start(start) => self.start(plan, *start, record, order).await,
        }
    }

    async fn start(
        &self,
        plan: &Arc<SagaPlan>,
        start: SagaStart,
        record: &KafkaRecord,
        order: &BringOrder,
    ) -> Result<BroughtPart, BroughtPart> {
        let (name, key) = (plan.definition.name.clone(), start.key.clone());
        if let Some(saga) = self.holder(&name, &key).await?.filter(|_| order.dry_run) {
            return Ok(BroughtPart::new(BroughtResult::Duplicate).of_saga(Some(saga)));
        }
        if order.dry_run {
            return Ok(BroughtPart::new(BroughtResult::Started).saying(format!("{name} with the key {key}")));
        }
        if let Some(DefinitionPause { who, reason, .. }) = self.intake.pause_of(&name) {
            let said = format!("{name} is paused by {who} ({reason}): `saga resume definition {name}` ends that");
            return Ok(BroughtPart::new(BroughtResult::Refused).saying(said));
        }
        let had_key = self.holder(&name, &key).await?.is_some();
        let (receipt, answer) = oneshot::channel();
        let way = (MessageReceipt::Reply(receipt), MessageSource::Outside);
        self.intake.begin(plan, start, &Arc::new(record.clone()), way).await;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(MessageOutcome::Forwarded)) => self.forwarded(&name, &key, had_key).await,
            Ok(Ok(outcome)) => Ok(part_of(outcome)),
            Ok(Err(_)) => Err(BroughtPart::new(BroughtResult::Failed).saying("the shard stopped: bring it again")),
            Err(_) => Ok(BroughtPart::new(BroughtResult::Accepted)),
        }
    }

    /// Another engine owns the shard: what it did is in the store.
    async fn forwarded(&self, name: &str, key: &str, had_key: bool) -> Result<BroughtPart, BroughtPart> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(saga) = self.holder(name, key).await? {
                let result = if had_key { BroughtResult::Duplicate } else { BroughtResult::Started };
                return Ok(BroughtPart::new(result).of_saga(Some(saga)));
            }
            if tokio::time::Instant::now() >= until {
                return Ok(BroughtPart::new(BroughtResult::Accepted));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn holder(&self, name: &str, key: &str) -> Result<Option<SagaId>, StoreError> {
        let holder = self.store.key_holder(name, key).await?;
        Ok(holder.and_then(|holder| SagaId::from_uuid(holder.stream)))
    }

    async fn bring_reply(&self, record: KafkaRecord, order: &BringOrder) -> Result<BroughtPart, BroughtPart> {
        let schema = self.judge.reply_schema(&record).await?;
        let saga = match reply::parse(&record, &schema) {
            ParsedReply::Reply(reply) if order.dry_run => return Ok(self.foretold(reply).await),
            ParsedReply::Reply(reply) => Some(reply.saga),
            ParsedReply::Poison { poison, .. } if order.dry_run => return Ok(poisoned(&poison).into()),
            ParsedReply::Poison { .. } => None,
        };
        let (receipt, answer) = oneshot::channel();
        let receipt = MessageReceipt::Reply(receipt);
        self.intake.take_reply((Arc::new(record), schema), receipt, MessageSource::Outside).await;
        Ok(match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(outcome)) => part_of(outcome).of_saga(saga),
            Ok(Err(_)) => BroughtPart::new(BroughtResult::Failed).saying("the shard stopped: bring it again"),
            Err(_) => BroughtPart::new(BroughtResult::Accepted).of_saga(saga),
        })
    }

    /// What the owner of the saga would decide about a reply.
    async fn foretold(&self, reply: CommandReply) -> BroughtPart {
        let saga = reply.saga;
        let part = |result| BroughtPart::new(result).of_saga(Some(saga));
        let again = |code: PoisonCode, said: &str| part(BroughtResult::PoisonAgain).saying(format!("{code}: {said}"));
        match self.previewer.reply(reply).await {
            Ok(ReplyPreview::Taken) => part(BroughtResult::Answered),
            Ok(ReplyPreview::Ignored(reason)) => part(BroughtResult::Ignored).saying(reason),
            Ok(ReplyPreview::Contradicts(reason)) => again(PoisonCode::Contradiction, &reason),
            Ok(ReplyPreview::OfNoStep(reason)) => again(PoisonCode::UnknownStep, &reason),
            Ok(ReplyPreview::OfNoSaga) => again(PoisonCode::UnknownSaga, NO_SAGA),
            Err(error) => part(BroughtResult::Failed).saying(format!("the saga cannot be read: {error}")),
        }
    }

    /// Whether an edit may take the place of the original: it is poison to nobody, and somebody takes it.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) async fn accepts(&self, letter: &FoundLetter, record: &KafkaRecord) -> Result<String, MendError> {
        match self.judge.targets(letter, letter.definition.is_none(), None).await? {
            RecordTargets::Saga => self.accepts_reply(record).await,
            RecordTargets::Definitions(plans) => self.judge.accepts(&plans, record).await,
        }
    }

    async fn accepts_reply(&self, record: &KafkaRecord) -> Result<String, MendError> {
        let schema = self.judge.reply_schema(record).await?;
        let reply = match reply::parse(record, &schema) {
            ParsedReply::Reply(reply) => reply,
            ParsedReply::Poison { poison, .. } => return Err(poisoned(&poison)),
        };
        let saga = reply.saga;
        let part = self.foretold(reply).await;
        if part.result == BroughtResult::Answered {
            return Ok(format!("answers the saga {saga}"));
        }
        Err(MendError::Unfit(format!("the saga would not take the reply: {}", part.text())))
    }

    async fn record_act(
        &self,
        letter: &StoredLetter,
        order: &BringOrder,
        part: &BroughtPart,
    ) -> Result<BroughtPart, BroughtPart> {
        let text = part.text();
        let act = LetterAct {
            place: letter.place.clone(),
            expected: if order.again {
                LetterStatus::ALL.to_vec()
            } else {
                vec![LetterStatus::New, LetterStatus::Reviewing]
            },
            status: LetterStatus::Redriven,
            id: act_id(order, letter),
            at_ms: self.clock.now().0,
            who: order.who.clone(),
            action: "redrive dead letter".to_owned(),
            why: order.reason.clone(),
            source: act_trail::source(&order.origin),
            result: Some(text[..text.floor_char_boundary(saga_event_store::MAX_LETTER_MESSAGE_BYTES)].to_owned()),
            redrives: 1,
            edit: EditChange::Keep,
        };
        match self.store.act_on_letter(&act).await? {
            LetterActOutcome::Applied | LetterActOutcome::Repeated => Ok(part.clone()),
            LetterActOutcome::Refused(status) => Ok(part.clone().saying(format!(
                "the record was brought back ({text}), and meanwhile somebody else made the letter {}",
                status.as_str()
            ))),
            LetterActOutcome::Unknown => Ok(part.clone().saying("its row has left the table meanwhile")),
        }
    }
}

/// The letter as its topic has it now.
pub(super) async fn found(reading: &mut LetterReading, letter: &StoredLetter) -> Result<FoundLetter, BroughtPart> {
    let failed = |said: String| BroughtPart::new(BroughtResult::Failed).saying(said);
    let record = reading.record_at(&letter.place).await;
    let record = record.map_err(|error| failed(format!("the topic of dead letters cannot be read: {error}")))?;
    let record = record.ok_or_else(|| failed("the topic no longer has the letter".to_owned()))?;
    let found = FoundLetter::read(&record);
    let found = found.map_err(|unknown| {
        BroughtPart::new(BroughtResult::Refused).saying(format!("it is no dead letter: {unknown}"))
    })?;
    if super::row::letter_row(&record).id != letter.letter.id {
        return Err(failed("another letter stands at its place: the topic was made anew".to_owned()));
    }
    Ok(found)
}

fn act_id(order: &BringOrder, letter: &StoredLetter) -> String {
    format!("{}:{}/{}", order.id, letter.place.partition, letter.place.offset)
}

/// Whether the record went anywhere, so that the letter is redriven.
fn is_brought(result: BroughtResult) -> bool {
    match result {
        BroughtResult::Started
        | BroughtResult::Answered
        | BroughtResult::Duplicate
        | BroughtResult::Accepted
        | BroughtResult::PoisonAgain => true,
        BroughtResult::Before
        | BroughtResult::Ignored
        | BroughtResult::NotJudged
        | BroughtResult::Refused
        | BroughtResult::Failed => false,
    }
}

fn part_of(outcome: MessageOutcome) -> BroughtPart {
    let part = BroughtPart::new;
    match outcome {
        MessageOutcome::Started(saga) => part(BroughtResult::Started).of_saga(Some(saga)),
        MessageOutcome::Duplicate { saga, other_payload: false } => part(BroughtResult::Duplicate).of_saga(Some(saga)),
        MessageOutcome::Duplicate { saga, other_payload: true } => {
            part(BroughtResult::Duplicate).of_saga(Some(saga)).saying("which began with another payload")
        }
        MessageOutcome::Applied => part(BroughtResult::Answered),
        MessageOutcome::Ignored(reason) if PoisonCode::parse(&reason).is_some() => {
            part(BroughtResult::PoisonAgain).saying(reason)
        }
        MessageOutcome::Ignored(reason) => part(BroughtResult::Ignored).saying(reason),
        MessageOutcome::Refused(reason) => part(BroughtResult::Refused).saying(reason),
        MessageOutcome::UnknownSaga => part(BroughtResult::Ignored).saying("there is no such saga"),
        MessageOutcome::Forwarded => part(BroughtResult::Accepted),
    }
}

/// Of several definitions: the worst result that is one's own, and what became of each.
fn joined(mut parts: Vec<(String, BroughtPart)>) -> BroughtPart {
    if parts.len() == 1
        && let Some((_, part)) = parts.pop()
    {
        return part;
    }
    let told: Vec<String> = parts.iter().map(|(name, part)| format!("{name}: {}", part.text())).collect();
    let wanted = parts.iter().filter(|(_, part)| part.result != BroughtResult::Ignored);
    let worst = wanted.map(|(_, part)| part.clone()).max_by_key(|part| part.result);
    worst.unwrap_or_else(|| BroughtPart::new(BroughtResult::Ignored)).saying(told.join("; "))
}
