//! What may have come in, as a row tells it.

use crate::{
    command::{CommandAnswer, CommandDirection, CommandFailure, CommandRef, FailureOrigin, RetryAdvice},
    event::{AttemptOutcome, CompensationCause, NoRetryReason, SagaDecision, SagaEvent},
    id::StepIndex,
    incident::{self, KEY_TAKEN},
    input::{OperatorAct, OutcomeDelivery, SagaInput},
    state::{CommandPhase, SagaPlan, SagaState, SendTime},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// An input that may have led to a row, and what it is assumed to have met.
pub(super) struct CandidateInput {
    pub(super) input: SagaInput,
    pub(super) assumed: ReplayAssumption,
}

/// What is assumed of what no row records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplayAssumption {
    pub(super) deadlines: ReplayedDeadlines,
    pub(super) owner: DecidingOwner,
    pub(super) unmentioned: UnmentionedCall,
}

/// What guards said of a call that the row does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnmentionedCall {
    /// They admitted it. Then the row would mention it, so the decision comes out otherwise, and shows the call.
    Admitted,
    /// Its participant was not configured. The one verdict that may leave no trace of the call.
    Gone,
}

/// Who decided: the owner that made the attempts which are out, or a later one, who does not know how often they were
/// sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecidingOwner {
    Same,
    Later,
}

/// Whether deadlines whose time has come are over. The engine that decided may have known of answers that it had not
/// read yet, and then none was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplayedDeadlines {
    Over,
    NotOver,
}

/// Of a saga's first row nothing is assumed.
pub(super) const START: ReplayAssumption = ReplayAssumption {
    deadlines: ReplayedDeadlines::Over,
    owner: DecidingOwner::Same,
    unmentioned: UnmentionedCall::Admitted,
};

/// What may have led to `row`, the likeliest first. Each is made when it is asked for: mostly the first one fits.
pub(super) fn of(
    plan: &SagaPlan,
    mended: Option<&Arc<SagaPlan>>,
    state: &SagaState,
    row: &SagaDecision,
) -> impl Iterator<Item = CandidateInput> + use<> {
    let both = if row.events.iter().any(fires) {
        [ReplayedDeadlines::Over, ReplayedDeadlines::NotOver]
    } else {
        [ReplayedDeadlines::NotOver, ReplayedDeadlines::Over]
    };
    let inputs = RowReading { plan, mended, state, row }.inputs();
    let assumptions = [
        (DecidingOwner::Same, UnmentionedCall::Admitted),
        (DecidingOwner::Later, UnmentionedCall::Admitted),
        (DecidingOwner::Same, UnmentionedCall::Gone),
        (DecidingOwner::Later, UnmentionedCall::Gone),
    ];
    let assumed = both.into_iter().flat_map(move |deadlines| {
        let with = move |(owner, unmentioned)| ReplayAssumption { deadlines, owner, unmentioned };
        assumptions.into_iter().map(with)
    });
    assumed.flat_map(move |assumed| inputs.clone().into_iter().map(move |input| CandidateInput { input, assumed }))
}

/// Whether the event says that a deadline of a step or of the saga is over.
pub(super) fn is_deadline(event: &SagaEvent) -> bool {
    match event {
        SagaEvent::StepFailed { failure, .. } => failure.origin == FailureOrigin::Engine && failure.code == "timeout",
        event => matches!(
            event,
            SagaEvent::CompensationStarted { cause: CompensationCause::Timeout } | SagaEvent::SagaOverdue
        ),
    }
}

fn fires(event: &SagaEvent) -> bool {
    is_deadline(event) || timed_out(event).is_some()
}

/// The command whose attempt timed out, according to the event.
pub(super) fn timed_out(event: &SagaEvent) -> Option<CommandRef> {
    let SagaEvent::AttemptFailed { step, direction, failure, .. } = event else { return None };
    failure.is_silence().then(|| of_step(*step, *direction))
}

/// Lets only those attempts time out at this row that are on record: when an attempt was sent is not.
pub(super) fn with_departures(state: &mut SagaState, row: &SagaDecision) {
    let attempting: Vec<(CommandRef, u32)> = state
        .commands()
        .filter(|(_, command)| matches!(command.phase, CommandPhase::Attempting(_)))
        .map(|(command, it)| (command, it.attempt))
        .collect();
    for (command, attempt) in attempting {
        let times_out = row.events.iter().any(|event| timed_out(event) == Some(command));
        let departure = if times_out { SendTime::AsDecided } else { SendTime::NotYet };
        state.departs(command, attempt, departure);
    }
}

