//! What is recorded. One decision is one row of the journal: a version, a time and these events.
//!
//! The serde shape of these types is the stored shape: fields are added with defaults, never renamed or removed.
//! Recorded histories in `tests/histories` hold every released build to that.

mod erased;
mod fork;
mod outline;
mod substitute;

use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, GuardKind},
    id::StepIndex,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

pub use fork::{ForkOrigin, TakenOutcome, TakenOverStep};
pub use substitute::{FallbackKind, SubstituteAnswer};

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SagaDecision {
    /// 1, 2, 3, … without gaps.
    pub version: u32,
    /// When it was decided, by the owner's clock; never before the row above.
    pub at: Timestamp,
    /// What the decision recorded, in order; at least one event.
    pub events: Vec<SagaEvent>,
}

/// Where the trigger came from and what it said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerRecord {
    /// Topic of the record.
    pub topic: String,
    /// Partition of the record.
    pub partition: i32,
    /// Offset of the record.
    pub offset: i64,
    /// The record's key, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The record's Kafka timestamp; negative where the record has none.
    pub timestamp: Timestamp,
    /// The record's headers, without those whose values are not text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The decoded payload: `event` in expressions.
    pub event: Value,
}

/// Why a saga is being undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CompensationCause {
    /// A step failed, stayed unknown or was rejected by its `check`.
    Step {
        /// The step; its position in the definition.
        step: StepIndex,
        /// How the step ended.
        failure: CommandFailure,
    },
    /// The saga's timeout expired before the pivot.
    Timeout,
    /// An operator cancelled it.
    Cancelled {
        /// The operator who cancelled it.
        who: String,
        /// The operator's reason for the cancel.
        reason: String,
    },
}

impl CompensationCause {
    /// As the outcome event and the read model say it.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            CompensationCause::Step { failure, .. } => &failure.code,
            CompensationCause::Timeout => "timeout",
            CompensationCause::Cancelled { .. } => "cancelled",
        }
    }

    /// The step that the saga goes back for, if it is one.
    #[must_use]
    pub fn step(&self) -> Option<StepIndex> {
        match self {
            CompensationCause::Step { step, .. } => Some(*step),
            CompensationCause::Timeout | CompensationCause::Cancelled { .. } => None,
        }
    }
}

/// Why a saga cannot go on by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ParkReason {
    /// A step's retries are used up, or it failed permanently after the pivot.
    StepFailed {
        /// The step that a person has to look at.
        step: StepIndex,
        /// How its last attempt ended.
        failure: CommandFailure,
        /// How it ended. Events of earlier builds do not say.
        #[serde(default)]
        end: StepFailureKind,
    },
    /// A pivot without `undo` ended unknown.
    PivotUnknown {
        /// The pivot whose outcome is unknown.
        step: StepIndex,
        /// Why it is not known whether the pivot had its effect.
        failure: CommandFailure,
    },
    /// One or more undos gave up or were refused permanently; all others are done.
    UndoFailed {
        /// The steps that could not be undone.
        steps: Vec<StepIndex>,
        /// How the undo of the first of these steps ended.
        failure: CommandFailure,
    },
    /// `output` cannot be evaluated.
    Output {
        /// Why the expressions of `output` have no value.
        failure: CommandFailure,
    },
    /// The saga grew beyond a limit (history, payload).
    Limit {
        /// Which limit the saga reached, or why no decision can be made; for people.
        message: String,
    },
}

impl ParkReason {
    /// The step that the saga is parked for, the first of several.
    #[must_use]
    pub fn step(&self) -> Option<StepIndex> {
        match self {
            ParkReason::StepFailed { step, .. } | ParkReason::PivotUnknown { step, .. } => Some(*step),
            ParkReason::UndoFailed { steps, .. } => steps.first().copied(),
            ParkReason::Output { .. } | ParkReason::Limit { .. } => None,
        }
    }
}

/// What an operator can ask of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperatorAction {
    /// Try again what failed or waits, now, with fresh attempts.
    Retry,
    /// Take a step that it is parked for as settled: a do as skipped, whether or not it happened; an undo as done by
    /// hand; a pivot in doubt that has no undo as not having happened.
    Skip,
    /// Compensate. Refused after the pivot.
    Cancel,
    /// End it as it is; what was left undone is recorded.
    Abandon,
    /// Go on by another text of the definition, if it fits where the saga stands. A parked saga stays parked.
    Migrate,
    /// Remove for ever what a saga that has ended was given, sent and was answered; its course stays on record.
    Erase,
}

impl OperatorAction {
    /// Every act, in the order of this enum.
    pub const ALL: [OperatorAction; 6] = [
        OperatorAction::Retry,
        OperatorAction::Skip,
        OperatorAction::Cancel,
        OperatorAction::Abandon,
        OperatorAction::Migrate,
        OperatorAction::Erase,
    ];

    /// The act's word, the same as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OperatorAction::Retry => "retry",
            OperatorAction::Skip => "skip",
            OperatorAction::Cancel => "cancel",
            OperatorAction::Abandon => "abandon",
            OperatorAction::Migrate => "migrate",
            OperatorAction::Erase => "erase",
        }
    }

    /// The act with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<OperatorAction> {
        OperatorAction::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

