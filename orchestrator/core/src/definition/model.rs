//! What a definition is once it has been read and proved.

mod fallback;
mod key;
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
pub use whom::{CallTarget, ParticipantSelector, TransportKind};

/// One saga definition. Identified by `name` and `hash`.
#[derive(Clone, Debug)]
pub struct SagaDefinition {
    /// `saga:`
    pub name: String,
    /// `description:`
    pub description: Option<String>,
    /// Hex SHA-256 of the file's text.
    pub hash: String,
    /// The file's text, as it is stored.
    pub text: String,
    /// What starts it.
    pub trigger: TriggerDefinition,
    /// From the saga's start; on expiry: compensate before the pivot, overdue after it.
    pub timeout: Option<Duration>,
    /// In the order of the file, a block's steps in theirs. An index into it is a [`StepIndex`].
    pub steps: Vec<StepDefinition>,
    /// Result of the saga: `null` if absent.
    pub output: Option<ValueTemplate>,
    /// Published when it completed.
    pub on_completed: Option<OutcomeEvent>,
    /// Published when it was compensated.
    pub on_compensated: Option<OutcomeEvent>,
    /// The saga's own defaults, for the resolution of policies.
    pub defaults: PolicyOverrides,
}

/// Which records start the saga.
#[derive(Clone, Debug)]
pub struct TriggerDefinition {
    /// Topic to read.
    pub topic: String,
    /// `type:`; `None` takes records without a type and of any type.
    pub event_type: Option<String>,
    /// `when:`; sees `event` and `record`.
    pub when: Option<CelExpression>,
    /// `key:`; sees `event` and `record`.
    pub key: BusinessKeyTemplate,
    /// Where the definition begins in its topic. `None`: with the oldest record, or, of a topic that is read already,
    /// where reading has got to.
    pub from: Option<TriggerStartPosition>,
    /// How long a key stays taken; `None` for ever.
    pub keep_keys: Option<Duration>,
    /// Which headers of the record the definition's expressions read.
    pub headers: HeaderReads,
    /// What an event has to be, where this engine has a JSON Schema of its type. Not part of the text.
    pub schema: Option<super::JsonSchema>,
}

/// Where a first contact with a trigger topic begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TriggerStartPosition {
    /// With the oldest record.
    #[default]
    Earliest,
    /// With records produced from now on.
    Latest,
    /// With records produced at or after this time.
    Time(crate::time::Timestamp),
}

/// An event published when the saga ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeEvent {
    /// The topic that the outcome event goes to.
    pub topic: String,
    /// `ce_type`.
    pub event_type: String,
}

/// One step.
#[derive(Clone, Debug)]
pub struct StepDefinition {
    /// `step:`
    pub name: String,
    /// What has to be settled before it starts; empty: starts at once.
    pub after: Vec<StepIndex>,
    /// `if:`; false skips it.
    pub condition: Option<CelExpression>,
    /// What it does.
    pub action: StepAction,
    /// `check:`; not true rejects the step.
    pub check: Option<CelExpression>,
    /// What undoing it means.
    pub effects: StepCompensation,
    /// `optional:` its failure is recorded and the saga goes on.
    pub optional: bool,
    /// `pivot:` once it succeeded, or was skipped, the saga only goes forward.
    pub pivot: bool,
    /// Where it stands relative to the pivot.
    pub side: PivotSide,
    /// `cache:` an answer to the same request that is at most so old is used instead of a call; read-only steps only.
    pub cache: Option<Duration>,
    /// `fallback:` by priority; empty for pivots, waits and publications.
    pub fallback: Vec<FallbackRule>,
    /// The step's own policy settings.
    pub overrides: PolicyOverrides,
}

/// Where a step stands relative to the pivot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PivotSide {
    /// The definition has no pivot, or the step is an ancestor of it.
    Before,
    /// It is the pivot.
    Pivot,
    /// It depends on the pivot: retried for ever by default, never undone.
    After,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepAction {
    /// Asks a participant.
    Call(CallDefinition),
    /// Waits this long.
    Wait(Duration),
    /// Publishes an event.
    Publish {
        /// The topic that the event goes to.
        topic: String,
        /// `ce_type`.
        event_type: String,
        /// The record's key; the business key if absent.
        key: Option<ValueTemplate>,
        /// The record's value.
        with: ValueTemplate,
    },
}

/// A call to a participant.
#[derive(Clone, Debug)]
pub struct CallDefinition {
    /// Whom and how.
    pub target: CallTarget,
    /// `with:`; `None`: `{}` for a do, `{"input": …, "result": …}` for an undo (nothing by DELETE).
    pub with: Option<ValueTemplate>,
}

/// What a step leaves behind and how that is taken back.
#[derive(Clone, Debug)]
pub enum StepCompensation {
    /// `undo:`
    Undo(UndoDefinition),
    /// `readOnly: true`, and every `wait`: nothing to undo.
    ReadOnly,
    /// `irreversible: true`, and effects after the pivot: listed when the saga is compensated.
    Irreversible,
}

/// How a step is undone. A pivot's undo is used only while its outcome is unknown or rejected.
#[derive(Clone, Debug)]
pub struct UndoDefinition {
    /// The call.
    pub call: CallDefinition,
    /// The undo's own policy settings.
    pub overrides: PolicyOverrides,
}

/// Settings that override policies further out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyOverrides {
    /// `retry:`
    pub retry: Option<RetryRule>,
    /// `attemptTimeout:`
    pub attempt_timeout: Option<Duration>,
    /// `timeout:` of a step: everything, waits included.
    pub timeout: Option<Duration>,
    /// `onOutage:`
    pub on_outage: Option<OutagePolicy>,
    /// `onExhausted:`
    pub on_exhausted: Option<ExhaustionPolicy>,
}

impl StepDefinition {
    /// Whether it says how it is undone.
    #[must_use]
    pub fn has_undo(&self) -> bool {
        matches!(self.effects, StepCompensation::Undo(_))
    }

    /// Whom it asks; `None` for a wait and a publication.
    #[must_use]
    pub fn whom(&self) -> Option<&ParticipantSelector> {
        match &self.action {
            StepAction::Call(call) => Some(call.target.whom()),
            StepAction::Wait(_) | StepAction::Publish { .. } => None,
        }
    }

    /// Whether answers of its participant are worth remembering.
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

    /// The position of the step called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<StepIndex> {
        self.indices().find(|index| self.step(*index).name == name)
    }

    /// All positions, in order.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = StepIndex> + use<> {
        let count = u16::try_from(self.steps.len()).expect("parsing bounds the number of steps far below 65,536");
        (0..count).map(StepIndex)
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
