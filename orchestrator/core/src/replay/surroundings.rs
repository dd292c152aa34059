//! What guards, caches and the choice of participants said when a row was decided, as the row tells it.

use super::inputs::{self, ReplayAssumption, ReplayedDeadlines, UnmentionedCall};
use crate::{
    answerable::{ALWAYS, AnswerWatermark, OutageLog},
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, GuardKind},
    decide::{
        self, AdmissionRequest, AdmissionVerdict, CapabilityRequest, DecisionContext, DecisionError, DecisionOutcome,
        JitterSource, PreviousAnswer,
    },
    definition::{CallTarget, ParticipantSelector, StepAction, StepCompensation},
    event::{OperatorAction, SagaDecision, SagaEvent},
    input::SagaInput,
    state::{SagaPlan, SagaState},
    time::Timestamp,
    words,
};

/// No deadline is over, whatever the clock says.
static NO_DEADLINE: AnswerWatermark = AnswerWatermark { until: Timestamp(i64::MIN), outages: OutageLog::NONE };

/// The surroundings of the decision that `row` records.
pub(super) struct RecordedSurroundings<'a> {
    pub(super) plan: &'a SagaPlan,
    pub(super) row: &'a SagaDecision,
    pub(super) assumed: ReplayAssumption,
}

impl RecordedSurroundings<'_> {
    pub(super) fn decide(&self, state: &mut SagaState, input: &SagaInput) -> Result<DecisionOutcome, DecisionError> {
        if let SagaInput::TimeReached = input {
            inputs::with_departures(state, self.row);
        }
        if self.leaves_the_outcome_open(input) {
            state.outcome_is_out = true;
        }
        self.run(|context| decide::decide(self.plan, state, input, context))
    }

    /// An abandon that waits for what the broker says: the outcome event was on its way, which no row says.
    fn leaves_the_outcome_open(&self, input: &SagaInput) -> bool {
        let is_abandon = matches!(input, SagaInput::Operator(act) if act.action == OperatorAction::Abandon);
        is_abandon && !self.row.events.iter().any(|event| matches!(event, SagaEvent::SagaEnded { .. }))
    }

    pub(super) fn run<T>(&self, act: impl FnOnce(&mut DecisionContext<'_>) -> T) -> T {
        let mut chosen = 0;
        act(&mut DecisionContext {
            now: self.row.at,
            answerable: match self.assumed.deadlines {
                ReplayedDeadlines::Over => &ALWAYS,
                ReplayedDeadlines::NotOver => &NO_DEADLINE,
            },
            random: JitterSource::Recorded(&|command| inputs::time_of(self.row, command)),
            admission: &mut |asking: AdmissionRequest<'_>| self.admission(asking.command),
            room: &|_| None,
            choose: &mut |asking: CapabilityRequest<'_>| {
                let (index, performer) = self.choice(chosen, asking.capability)?;
                chosen = index + 1;
                Some(performer)
            },
            recall: &mut |_| self.remembered(),
        })
    }

    /// What the row says of the command's admission.
    fn admission(&self, command: CommandRef) -> AdmissionVerdict {
        let mut verdicts = self.row.events.iter().filter_map(|event| verdict(event, command));
        verdicts.next_back().unwrap_or(match self.assumed.unmentioned {
            UnmentionedCall::Admitted => AdmissionVerdict::Admitted,
            UnmentionedCall::Gone => AdmissionVerdict::Gone,
        })
    }

    /// The participant that the next event, from the one at `from` on, shows to be chosen for the capability.
    fn choice(&self, from: usize, capability: &str) -> Option<(usize, String)> {
        let events = self.row.events.iter().enumerate().skip(from);
        events.filter_map(|(index, event)| Some((index, performer(event)?, command_of(event)?))).find_map(
            |(index, performer, command)| {
                (self.capability(command) == Some(capability)).then(|| (index, performer.to_owned()))
            },
        )
    }

    fn capability(&self, command: CommandRef) -> Option<&str> {
        let step = self.plan.definition.step(command.step);
        let call = match (&step.action, &step.effects, command.direction) {
            (StepAction::Call(call), _, CommandDirection::Do) => call,
            (_, StepCompensation::Undo(undo), CommandDirection::Undo) => &undo.call,
            (StepAction::Call(_) | StepAction::Wait(_) | StepAction::Publish { .. }, _, _) => return None,
        };
        let (CallTarget::Kafka { whom, .. } | CallTarget::Http { whom, .. }) = &call.target;
        match whom {
            ParticipantSelector::Capability(name) => Some(name),
            ParticipantSelector::Participant(_) => None,
        }
    }

    /// The remembered answer that the row shows to be used.
    fn remembered(&self) -> Option<PreviousAnswer> {
        self.row.events.iter().find_map(|event| {
            let SagaEvent::StepAnswered { by, result, .. } = event else { return None };
            by.answered_at().map(|at| PreviousAnswer { at, result: result.clone() })
        })
    }
}

fn verdict(event: &SagaEvent, command: CommandRef) -> Option<AdmissionVerdict> {
    if command_of(event) != Some(command) {
        return None;
    }
    if let SagaEvent::StepStarted { probe, .. } | SagaEvent::AttemptStarted { probe, .. } = event {
        return Some(if *probe { AdmissionVerdict::Probe } else { AdmissionVerdict::Admitted });
    }
    if let SagaEvent::StepWaiting { guard, not_before, .. } = event {
        return Some(AdmissionVerdict::Refused { guard: *guard, not_before: *not_before });
    }
    let SagaEvent::StepFailed { failure, .. } = event else { return None };
    match failure.code.as_str() {
        "participant_gone" => Some(AdmissionVerdict::Gone),
        "refused" => refused_by(failure),
        _ => None,
    }
}

/// The guard that a fallback answered for: the failure names it in words.
fn refused_by(failure: &CommandFailure) -> Option<AdmissionVerdict> {
    let guard = GuardKind::ALL.into_iter().find(|guard| failure.message.starts_with(words::guard_name(*guard)))?;
    Some(AdmissionVerdict::Refused { guard, not_before: Timestamp(0) })
}

fn command_of(event: &SagaEvent) -> Option<CommandRef> {
    if let SagaEvent::StepAnswered { step, .. } = event {
        return Some(CommandRef { step: *step, direction: CommandDirection::Do });
    }
    let (SagaEvent::StepStarted { step, direction, .. }
    | SagaEvent::AttemptStarted { step, direction, .. }
    | SagaEvent::StepWaiting { step, direction, .. }
    | SagaEvent::StepFailed { step, direction, .. }) = event
    else {
        return None;
    };
    Some(CommandRef { step: *step, direction: *direction })
}

/// The participant that the event names.
fn performer(event: &SagaEvent) -> Option<&str> {
    if let SagaEvent::StepStarted { request, .. } = event {
        request.participant()
    } else if let SagaEvent::StepAnswered { request, .. } = event {
        request.as_ref().and_then(CommandRequest::participant)
    } else if let SagaEvent::StepWaiting { participant, .. } = event {
        participant.as_deref()
    } else {
        None
    }
}

/// The failure that the event records.
pub(super) fn failure_of(event: &SagaEvent) -> Option<&CommandFailure> {
    let (SagaEvent::AttemptFailed { failure, .. }
    | SagaEvent::StepFailed { failure, .. }
    | SagaEvent::StepRejected { failure, .. }
    | SagaEvent::IncidentOpened { failure, .. }) = event
    else {
        return None;
    };
    Some(failure)
}