/// The way a saga ended or is about to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SagaEnd {
    /// Every step is applied, skipped, or optional.
    Completed {
        /// The definition's `output`, `null` without one.
        output: Value,
    },
    /// Everything that was or may have been applied is undone.
    Compensated {
        /// The first cause that sent the saga back; later causes change nothing.
        cause: CompensationCause,
        /// Steps that are applied, or may be, and have no undo because they are declared `irreversible`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        irreversible: Vec<StepIndex>,
        /// Those of them of which it is not known whether they are applied.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        in_doubt: Vec<StepIndex>,
    },
    /// An operator ended it.
    Abandoned {
        /// The operator who abandoned it.
        who: String,
        /// The operator's reason for the abandon.
        reason: String,
        /// Steps that are applied or unknown and not undone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<StepIndex>,
    },
}

/// A fact. Evolve applies it without rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SagaEvent {
    /// The saga begins: always the first event of the first row.
    SagaStarted {
        /// Name of the definition.
        name: String,
        /// The business key, which the definition reads from the trigger.
        key: String,
        /// Hash of the definition's text, under which the text is stored.
        definition: String,
        /// Hash of the resolved policies, under which they are stored.
        policies: String,
        /// The Kafka record that started the saga.
        trigger: Box<TriggerRecord>,
        /// W3C `traceparent` of the trigger, if it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<String>,
        /// The saga that this one runs again; `None`: a record started it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forked_from: Option<Box<ForkOrigin>>,
    },
    /// The outcome that a step had in the saga that is run again counts for this one. Only in the first row.
    StepTakenOver {
        /// The step, which is not performed.
        step: StepIndex,
        /// How it ended there.
        taken: Box<TakenOverStep>,
    },
    /// The first attempt of a command, or the beginning of a wait. Recorded before anything is sent.
    StepStarted {
        /// The step that begins.
        step: StepIndex,
        /// Whether the step is performed or undone.
        direction: CommandDirection,
        /// The evaluated request; every attempt sends it unchanged.
        request: CommandRequest,
        /// Whether the attempt finds out if the participant is available again, and is not counted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        probe: bool,
    },
    /// A `wait` step began.
    WaitStarted {
        /// The step that waits.
        step: StepIndex,
        /// The wait ends then, and the step succeeds.
        until: Timestamp,
    },
    /// A further attempt of a command whose request is on record.
    AttemptStarted {
        /// The step whose command is sent again.
        step: StepIndex,
        /// Whether the step is performed or undone.
        direction: CommandDirection,
        /// 2, 3, … ; the first one is `StepStarted`.
        attempt: u32,
        /// Whether the attempt finds out if the participant is available again, and is not counted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        probe: bool,
    },
    /// An attempt ended without success.
    AttemptFailed {
        /// The step whose attempt ended.
        step: StepIndex,
        /// Whether it was to be performed or undone.
        direction: CommandDirection,
        /// The attempt that ended; an earlier one than the last may be answered late.
        attempt: u32,
        /// Whether the attempt certainly had no effect, or may have had one.
        outcome: AttemptOutcome,
        /// What the participant, the transport or the engine said of it.
        failure: CommandFailure,
        /// When the next attempt is due; `None`: there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
        /// Whether a person can fix the cause (401, 403, 407): where the step's time ends after it, the saga parks.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        needs_person: bool,
    },
    /// The participant works on the attempt; its timeout starts again. Recorded when it says so first, and at a bounded
    /// rate from then on.
    AttemptExtended {
        /// The step that the participant works on.
        step: StepIndex,
        /// Whether it is performed or undone.
        direction: CommandDirection,
        /// The attempt that the participant acknowledged.
        attempt: u32,
        /// The attempt's new deadline.
        deadline: Timestamp,
        /// When to ask; `None`: the participant reports by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask_at: Option<Timestamp>,
        /// Where to ask; `None`: repeat the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<String>,
    },
    /// A guard holds the command back; no attempt is counted.
    StepWaiting {
        /// The step whose command waits.
        step: StepIndex,
        /// Whether it is to be performed or undone.
        direction: CommandDirection,
        /// The guard that refused the command.
        guard: GuardKind,
        /// The participant that the guard belongs to; `None`: it belongs to a topic, because an event is published.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        participant: Option<String>,
        /// The command may ask the guard again then, at the earliest.
        not_before: Timestamp,
        /// Whether any attempt of this command was ever sent.
        ever_sent: bool,
    },
    /// The command succeeded: the step is applied, or undone.
    StepSucceeded {
        /// The step that is applied, or undone.
        step: StepIndex,
        /// Whether it was performed or undone.
        direction: CommandDirection,
        /// What the participant answered.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
    },
    /// The do succeeded and its `check` refused the result: counted as applied.
    StepRejected {
        /// The step that is applied, and whose result is refused.
        step: StepIndex,
        /// What the participant answered.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
        /// The check's expression that was false, or why it has no value.
        failure: CommandFailure,
    },
    /// The command ended without success.
    StepFailed {
        /// The step whose command ended.
        step: StepIndex,
        /// Whether it was to be performed or undone.
        direction: CommandDirection,
        /// Whether the command certainly had no effect, or may have had one.
        outcome: AttemptOutcome,
        /// How the last attempt ended, or why there was none.
        failure: CommandFailure,
        /// Why it was not tried again: what follows from it, at once or when a parked saga is moved on.
        #[serde(default)]
        ending: NoRetryReason,
    },
    /// Something answered in place of the participant: the cache before a call, or a fallback after the do ended
    /// without success.
    StepAnswered {
        /// The step that is answered for.
        step: StepIndex,
        /// What answered in place of the participant: the cache, or a fallback of which kind.
        by: SubstituteAnswer,
        /// What would have been sent, where nothing of it is on record yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<CommandRequest>,
        /// What `steps.<name>` reads from now on; `null` of a failure.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
    },
    /// `if` was false, or an operator skipped it. What became of attempts in doubt stays open.
    StepSkipped {
        /// The step that is passed over.
        step: StepIndex,
        /// Do: what follows goes on without it. Undo: an operator declared it done by hand.
        direction: CommandDirection,
        /// Whether it may have happened.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_doubt: bool,
    },
    /// A success that came after the command had been given up or skipped fills in the result; from now on the step may
    /// be applied.
    ResultArrived {
        /// The step that succeeded late.
        step: StepIndex,
        /// What the participant answered.
        result: Value,
    },
    /// From here on the saga is undone.
    CompensationStarted {
        /// What the saga goes back for: the first cause, later ones change nothing.
        cause: CompensationCause,
    },
    /// The deadline passed after the pivot: the saga goes on and is marked.
    SagaOverdue,
    /// The saga cannot go on by itself.
    SagaParked {
        /// What a person has to look at.
        reason: ParkReason,
    },
    /// What it was parked for resolved itself: a late success arrived. Its deadlines run again, with what they had
    /// left.
    SagaResumed,
    /// An operator acted on the saga; the events after it are what the act caused.
    OperatorActed {
        /// Identity of the act; a repeat changes nothing.
        id: String,
        /// The name of the operator, as the act gives it.
        who: String,
        /// The operator's reason for the act.
        reason: String,
        /// What the operator asked for.
        action: OperatorAction,
        /// The command that it is about. Events of earlier builds do not say, and an act on the whole saga has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<CommandRef>,
    },
    /// From here on the saga runs by another text of its definition, and by other policies: those of an operator's act,
    /// which is the next event. What is applied stays, and what has begun keeps its request. The first event of its
    /// row.
    DefinitionChanged {
        /// Hash of the text by which the saga ran until here.
        #[serde(default)]
        from: String,
        /// Hash of the definition's text, under which the text is stored.
        definition: String,
        /// Hash of the resolved policies, under which they are stored.
        policies: String,
    },
    /// The outcome event has to be published before the saga can end.
    OutcomeDue {
        /// How the saga ends when its outcome event is delivered.
        end: SagaEnd,
        /// What is published, under `ce_id` `<saga id>:outcome`.
        request: CommandRequest,
    },
    /// The topic does not take the outcome event now: it is published when the topic takes records again. Recorded once
    /// for each form of it.
    OutcomeWaiting {
        /// What the broker said when it refused the event.
        failure: CommandFailure,
    },
    /// The broker will never take the outcome event as it is: a smaller one is published under the same `ce_id`.
    OutcomeShortened {
        /// The smaller event that is published instead, without `output`.
        request: CommandRequest,
    },
    /// The saga has ended: no later event changes its status.
    SagaEnded {
        /// How the saga ended; nothing after this row changes it.
        end: SagaEnd,
    },
    /// Something that a person should look at; does not change the saga's course.
    IncidentOpened {
        /// The step it is about.
        step: Option<StepIndex>,
        /// Which of the step's commands it is about. Events of earlier builds do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<CommandDirection>,
        /// What happened; its code says of which kind the incident is.
        failure: CommandFailure,
    },
}

/// How an attempt or a command ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptOutcome {
    /// It certainly had no effect.
    Failed,
    /// It may have happened.
    Unknown,
}

/// How a do ended that a saga is parked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepFailureKind {
    /// The do certainly had no effect.
    #[default]
    Failed,
    /// It may have happened.
    Unknown,
    /// It happened, and its `check` refused the result.
    Rejected,
}

/// Why a command that ended without success was not tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoRetryReason {
    /// The command was refused permanently, or it could not be evaluated: before the pivot the saga is undone.
    Definite,
    /// Its attempts, or its time, are used up: `onExhausted` says what follows.
    Exhausted,
    /// A person can fix the cause: a refusal that used up the attempts, a participant that is not configured any more,
    /// a reply that cannot be read.
    /// The saga parks. Also what counts for events of earlier builds, which do not say: a person is asked rather than a
    /// saga undone.
    #[default]
    NeedsPerson,
}
