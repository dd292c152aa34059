//! What the journal of a saga folds to.

mod acts;
mod back;
mod course;
mod due;
mod held;
mod incidents;
mod needs;
mod noted;
mod plan;
mod recorded_value;
mod shared;
mod stands;
mod status;
mod step;
mod under_way;

use crate::{
    answerable::OutageLog,
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, GuardKind},
    definition::PivotSide,
    event::{ForkOrigin, NoRetryReason, SubstituteAnswer, TriggerRecord},
    expression::ExpressionScope,
    id::{CommandId, SagaId, StepIndex},
    time::Timestamp,
    trace::TraceContext,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

pub use acts::{ACTS_KEPT, ActHistory, AppliedAct};
pub use course::{OutcomeForm, SagaDirection, SagaPhase};
pub use due::SagaTimers;
pub use held::BlockingGuard;
pub(crate) use needs::FailureConsequence;
pub use noted::AttemptNotes;
pub(crate) use noted::AttemptTimes;
pub use plan::SagaPlan;
pub use stands::SagaPosition;
pub use status::{SagaStatus, SagaStatusError};

/// The state of one saga: what its journal folds to. As bytes it is a snapshot: fields that are not on record are left
/// out, and read back as a fold has them. Its shape has the number [`crate::snapshot::FORMAT`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SagaState {
    /// The saga's id, which also names its shard.
    pub id: SagaId,
    /// Version of the last row.
    pub version: u32,
    /// Time of the last row.
    pub last_at: Timestamp,
    /// Rows that count against [`crate::decide::HISTORY_LIMIT`]: all but those whose rate is bounded, see
    /// `evolve::counts`.
    pub counted_rows: u32,
    /// Time of the first row.
    pub started_at: Timestamp,
    /// The business key, which the definition reads from the trigger.
    pub key: String,
    /// The saga that this one runs again; `None`: a record started it.
    #[serde(with = "shared::optional")]
    pub forked_from: Option<Arc<ForkOrigin>>,
    /// The Kafka record that started the saga.
    #[serde(with = "shared")]
    pub trigger: Arc<TriggerRecord>,
    /// W3C `traceparent` of everything that it sends.
    pub traceparent: String,
    /// What expressions see of it that never changes.
    #[serde(with = "shared")]
    pub(crate) seen: Arc<ScopeConstants>,
    /// Whether it goes forward, is undone, is parked, publishes its outcome, or has ended.
    pub course: SagaPhase,
    /// One state for each step of the definition, by position.
    pub steps: Vec<StepState>,
    /// `steps` in expressions: results of the steps that succeeded or were answered for, by name.
    pub results: Map<String, Value>,
    /// When it was parked, as far as that is over: deadlines stood still.
    pub parked: OutageLog,
    /// Its time ended after the pivot.
    pub overdue: bool,
    /// A cancel that waits for the pivot's answer: the operator and the reason.
    pub cancel: Option<(String, String)>,
    /// An abandon that waits for what the broker says of the outcome event: the operator and the reason.
    pub abandon: Option<(String, String)>,
    /// Whether its outcome event, which waits for its topic according to the record, is being published to find out
    /// whether the topic takes records again. Not on record.
    #[serde(skip)]
    pub outcome_is_out: bool,
    /// The latest operators' acts.
    pub acts: ActHistory,
    /// Who took out what the saga carried; `None`: it is on record.
    pub erased: Option<SagaErasure>,
    /// What a person should look at.
    pub incidents: Vec<SagaIncident>,
}

/// The act by which a saga was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaErasure {
    /// When it was recorded.
    pub at: Timestamp,
    /// The operator.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
}

/// What expressions see of a saga that never changes: made once, because every step looks at it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScopeConstants {
    pub(crate) saga: Value,
    pub(crate) record: Value,
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SagaIncident {
    /// Time of the row that opened it.
    pub at: Timestamp,
    /// The step it is about.
    pub step: Option<StepIndex>,
    /// Which of the step's commands it is about, if that is known.
    pub direction: Option<CommandDirection>,
    /// What happened; its code says of which kind the incident is.
    pub failure: CommandFailure,
}

/// Name of an event: the row and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPosition {
    /// Version of the row that holds the event.
    pub version: u32,
    /// Position of the event in its row, from 0.
    pub index: u16,
}

impl std::fmt::Display for EventPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.version, self.index)
    }
}

/// The state of one step: its two commands and its result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// The state of its do.
    pub forward: CommandState,
    /// The state of its undo.
    pub undo: CommandState,
    /// What the participant answered: of a success, a rejected success, or a late one; of the cache's, what it answered
    /// before.
    #[serde(with = "recorded_value")]
    pub result: Option<Value>,
    /// What answered in its place, if anything did.
    pub substitute: Option<SubstituteAnswer>,
    /// The saga that performed it, if its outcome was taken over from another saga; `None`: this saga.
    pub done_in: Option<SagaId>,
}

