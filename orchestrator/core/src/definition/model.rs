//! What a definition is once it has been read and proved.

mod fallback;
mod key;
mod retention;
mod sensitive;
mod whom;

use super::headers::HeaderReads;
use crate::{
    expression::{CelExpression, ValueTemplate},
    id::StepIndex,
    policy::{ExhaustionPolicy, OutagePolicy, RetryRule},
};
use std::time::Duration;

pub use fallback::{FallbackAnswer, FallbackCondition, FallbackRule};
pub use key::BusinessKeyTemplate;
pub use retention::{RetentionRule, RetentionTarget};
pub use sensitive::{MASKED, SensitivePaths};
pub use whom::{CallTarget, ParticipantSelector, TransportKind};

/// One saga definition. Identified by `name` and `hash`.
#[derive(Clone, Debug)]
pub struct SagaDefinition {
    /// `saga:` the definition's name. The engine identifies the definition by it, together with `hash`.
    pub name: String,
    /// `description:` free text for readers; the engine does not interpret it.
    pub description: Option<String>,
    /// Hex SHA-256 of `text`; it changes with every change of the file.
    pub hash: String,
    /// The file's text, as it is stored.
    pub text: String,
    /// Which records start a saga of this definition, and with which business key.
    pub trigger: TriggerDefinition,
    /// From the saga's start; on expiry: compensate before the pivot, overdue after it.
    pub timeout: Option<Duration>,
    /// In the order of the file, a block's steps in theirs. An index into it is a [`StepIndex`].
    pub steps: Vec<StepDefinition>,
    /// `output:` result of a completed saga; the result is `null` if `output` is absent.
    pub output: Option<ValueTemplate>,
    /// `tags:` what its traces say of a saga in the team's words, by name.
    pub tags: Vec<(String, ValueTemplate)>,
    /// `sensitive:` members of payloads that are shown as masks.
    pub sensitive: SensitivePaths,
    /// The event that the engine publishes when a saga has completed; `None`: no event.
    pub on_completed: Option<OutcomeEvent>,
    /// The event that the engine publishes when a saga has been compensated; `None`: no event.
    pub on_compensated: Option<OutcomeEvent>,
    /// `retention:` how long an ended saga stays in the event store; `None`: for ever.
    pub retention: Option<RetentionRule>,
    /// The saga's own defaults, for the resolution of policies.
    pub defaults: PolicyOverrides,
}

/// Which records start the saga.
#[derive(Clone, Debug)]
pub struct TriggerDefinition {
    /// `topic:` the Kafka topic whose records can start a saga.
    pub topic: String,
    /// `type:`; `None` takes records without a type and of any type.
    pub event_type: Option<String>,
    /// `when:` a record starts a saga only where this is true; it sees `event` and `record`.
    pub when: Option<CelExpression>,
    /// `key:` makes the business key of the saga; it sees `event` and `record`.
    pub key: BusinessKeyTemplate,
    /// Where the definition begins in its topic. `None`: with the oldest record, or, of a topic that is read already,
    /// where reading has got to.
    pub from: Option<TriggerStartPosition>,
    /// `replayed:` what records do that are published once more.
    pub replayed: ReplayedRecords,
    /// How long a key stays taken; `None` for ever.
    pub keep_keys: Option<Duration>,
    /// Which headers of the record the definition's expressions read.
    pub headers: HeaderReads,
    /// What an event has to be, where this engine has a JSON Schema of its type. Not part of the text.
    pub schema: Option<super::JsonSchema>,
}

/// What a record does that `saga replay publish` sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayedRecords {
    /// It starts nothing.
    #[default]
    Ignored,
    /// It starts sagas like any other record.
    Accepted,
}

/// Where a first contact with a trigger topic begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TriggerStartPosition {
    /// Reading begins with the oldest record of the topic.
    #[default]
    Earliest,
    /// Reading begins with the records that are produced from now on.
    Latest,
    /// With records produced at or after this time.
    Time(crate::time::Timestamp),
}

/// An event published when the saga ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeEvent {
    /// The topic that the outcome event goes to.
    pub topic: String,
    /// `type:` the outcome event's type, sent in the header `ce_type`.
    pub event_type: String,
}

/// One step of a saga, with all that its file says about it.
#[derive(Clone, Debug)]
pub struct StepDefinition {
    /// `step:` the name, unique in its definition; expressions read the result as `steps.name`.
    pub name: String,
    /// What has to be settled before it starts; empty: starts at once.
    pub after: Vec<StepIndex>,
    /// `if:` the engine skips the step where this is false; `None`: the step always runs.
    pub condition: Option<CelExpression>,
    /// What the engine does in this step: a call, a wait or a publication.
    pub action: StepAction,
    /// `check:` sees the answer; if it is not true, the step is rejected. `None`: every answer is accepted.
    pub check: Option<CelExpression>,
    /// How the engine compensates the step, or why it need not or cannot.
    pub effects: StepCompensation,
    /// `optional:` its failure is recorded and the saga goes on.
    pub optional: bool,
    /// `pivot:` once it succeeded, or was skipped, the saga only goes forward.
    pub pivot: bool,
    /// Whether the step comes before the pivot, is the pivot, or comes after it.
    pub side: PivotSide,
    /// `cache:` an answer to the same request that is not older than this is used instead of a call; read-only steps
    /// only.
    pub cache: Option<Duration>,
    /// `fallback:` by priority; empty for pivots, waits and publications.
    pub fallback: Vec<FallbackRule>,
    /// The step's own policy settings; they override those of the saga and of the participant.
    pub overrides: PolicyOverrides,
}

