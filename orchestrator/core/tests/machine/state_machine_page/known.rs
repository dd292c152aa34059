//! Which rows an input of the core belongs to. The matches name every variant: a new one needs a row to compile.

use super::{
    happens::Happens,
    inputs::{Act, Beside, Gate, Reply, Timer},
};
use saga_core::{
    command::{CommandAnswer, RetryAdvice},
    decide::AdmissionVerdict,
    event::OperatorAction,
    input::{OutcomeDelivery, SagaInput},
};

/// The rows that `input` can be.
pub(super) fn rows(input: &SagaInput) -> Vec<Happens> {
    let beside = |row| vec![Happens::Beside(row)];
    match input {
        SagaInput::Answered { answer, .. } => answered(answer),
        SagaInput::Delivered { delivery: OutcomeDelivery::Acknowledged } => beside(Beside::Delivered),
        SagaInput::Delivered { delivery: OutcomeDelivery::Refused { .. } } => beside(Beside::Undelivered),
        SagaInput::Delivered { delivery: OutcomeDelivery::Impossible { .. } } => beside(Beside::Undeliverable),
        SagaInput::TimeReached => Timer::ALL.iter().copied().map(Happens::Timer).collect(),
        SagaInput::Released { .. } => beside(Beside::Released),
        SagaInput::KeyTaken { .. } => beside(Beside::KeyTaken),
        SagaInput::Operator(act) => acted(act.action).into_iter().map(Happens::Act).collect(),
        SagaInput::Mended { act, .. } => mended(act.action).into_iter().map(Happens::Act).collect(),
    }
}

fn answered(answer: &CommandAnswer) -> Vec<Happens> {
    let (replies, beside): (&[Reply], &[Beside]) = match answer {
        CommandAnswer::Succeeded { .. } => {
            (&[Reply::Succeeded, Reply::CheckRefuses, Reply::SucceededUnnamed], &[Beside::OtherSucceeds])
        }
        CommandAnswer::Failed { retry, .. } => failed(*retry),
        CommandAnswer::Unknown { retry, .. } => (unknown(*retry), &[]),
        CommandAnswer::Ongoing { .. } => (&[Reply::Ongoing, Reply::OngoingAsk], &[]),
        CommandAnswer::NotSent { .. } => (&[Reply::NotSent], &[]),
    };
    let replies = replies.iter().copied().map(Happens::Reply);
    replies.chain(beside.iter().copied().map(Happens::Beside)).collect()
}

fn failed(retry: RetryAdvice) -> (&'static [Reply], &'static [Beside]) {
    match retry {
        RetryAdvice::No => (&[Reply::FailedDefinite], &[Beside::OtherFails]),
        RetryAdvice::Yes => {
            (&[Reply::FailedRetryable, Reply::FailedUnnamed, Reply::FailedOther], &[Beside::OtherGivesUp])
        }
        RetryAdvice::Conflict => (&[Reply::FailedConflict], &[]),
        RetryAdvice::ThenPark | RetryAdvice::Park => (&[Reply::FailedNeedsPerson], &[]),
    }
}

fn unknown(retry: RetryAdvice) -> &'static [Reply] {
    match retry {
        RetryAdvice::No => &[Reply::UnknownDefinite],
        RetryAdvice::Yes => &[Reply::UnknownRetryable],
        RetryAdvice::Conflict => &[Reply::UnknownConflict],
        RetryAdvice::ThenPark => &[Reply::UnknownNeedsPerson],
        RetryAdvice::Park => &[Reply::UnknownUnreadable],
    }
}

fn acted(action: OperatorAction) -> Vec<Act> {
    match action {
        OperatorAction::Retry => vec![Act::Retry, Act::RetryNamed, Act::Repeated],
        OperatorAction::Skip => vec![Act::Skip, Act::SkipNamed],
        OperatorAction::Cancel => vec![Act::Cancel, Act::CancelNamed],
        OperatorAction::Abandon => vec![Act::Abandon, Act::TakenId],
        OperatorAction::Erase => vec![Act::Erase],
        OperatorAction::Migrate => Vec::new(),
    }
}

/// Other acts change no definition.
fn mended(action: OperatorAction) -> Vec<Act> {
    match action {
        OperatorAction::Migrate => vec![Act::MigratedOther, Act::MigratedSame],
        OperatorAction::Retry => vec![Act::MendedOther, Act::MendedSame],
        OperatorAction::Skip | OperatorAction::Cancel | OperatorAction::Abandon | OperatorAction::Erase => Vec::new(),
    }
}

/// Which answer of a guard `admission` is.
pub(super) fn gate(admission: AdmissionVerdict) -> Gate {
    match admission {
        AdmissionVerdict::Admitted => Gate::Admits,
        AdmissionVerdict::Probe => Gate::Probes,
        AdmissionVerdict::Refused { .. } => Gate::Refuses,
        AdmissionVerdict::Gone => Gate::Gone,
    }
}