/// One command of a step, in either direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CommandState {
    /// What is sent, once that is on record; `None` before.
    #[serde(with = "shared::optional")]
    pub request: Option<Arc<CommandRequest>>,
    /// When the step began to be worked on, guards included.
    pub began_at: Option<Timestamp>,
    /// The highest attempt that was started and not taken back by a guard.
    pub attempt: u32,
    /// Attempts before this one are not counted any more: an operator granted fresh ones.
    pub fresh_from: u32,
    /// Attempts that found out whether the participant is back: they are not counted.
    pub probes: BTreeSet<u32>,
    /// Attempts up to this one were made by an earlier owner: each may have been sent more than once, because a new
    /// owner sends again what is outstanding.
    #[serde(skip)]
    pub inherited: u32,
    /// Attempts that are asked after: the participant has accepted them, or said that it was not ready.
    pub asked_after: BTreeSet<u32>,
    /// How often in a row a guard refused it, since an attempt was last answered.
    pub refused: u32,
    /// When the first of these refusals was; `None` before any.
    pub refused_since: Option<Timestamp>,
    /// The retry delay before its last attempt, or the one that runs now; `None` before the first delay.
    pub rested: Option<Duration>,
    /// Attempts that were sent and of which it is not certain that they had no effect.
    pub in_doubt: BTreeSet<u32>,
    /// When an attempt was last given up in doubt: from then on the saga did not wait for it, and it may have gone on.
    pub doubted_at: Option<Timestamp>,
    /// How the last attempt ended, if without success.
    pub last_failure: Option<CommandFailure>,
    /// Whether a person can fix what its last attempt failed for.
    pub needs_person: bool,
    /// Why it was not tried again; `None` unless it failed or stayed unknown.
    pub ending: Option<NoRetryReason>,
    /// What the command is doing now, or how it ended.
    pub phase: CommandPhase,
}

/// What is going on with a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum CommandPhase {
    /// The command has not begun: nothing of it was sent, and it waits for nothing of its own.
    #[default]
    Idle,
    /// A guard holds it back.
    Held {
        /// The guard that refused it last.
        guard: GuardKind,
        /// The participant that the guard belongs to; `None`: it belongs to a topic, or an earlier build's row does not
        /// name it.
        participant: Option<String>,
        /// The command may ask the guard again then, at the earliest.
        not_before: Timestamp,
    },
    /// An attempt was started, and its answer is awaited.
    Attempting(InFlightAttempt),
    /// The last attempt ended without success, and the retry delay runs.
    Resting {
        /// When the next one is due.
        until: Timestamp,
    },
    /// A `wait` step has begun, and its time runs.
    Sleeping {
        /// The wait ends then, and the step succeeds.
        until: Timestamp,
    },
    /// The command ended, and is not tried again by itself.
    Settled(CommandOutcome),
}

/// An attempt that was started and is not answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InFlightAttempt {
    since: Timestamp,
    /// How long it is awaited: what is over then counts as unknown.
    pub time: Duration,
    /// When it was sent, as far as that is known to be later than the record says.
    #[serde(skip)]
    pub departure: SendTime,
    ask_at: Option<Timestamp>,
    location: Option<String>,
    /// When it was last recorded that the participant works on it.
    pub heard_at: Option<Timestamp>,
    /// What is known beyond the record.
    #[serde(skip)]
    pub noted: AttemptNotes,
    /// The event that started it; stays the same when it is asked after, because the record that is sent again names
    /// it.
    pub cause: EventPosition,
    /// When it was started; stays the same when it is asked after.
    pub at: Timestamp,
    /// Whether it is the command's first try and within its first timeout.
    pub first: bool,
}

/// When an attempt was sent, as far as this process knows. Not on record: another owner sends it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendTime {
    /// The attempt was sent when it was decided on.
    #[default]
    AsDecided,
    /// It has not been sent yet, so its time does not run.
    NotYet,
    /// Then; its time runs from there.
    At(Timestamp),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CommandOutcome {
    /// The do is applied, or the undo has undone it.
    Succeeded,
    /// Applied, and its `check` refused the result.
    Rejected(CommandFailure),
    /// Certainly no effect; of an undo: it gave up.
    Failed(CommandFailure),
    /// It may have had its effect; of an undo: it gave up.
    Unknown(CommandFailure),
    /// What follows goes on without it, whether or not an attempt in doubt happened; of an undo: done by hand.
    Skipped,
}