struct RowReading<'a> {
    plan: &'a SagaPlan,
    mended: Option<&'a Arc<SagaPlan>>,
    state: &'a SagaState,
    row: &'a SagaDecision,
}

impl RowReading<'_> {
    fn inputs(&self) -> Vec<SagaInput> {
        let Some(first) = self.row.events.first() else { return Vec::new() };
        match first {
            SagaEvent::StepSucceeded { step, direction, result } => {
                let command = of_step(*step, *direction);
                match self.state.command(command).phase {
                    CommandPhase::Sleeping { .. } => vec![SagaInput::TimeReached],
                    CommandPhase::Idle
                    | CommandPhase::Held { .. }
                    | CommandPhase::Attempting(_)
                    | CommandPhase::Resting { .. }
                    | CommandPhase::Settled(_) => vec![succeeded(command, result)],
                }
            }
            SagaEvent::StepRejected { step, result, .. } => {
                let command = of_step(*step, CommandDirection::Do);
                [vec![succeeded(command, result)], self.of_time_or_guard(command)].concat()
            }
            SagaEvent::ResultArrived { step, result } => {
                vec![succeeded(of_step(*step, CommandDirection::Do), result)]
            }
            SagaEvent::AttemptFailed { step, direction, .. } => self.failed(of_step(*step, *direction), first),
            SagaEvent::AttemptExtended { step, direction, attempt, ask_at, location, .. } => {
                let ask_after = ask_at.map(|at| at.since(self.row.at));
                let answer = CommandAnswer::Ongoing { ask_after, location: location.clone() };
                vec![answered(of_step(*step, *direction), Some(*attempt), answer)]
            }
            SagaEvent::StepWaiting { step, direction, guard, not_before, .. } => {
                let command = of_step(*step, *direction);
                let answer = CommandAnswer::NotSent { guard: *guard, retry_after: not_before.since(self.row.at) };
                let not_sent = vec![answered(command, None, answer)];
                match self.state.command(command).phase {
                    CommandPhase::Attempting(_) => not_sent,
                    CommandPhase::Idle
                    | CommandPhase::Held { .. }
                    | CommandPhase::Resting { .. }
                    | CommandPhase::Sleeping { .. }
                    | CommandPhase::Settled(_) => [self.of_time_or_guard(command), not_sent].concat(),
                }
            }
            SagaEvent::StepStarted { step, direction, .. }
            | SagaEvent::AttemptStarted { step, direction, .. }
            | SagaEvent::StepFailed { step, direction, .. }
            | SagaEvent::StepSkipped { step, direction, .. } => self.of_time_or_guard(of_step(*step, *direction)),
            SagaEvent::WaitStarted { step, .. } | SagaEvent::StepAnswered { step, .. } => {
                self.of_time_or_guard(of_step(*step, CommandDirection::Do))
            }
            SagaEvent::OperatorActed { .. } => {
                OperatorAct::recorded(self.plan, first).map(SagaInput::Operator).into_iter().collect()
            }
            SagaEvent::DefinitionChanged { .. } => self.mended().into_iter().collect(),
            SagaEvent::OutcomeWaiting { failure } => vec![refused(failure.clone())],
            SagaEvent::SagaEnded { .. } => vec![delivered(OutcomeDelivery::Acknowledged)],
            SagaEvent::IncidentOpened { failure, .. } => of_incident(failure),
            SagaEvent::CompensationStarted { .. }
            | SagaEvent::SagaOverdue
            | SagaEvent::SagaParked { .. }
            | SagaEvent::SagaResumed
            | SagaEvent::OutcomeDue { .. }
            | SagaEvent::OutcomeShortened { .. } => vec![SagaInput::TimeReached],
            SagaEvent::SagaStarted { .. } | SagaEvent::StepTakenOver { .. } => Vec::new(),
        }
    }

    /// A command that waited goes on because its time has come, or because its guard has a permit for it.
    fn of_time_or_guard(&self, command: CommandRef) -> Vec<SagaInput> {
        let released = SagaInput::Released { command };
        match &self.state.command(command).phase {
            CommandPhase::Held { not_before, .. } if *not_before > self.row.at => {
                vec![released, SagaInput::TimeReached]
            }
            CommandPhase::Held { .. } => vec![SagaInput::TimeReached, released],
            CommandPhase::Idle
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. }
            | CommandPhase::Settled(_) => vec![SagaInput::TimeReached],
        }
    }

    /// The answers that an attempt's failure may have been: of which advice the answer was is not on record, and an
    /// answer of an attempt that an earlier owner sent counts for less than it says.
    fn failed(&self, command: CommandRef, event: &SagaEvent) -> Vec<SagaInput> {
        let SagaEvent::AttemptFailed { attempt, outcome, failure, retry_at, needs_person, .. } = event else {
            return Vec::new();
        };
        let (attempt, retry_after) = (Some(*attempt), retry_at.map(|at| at.since(self.row.at)));
        let time = failure.is_silence().then_some(SagaInput::TimeReached);
        let answers = self.advices(command, *needs_person).into_iter().flat_map(|retry| {
            let failure = failure.clone();
            let unknown = CommandAnswer::Unknown { failure: failure.clone(), retry, retry_after };
            let failed = CommandAnswer::Failed { failure, retry, retry_after };
            match outcome {
                AttemptOutcome::Failed => vec![failed],
                AttemptOutcome::Unknown => vec![unknown, failed],
            }
        });
        time.into_iter().chain(answers.map(|answer| answered(command, attempt, answer))).collect()
    }

    fn advices(&self, command: CommandRef, needs_person: bool) -> Vec<RetryAdvice> {
        let ending = self.row.events.iter().find_map(|event| {
            let SagaEvent::StepFailed { step, direction, ending, .. } = event else { return None };
            (of_step(*step, *direction) == command).then_some(*ending)
        });
        if needs_person {
            return vec![RetryAdvice::ThenPark, RetryAdvice::Park];
        }
        match ending {
            Some(NoRetryReason::Definite) => vec![RetryAdvice::No],
            Some(NoRetryReason::NeedsPerson) => vec![RetryAdvice::ThenPark, RetryAdvice::Park],
            Some(NoRetryReason::Exhausted) => vec![RetryAdvice::Yes, RetryAdvice::Conflict],
            None => vec![RetryAdvice::Yes, RetryAdvice::Conflict, RetryAdvice::No],
        }
    }

    fn mended(&self) -> Option<SagaInput> {
        let act = OperatorAct::recorded(self.plan, self.row.events.get(1)?)?;
        Some(SagaInput::Mended { act, plan: Arc::clone(self.mended?) })
    }
}

