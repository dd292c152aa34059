//! Brings an input to a saga: what the saga is then, and what it was asked.

use super::{
    cases::Case,
    happens::Happens,
    inputs::{Act, Beside, Reply, Timer},
};
use crate::given::{Saga, act, act_on, done, not_sent, ongoing, plan, result, seconds};
use saga_core::{
    answerable::{ALWAYS, OutageLog},
    command::{CommandAnswer, CommandDirection, CommandFailure, CommandRef, RetryAdvice},
    event::OperatorAction,
    id::StepIndex,
    input::{ActTarget, OutcomeDelivery, SagaInput},
    policy::SagaPolicies,
    state::{AppliedAct, CommandPhase},
    time::Timestamp,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The saga at the moment of the input, and the input. `None`: it cannot happen to this case.
pub(super) fn offer(case: &Case, happens: Happens) -> Option<(Saga, SagaInput)> {
    let (saga, focus) = (case.saga.clone(), case.focus);
    match happens {
        Happens::Reply(reply) => reply_to(reply, &saga, focus).map(|input| (saga, input)),
        Happens::Beside(beside) => beside_of(beside, &saga, focus).map(|input| (saga, input)),
        Happens::Timer(timer) => at_time(timer, saga, focus).map(|saga| (saga, SagaInput::TimeReached)),
        Happens::Act(act) => Some(acted(act, saga, focus)),
    }
}

fn reply_to(reply: Reply, saga: &Saga, command: CommandRef) -> Option<SagaInput> {
    let current = saga.state.command(command).attempt;
    let has_check =
        saga.plan.definition.step(command.step).check.is_some() && command.direction == CommandDirection::Do;
    let attempt = match reply {
        Reply::CheckRefuses if !has_check => return None,
        Reply::SucceededUnnamed | Reply::FailedUnnamed => None,
        Reply::FailedOther => Some(current + 1),
        Reply::Succeeded | Reply::CheckRefuses | Reply::Ongoing | Reply::OngoingAsk | Reply::NotSent => Some(current),
        Reply::FailedRetryable | Reply::FailedDefinite | Reply::FailedConflict | Reply::FailedNeedsPerson => {
            Some(current)
        }
        Reply::UnknownRetryable
        | Reply::UnknownDefinite
        | Reply::UnknownConflict
        | Reply::UnknownNeedsPerson
        | Reply::UnknownUnreadable => Some(current),
    };
    Some(SagaInput::Answered { command, attempt, answer: answer(reply) })
}

fn answer(reply: Reply) -> CommandAnswer {
    match reply {
        Reply::Succeeded | Reply::SucceededUnnamed => done(),
        Reply::CheckRefuses => result(json!({"bad": true})),
        Reply::FailedRetryable | Reply::FailedUnnamed | Reply::FailedOther => failed(RetryAdvice::Yes),
        Reply::FailedDefinite => failed(RetryAdvice::No),
        Reply::FailedConflict => failed(RetryAdvice::Conflict),
        Reply::FailedNeedsPerson => failed(RetryAdvice::ThenPark),
        Reply::UnknownRetryable => unknown(RetryAdvice::Yes),
        Reply::UnknownDefinite => unknown(RetryAdvice::No),
        Reply::UnknownConflict => unknown(RetryAdvice::Conflict),
        Reply::UnknownNeedsPerson => unknown(RetryAdvice::ThenPark),
        Reply::UnknownUnreadable => unknown(RetryAdvice::Park),
        Reply::Ongoing => ongoing(),
        Reply::OngoingAsk => CommandAnswer::Ongoing { ask_after: Some(seconds(10)), location: None },
        Reply::NotSent => not_sent(),
    }
}

fn failed(retry: RetryAdvice) -> CommandAnswer {
    CommandAnswer::Failed { failure: CommandFailure::new("its failure", ""), retry, retry_after: None }
}

fn unknown(retry: RetryAdvice) -> CommandAnswer {
    CommandAnswer::Unknown { failure: CommandFailure::new("its failure", ""), retry, retry_after: None }
}

fn beside_of(beside: Beside, saga: &Saga, focus: CommandRef) -> Option<SagaInput> {
    let failure = || CommandFailure::new("broker", "");
    let delivered = |delivery| Some(SagaInput::Delivered { delivery });
    match beside {
        Beside::Released => Some(SagaInput::Released { command: focus }),
        Beside::OtherSucceeds => other(saga, focus, done()),
        Beside::OtherFails => other(saga, focus, failed(RetryAdvice::No)),
        Beside::OtherGivesUp => other(saga, focus, failed(RetryAdvice::Yes)),
        Beside::Delivered => delivered(OutcomeDelivery::Acknowledged),
        Beside::Undelivered => delivered(OutcomeDelivery::Refused { failure: failure(), retry_after: seconds(1) }),
        Beside::Undeliverable => delivered(OutcomeDelivery::Impossible { failure: failure() }),
        Beside::KeyTaken => Some(SagaInput::KeyTaken { record: "orders/0/8".into(), payload: "b0".into() }),
    }
}

/// The first other command that is out is answered.
fn other(saga: &Saga, focus: CommandRef, answer: CommandAnswer) -> Option<SagaInput> {
    let both = |step| [CommandDirection::Do, CommandDirection::Undo].map(|direction| CommandRef { step, direction });
    let mut commands = saga.plan.definition.indices().flat_map(both);
    let is_out = |it: &CommandRef| matches!(saga.state.command(*it).phase, CommandPhase::Attempting(_));
    let command = commands.find(|it| *it != focus && is_out(it))?;
    Some(SagaInput::Answered { command, attempt: Some(saga.state.command(command).attempt), answer })
}

/// The saga when this timer has come; `None`: it has no such timer.
fn at_time(timer: Timer, saga: Saga, focus: CommandRef) -> Option<Saga> {
    let due = match (timer, &saga.state.command(focus).phase) {
        (Timer::AttemptTime, CommandPhase::Attempting(_)) => saga.state.attempt_ends(focus, &OutageLog::NONE)?,
        (Timer::AskTime, CommandPhase::Attempting(_)) => saga.state.dues(&saga.plan, &ALWAYS, saga.now()).timer?,
        (Timer::GuardTime, CommandPhase::Held { not_before: at, .. })
        | (Timer::RetryTime, CommandPhase::Resting { until: at })
        | (Timer::WaitTime, CommandPhase::Sleeping { until: at }) => *at,
        (Timer::StepTime, _) => {
            return Some(limited(saga, |policies, step| policies.steps[step.at()].timeout = MOMENT, focus));
        }
        (Timer::SagaTime, _) => return Some(limited(saga, |policies, _| policies.timeout = MOMENT, focus)),
        (Timer::NothingDue, _) => saga.now(),
        (Timer::AttemptTime | Timer::AskTime | Timer::GuardTime | Timer::RetryTime | Timer::WaitTime, _) => {
            return None;
        }
    };
    let now: Timestamp = saga.now().max(due);
    Some(saga.at(now))
}

/// A time limit that is over a moment after its begin.
const MOMENT: Option<Duration> = Some(Duration::from_millis(1));

/// The saga, a moment later, under policies that `limit` changed. No other timer comes between.
fn limited(mut saga: Saga, limit: impl FnOnce(&mut SagaPolicies, StepIndex), focus: CommandRef) -> Saga {
    let mut policies = SagaPolicies::clone(&saga.plan.policies);
    limit(&mut policies, focus.step);
    saga.plan.policies = Arc::new(policies);
    let now = saga.now().plus(Duration::from_millis(1));
    saga.at(now)
}

fn acted(what: Act, mut saga: Saga, focus: CommandRef) -> (Saga, SagaInput) {
    let whole = |action| act("act", action);
    let input = match what {
        Act::Retry => whole(OperatorAction::Retry),
        Act::RetryNamed => named(&saga, focus, OperatorAction::Retry),
        Act::Skip => whole(OperatorAction::Skip),
        Act::SkipNamed => named(&saga, focus, OperatorAction::Skip),
        Act::Cancel => whole(OperatorAction::Cancel),
        Act::CancelNamed => named(&saga, focus, OperatorAction::Cancel),
        Act::Abandon => whole(OperatorAction::Abandon),
        Act::Erase => whole(OperatorAction::Erase),
        Act::Repeated | Act::TakenId => on_record(what, &mut saga),
        Act::MendedOther => mended(&saga, OperatorAction::Retry, other_text),
        Act::MendedSame => mended(&saga, OperatorAction::Retry, str::to_owned),
        Act::MigratedOther => mended(&saga, OperatorAction::Migrate, other_text),
        Act::MigratedSame => mended(&saga, OperatorAction::Migrate, str::to_owned),
    };
    (saga, input)
}

/// The act, on the command.
fn named(saga: &Saga, command: CommandRef, action: OperatorAction) -> SagaInput {
    let step = saga.plan.definition.step(command.step).name.clone();
    act_on("act", action, Some(ActTarget { step, direction: Some(command.direction) }))
}

/// An act whose id is that of a retry which is on record.
fn on_record(what: Act, saga: &mut Saga) -> SagaInput {
    let (id, at) = ("act-0", saga.now());
    saga.state.acts.add(AppliedAct { id: id.into(), action: OperatorAction::Retry, command: None, at });
    let action = if what == Act::Repeated { OperatorAction::Retry } else { OperatorAction::Abandon };
    act(id, action)
}

fn other_text(text: &str) -> String {
    format!("{text}\n# another text\n")
}

/// An act by the definition that `change` makes of the saga's.
fn mended(saga: &Saga, action: OperatorAction, change: impl FnOnce(&str) -> String) -> SagaInput {
    let body = saga.plan.definition.text.splitn(3, '\n').nth(2).expect("a header of two lines, and the rest");
    let SagaInput::Operator(act) = act("act", action) else { unreachable!("it is an operator's") };
    SagaInput::Mended { act, plan: Arc::new(plan(&change(body))) }
}