impl SagaState {
    /// What expressions see of the saga.
    pub(crate) fn scope(&self) -> ExpressionScope<'_> {
        ExpressionScope {
            event: Some(&self.trigger.event),
            record: Some(&self.seen.record),
            saga: Some(&self.seen.saga),
            steps: Some(&self.results),
            ..ExpressionScope::default()
        }
    }

    /// The trace that the saga belongs to.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        TraceContext::of(self.id, &self.traceparent)
    }

    /// The step at `index`.
    ///
    /// # Panics
    /// If `index` is not a position of the saga's definition.
    #[must_use]
    pub fn step(&self, index: StepIndex) -> &StepState {
        &self.steps[index.at()]
    }

    /// The state of one command, of the do or the undo of its step.
    #[must_use]
    pub fn command(&self, command: CommandRef) -> &CommandState {
        let step = self.step(command.step);
        match command.direction {
            CommandDirection::Do => &step.forward,
            CommandDirection::Undo => &step.undo,
        }
    }

    pub(crate) fn command_mut(&mut self, command: CommandRef) -> &mut CommandState {
        let step = &mut self.steps[command.step.at()];
        match command.direction {
            CommandDirection::Do => &mut step.forward,
            CommandDirection::Undo => &mut step.undo,
        }
    }

    /// The identity of a command, by which its participant knows it. If another saga performed the step, it names that
    /// saga: the participant finds what the undo undoes by the command id of the do.
    #[must_use]
    pub fn command_id(&self, plan: &SagaPlan, command: CommandRef) -> CommandId {
        let step = plan.definition.step(command.step).name.clone();
        let saga = self.step(command.step).done_in.unwrap_or(self.id);
        CommandId { saga, step, direction: command.direction }
    }

    /// All commands, steps in order, do before undo.
    pub(crate) fn commands(&self) -> impl Iterator<Item = (CommandRef, &CommandState)> {
        self.steps.iter().zip(0u16..).flat_map(|(step, index)| {
            let command = |direction| CommandRef { step: StepIndex(index), direction };
            [(command(CommandDirection::Do), &step.forward), (command(CommandDirection::Undo), &step.undo)]
        })
    }

    /// The state as it is folded by a new owner: what an attempt's answers are worth depends on how often it was sent,
    /// and that is not known of attempts of an earlier owner.
    #[must_use]
    pub fn inherited(mut self) -> SagaState {
        for step in &mut self.steps {
            for command in [&mut step.forward, &mut step.undo] {
                command.inherited = command.attempt;
                if let CommandPhase::Attempting(attempting) = &mut command.phase {
                    attempting.departure = SendTime::AsDecided;
                }
            }
        }
        self
    }

    /// The state as an owner has it who made every attempt itself.
    pub(crate) fn by_one_owner(mut self) -> SagaState {
        for step in &mut self.steps {
            step.forward.inherited = 0;
            step.undo.inherited = 0;
        }
        self
    }

    /// Whether the pivot is settled as succeeded or skipped: from then on the saga only goes forward, because what
    /// follows may have begun.
    #[must_use]
    pub fn pivot_passed(&self, plan: &SagaPlan) -> bool {
        self.pivot(plan).is_some_and(|index| self.step(index).is_passed())
    }

    /// The position of the definition's pivot; `None` if it has none.
    pub(crate) fn pivot(&self, plan: &SagaPlan) -> Option<StepIndex> {
        plan.definition.indices().find(|index| plan.definition.step(*index).side == PivotSide::Pivot)
    }

    /// Notes when an attempt was sent, as its sender reports it. Changes nothing if it is not the one that is out.
    pub fn departs(&mut self, command: CommandRef, attempt: u32, departure: SendTime) {
        let it = self.command_mut(command);
        if let CommandPhase::Attempting(attempting) = &mut it.phase
            && it.attempt == attempt
        {
            attempting.departure = departure;
        }
    }
}

impl ScopeConstants {
    pub(crate) fn new(
        plan: &SagaPlan,
        id: SagaId,
        key: &str,
        started_at: Timestamp,
        trigger: &TriggerRecord,
    ) -> ScopeConstants {
        let saga = json!({
            "id": id.to_string(),
            "name": plan.definition.name,
            "key": key,
            "startedAt": crate::time::rfc3339(started_at),
        });
        ScopeConstants { saga, record: record_value(trigger) }
    }
}

/// The value of `record` in expressions: where the trigger came from.
#[must_use]
pub fn record_value(trigger: &TriggerRecord) -> Value {
    json!({
        "topic": trigger.topic,
        "partition": trigger.partition,
        "offset": trigger.offset,
        "key": trigger.key,
        // Kafka's way to say that there is none.
        "timestamp": (trigger.timestamp.0 >= 0).then(|| crate::time::rfc3339(trigger.timestamp)),
        "headers": trigger.headers,
    })
}