fn of_step(step: StepIndex, direction: CommandDirection) -> CommandRef {
    CommandRef { step, direction }
}

fn answered(command: CommandRef, attempt: Option<u32>, answer: CommandAnswer) -> SagaInput {
    SagaInput::Answered { command, attempt, answer }
}

fn succeeded(command: CommandRef, result: &serde_json::Value) -> SagaInput {
    answered(command, None, CommandAnswer::Succeeded { result: result.clone() })
}

fn delivered(delivery: OutcomeDelivery) -> SagaInput {
    SagaInput::Delivered { delivery }
}

fn refused(failure: CommandFailure) -> SagaInput {
    delivered(OutcomeDelivery::Refused { failure, retry_after: Duration::ZERO })
}

/// What a row that begins with an incident may have come from: a record under the saga's key, or the broker's word on
/// the outcome event.
fn of_incident(failure: &CommandFailure) -> Vec<SagaInput> {
    if failure.code == KEY_TAKEN {
        return key_taken(&failure.message).into_iter().collect();
    }
    let said = |prefix: &str| {
        let message = failure.message.strip_prefix(prefix)?.strip_prefix(": ")?.to_owned();
        Some(CommandFailure { message, ..failure.clone() })
    };
    let impossible = [incident::OUTCOME_SHORTENED, incident::OUTCOME_NOT_PUBLISHED];
    let impossible = impossible.into_iter().filter_map(said);
    let refusals = said(incident::OUTCOME_UNCONFIRMED).map(refused);
    impossible
        .map(|failure| delivered(OutcomeDelivery::Impossible { failure }))
        .chain(refusals)
        .chain([delivered(OutcomeDelivery::Acknowledged)])
        .collect()
}

fn key_taken(message: &str) -> Option<SagaInput> {
    let (record, payload) = incident::key_taken_of(message)?;
    Some(SagaInput::KeyTaken { record: record.to_owned(), payload: payload.to_owned() })
}

/// The time that the row sets for a command: the end of its retry delay, or of its wait for a guard.
pub(super) fn time_of(row: &SagaDecision, command: CommandRef) -> Option<Timestamp> {
    let of = |step: &StepIndex, direction: &CommandDirection| of_step(*step, *direction) == command;
    row.events.iter().rev().find_map(|event| {
        if let SagaEvent::AttemptFailed { step, direction, retry_at, .. } = event {
            retry_at.filter(|_| of(step, direction))
        } else if let SagaEvent::StepWaiting { step, direction, not_before, .. } = event {
            of(step, direction).then_some(*not_before)
        } else {
            None
        }
    })
}
