//! What can happen to a running saga, as one closed enum.

use crate::{
    act_author::ActOrigin,
    command::{CommandAnswer, CommandDirection, CommandFailure, CommandRef},
    event::{ForkOrigin, OperatorAction, SagaDecision, SagaEvent, TakenOverStep, TriggerRecord},
    id::StepIndex,
    state::SagaPlan,
};
use std::{sync::Arc, time::Duration};

/// What a saga starts with: its key and its trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaStart {
    /// The business key, 1 to 256 bytes.
    pub key: String,
    /// The record and its decoded payload.
    pub trigger: TriggerRecord,
    /// W3C `traceparent` header of the trigger; `None`: it had none.
    pub traceparent: Option<String>,
}

/// What a saga has that runs another one again: which one, and the outcomes that it takes over from it.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaFork {
    /// The saga that is run again, and why.
    pub origin: ForkOrigin,
    /// The steps that are not performed again; each step once, and none whose predecessors are performed.
    pub taken: Vec<(StepIndex, TakenOverStep)>,
}

impl SagaFork {
    /// What the first row of a saga says that it took over; `None`: it runs no other saga again.
    pub(crate) fn recorded(row: &SagaDecision) -> Option<SagaFork> {
        let Some(SagaEvent::SagaStarted { forked_from, .. }) = row.events.first() else { return None };
        let origin = forked_from.as_deref()?.clone();
        let taken = row.events.iter().filter_map(|event| {
            let SagaEvent::StepTakenOver { step, taken } = event else { return None };
            Some((*step, taken.as_ref().clone()))
        });
        Some(SagaFork { origin, taken: taken.collect() })
    }
}

/// One thing that happens to a saga that exists.
#[derive(Clone, Debug, PartialEq)]
pub enum SagaInput {
    /// A participant answered a command, or the broker answered the record of a `publish` step.
    Answered {
        /// The command that the answer belongs to.
        command: CommandRef,
        /// For which attempt; `None` if the participant did not say.
        attempt: Option<u32>,
        /// What came back for the attempt, or what is known of it.
        answer: CommandAnswer,
    },
    /// The broker took, or refused, the outcome event. What it says of a `publish` step is an answer like any other.
    Delivered {
        /// Whether the broker took the record, refused it for now, or will never take it.
        delivery: OutcomeDelivery,
    },
    /// The time that [`crate::state::SagaState::dues`] named has come. Stale ones change nothing.
    TimeReached,
    /// The guard that holds the command back may let it be sent now. Changes nothing if it does not, or if no guard
    /// holds it.
    Released {
        /// The command whose guard has a permit or a turn for it.
        command: CommandRef,
    },
    /// A record with another payload came under the saga's key, and starts nothing.
    KeyTaken {
        /// The record: its topic, partition and offset, as text.
        record: String,
        /// A text that differs for other payloads, by which a repeated record is found.
        payload: String,
    },
    /// An operator asks for a retry, a skip, a cancel or an abandon. A migration comes as [`SagaInput::Mended`].
    Operator(OperatorAct),
    /// An operator moves the saga to another text of the definition, and retries it or lets it go on as it is.
    Mended {
        /// The operator's act, a retry or a migration.
        act: OperatorAct,
        /// What the saga runs by from then on, if it fits where the saga stands.
        plan: Arc<SagaPlan>,
    },
}

impl SagaInput {
    /// The command that it is about; `None`: it names none.
    #[must_use]
    pub fn command(&self) -> Option<CommandRef> {
        match self {
            SagaInput::Answered { command, .. } | SagaInput::Released { command } => Some(*command),
            SagaInput::Delivered { .. }
            | SagaInput::TimeReached
            | SagaInput::KeyTaken { .. }
            | SagaInput::Operator(_)
            | SagaInput::Mended { .. } => None,
        }
    }
}

/// One act of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorAct {
    /// Identity of the act: the same id is applied once.
    pub id: String,
    /// The name of the operator, as the act gives it.
    pub who: String,
    /// The operator's reason, as it is shown in the journal.
    pub reason: String,
    /// What the operator asks for.
    pub action: OperatorAction,
    /// The step that it is about; `None`: it names none.
    pub about: Option<ActTarget>,
    /// From where it came. Nothing is decided by it, and the journal does not have it.
    pub origin: Box<ActOrigin>,
}

impl OperatorAct {
    /// The act that the event records; `None`: it records none.
    #[must_use]
    pub(crate) fn recorded(plan: &SagaPlan, event: &SagaEvent) -> Option<OperatorAct> {
        let SagaEvent::OperatorActed { id, who, reason, action, command } = event else { return None };
        let target = |command: CommandRef| ActTarget {
            step: plan.definition.step(command.step).name.clone(),
            direction: Some(command.direction),
        };
        let about = match action {
            OperatorAction::Retry | OperatorAction::Skip => command.map(target),
            OperatorAction::Cancel | OperatorAction::Abandon | OperatorAction::Migrate | OperatorAction::Erase => None,
        };
        Some(OperatorAct {
            id: id.clone(),
            who: who.clone(),
            reason: reason.clone(),
            action: *action,
            about,
            origin: Box::default(),
        })
    }
}

/// The step that an operator's act names, and which of its commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActTarget {
    /// Name of the step.
    pub step: String,
    /// `None`: whichever the saga needs a person for.
    pub direction: Option<CommandDirection>,
}

/// Names one publication of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicationRef {
    /// The record of a `publish:` step.
    Step(CommandRef),
    /// The saga's outcome event, under `ce_id` `<saga id>:outcome`.
    Outcome,
}

/// The broker's answer to an outcome event.
#[derive(Clone, Debug, PartialEq)]
pub enum OutcomeDelivery {
    /// The broker has stored the record.
    Acknowledged,
    /// It did not, or may not, have taken it: try again after this span. Not counted as an attempt.
    Refused {
        /// What the broker said, for the journal and for people.
        failure: CommandFailure,
        /// How long the engine waits before it publishes the event again.
        retry_after: Duration,
    },
    /// It will never take it (size).
    Impossible {
        /// What the broker said of the record, for the journal and for people.
        failure: CommandFailure,
    },
}