/// Where a step stands relative to the pivot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PivotSide {
    /// The definition has no pivot, or the step is an ancestor of it.
    Before,
    /// The step is the pivot itself.
    Pivot,
    /// It depends on the pivot: retried for ever by default, never undone.
    After,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepAction {
    /// The engine sends a command to a participant and waits for the answer.
    Call(CallDefinition),
    /// The engine waits for this time and calls no participant.
    Wait(Duration),
    /// The engine publishes an event to a Kafka topic.
    Publish {
        /// The topic that the event goes to.
        topic: String,
        /// The event's type, sent in the header `ce_type`.
        event_type: String,
        /// The record's key; the business key if absent.
        key: Option<ValueTemplate>,
        /// The record's value, evaluated when the step begins.
        with: ValueTemplate,
    },
}

/// A call to a participant: the command and its input.
#[derive(Clone, Debug)]
pub struct CallDefinition {
    /// The participant or capability that performs the command, and the transport.
    pub target: CallTarget,
    /// `with:`; `None`: `{}` for a do, `{"input": …, "result": …}` for an undo (nothing by DELETE).
    pub with: Option<ValueTemplate>,
}

/// The effects of a step and how the engine compensates them.
#[derive(Clone, Debug)]
pub enum StepCompensation {
    /// `undo:` the call that takes the step's effects back.
    Undo(UndoDefinition),
    /// `readOnly: true`, and every `wait`: nothing to undo.
    ReadOnly,
    /// `irreversible: true`, and effects after the pivot: listed when the saga is compensated.
    Irreversible,
}

/// How a step is undone. A pivot's undo is used only while its outcome is unknown or rejected.
#[derive(Clone, Debug)]
pub struct UndoDefinition {
    /// The call that undoes the step.
    pub call: CallDefinition,
    /// The undo's own policy settings; those of the step do not apply to it.
    pub overrides: PolicyOverrides,
}

/// Policy settings of a step, an undo or a saga. The innermost setting applies; `None`: the next outer one does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyOverrides {
    /// `retry:` number of attempts and the backoff between them.
    pub retry: Option<RetryRule>,
    /// `attemptTimeout:` time that one attempt may take until its answer.
    pub attempt_timeout: Option<Duration>,
    /// `timeout:` of a step: everything, waits included.
    pub timeout: Option<Duration>,
    /// `onOutage:` whether deadlines are extended by the duration of an outage.
    pub on_outage: Option<OutagePolicy>,
    /// `onExhausted:` what the saga does when a step's retries are used up.
    pub on_exhausted: Option<ExhaustionPolicy>,
}

impl StepDefinition {
    /// Whether the step has an `undo`.
    #[must_use]
    pub fn has_undo(&self) -> bool {
        matches!(self.effects, StepCompensation::Undo(_))
    }

    /// The participant or capability that the step calls; `None` for a wait and a publication.
    #[must_use]
    pub fn whom(&self) -> Option<&ParticipantSelector> {
        match &self.action {
            StepAction::Call(call) => Some(call.target.whom()),
            StepAction::Wait(_) | StepAction::Publish { .. } => None,
        }
    }

    /// Whether the engine stores answers of the step, for its `cache` or for a fallback.
    #[must_use]
    pub fn remembers(&self) -> bool {
        self.cache.is_some() || self.fallback.iter().any(|fallback| fallback.answer.is_remembered())
    }
}

impl SagaDefinition {
    /// The step at `index`.
    ///
    /// # Panics
    /// If `index` is not a position of this definition.
    #[must_use]
    pub fn step(&self, index: StepIndex) -> &StepDefinition {
        &self.steps[index.at()]
    }

    /// The position of the step called `name`; `None` if no step has this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<StepIndex> {
        self.indices().find(|index| self.step(*index).name == name)
    }

    /// The positions of all steps, in the order of `steps`.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = StepIndex> + use<> {
        let count = u16::try_from(self.steps.len()).expect("parsing bounds the number of steps far below 65,536");
        (0..count).map(StepIndex)
    }

    /// All calls: of steps, and of their undos.
    pub fn targets(&self) -> impl Iterator<Item = &CallTarget> {
        let calls = self.steps.iter().filter_map(|step| match &step.action {
            StepAction::Call(call) => Some(&call.target),
            StepAction::Wait(_) | StepAction::Publish { .. } => None,
        });
        let undos = self.steps.iter().filter_map(|step| match &step.effects {
            StepCompensation::Undo(undo) => Some(&undo.call.target),
            StepCompensation::ReadOnly | StepCompensation::Irreversible => None,
        });
        calls.chain(undos)
    }

    /// All participants and capabilities that are called, each once, sorted.
    #[must_use]
    pub fn called(&self) -> Vec<&ParticipantSelector> {
        let undos = self.steps.iter().filter_map(|step| match &step.effects {
            StepCompensation::Undo(undo) => Some(undo.call.target.whom()),
            StepCompensation::ReadOnly | StepCompensation::Irreversible => None,
        });
        let calls = self.steps.iter().filter_map(StepDefinition::whom);
        let mut names: Vec<&ParticipantSelector> = calls.chain(undos).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
