//! The rules, one check each.

use super::{
    ContractFinding, ContractVerdict, MissingPrecondition, VerificationError,
    trial::{ParticipantTrial, TrialCommand, said},
};
use saga_core::command::{CommandAnswer, CommandDirection, RetryAdvice};
use serde::Serialize;

/// Deliveries of one command at the same time.
const AT_ONCE: u32 = 4;

const RULES: &str = "docs/participants.md#the-rules";
const OVER_KAFKA: &str = "docs/participants.md#over-kafka";

/// A check of one rule of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ContractCheck {
    /// A do is answered in time, in a form that can be read.
    Answers,
    /// A do that is repeated gets the same answer.
    DoTwice,
    /// A do that comes several times at once has one answer.
    DoAtOnce,
    /// What was done can be undone.
    Undo,
    /// An undo that is repeated succeeds again.
    UndoTwice,
    /// An undo whose do never came succeeds.
    UndoBeforeDo,
    /// A do whose undo came before does nothing.
    LateDo,
    /// A do that is repeated after its undo does nothing.
    DoAfterUndo,
    /// What was answered and undone is remembered after a restart.
    AfterRestart,
    /// Replies have the headers that they have to copy.
    Headers,
}

impl ContractCheck {
    /// All checks, in the order in which they run.
    pub(crate) const ALL: [ContractCheck; 10] = [
        ContractCheck::Answers,
        ContractCheck::DoTwice,
        ContractCheck::DoAtOnce,
        ContractCheck::Undo,
        ContractCheck::UndoTwice,
        ContractCheck::UndoBeforeDo,
        ContractCheck::LateDo,
        ContractCheck::DoAfterUndo,
        ContractCheck::AfterRestart,
        ContractCheck::Headers,
    ];

    /// The name in the table.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            ContractCheck::Answers => "answers in time",
            ContractCheck::DoTwice => "do twice",
            ContractCheck::DoAtOnce => "do several times at once",
            ContractCheck::Undo => "undo",
            ContractCheck::UndoTwice => "undo twice",
            ContractCheck::UndoBeforeDo => "undo before do",
            ContractCheck::LateDo => "late do",
            ContractCheck::DoAfterUndo => "do again after its undo",
            ContractCheck::AfterRestart => "after a restart",
            ContractCheck::Headers => "reply headers",
        }
    }

    fn contract(self) -> &'static str {
        match self {
            ContractCheck::Answers => "an attempt is answered within its timeout, in a form that can be read",
            ContractCheck::DoTwice | ContractCheck::DoAtOnce => {
                "the same command id does the work once and gets the same answer every time"
            }
            ContractCheck::Undo => "what was done can be undone",
            ContractCheck::UndoTwice => "an undo that comes again is answered that it is undone",
            ContractCheck::UndoBeforeDo => "an undo may come for a do that never arrived: answer that it is undone",
            ContractCheck::LateDo => "a do that comes after its undo must do nothing: answer failed",
            ContractCheck::DoAfterUndo => {
                "a do that is repeated after its undo gets the answer it had, or failed, and does nothing"
            }
            ContractCheck::AfterRestart => {
                "what was answered and undone is kept as long as commands can come, over restarts"
            }
            ContractCheck::Headers => "a reply copies idempotency_key and ce_correlationid, and says saga_outcome",
        }
    }

    fn read(self) -> &'static str {
        match self {
            ContractCheck::Headers => OVER_KAFKA,
            ContractCheck::Answers
            | ContractCheck::DoTwice
            | ContractCheck::DoAtOnce
            | ContractCheck::Undo
            | ContractCheck::UndoTwice
            | ContractCheck::UndoBeforeDo
            | ContractCheck::LateDo
            | ContractCheck::DoAfterUndo
            | ContractCheck::AfterRestart => RULES,
        }
    }

    fn needs_undo(self) -> bool {
        match self {
            ContractCheck::Undo
            | ContractCheck::UndoTwice
            | ContractCheck::UndoBeforeDo
            | ContractCheck::LateDo
            | ContractCheck::DoAfterUndo => true,
            ContractCheck::Answers
            | ContractCheck::DoTwice
            | ContractCheck::DoAtOnce
            | ContractCheck::AfterRestart
            | ContractCheck::Headers => false,
        }
    }
}

/// The outcome of a check, with the reason if the rule does not hold.
enum ContractOutcome {
    Holds,
    Broken(String),
    NotTested(MissingPrecondition, String),
    NotAsked(String),
}

/// Runs all checks, unless the participant cannot be reached.
pub(super) async fn all(trial: &mut ParticipantTrial<'_>) -> Result<Vec<ContractFinding>, VerificationError> {
    let mut findings = Vec::with_capacity(ContractCheck::ALL.len());
    for check in ContractCheck::ALL {
        let outcome = made(check, trial).await;
        if let Some(unreachable) = trial.unreachable() {
            return Err(unreachable);
        }
        let (verdict, lacks, why) = match outcome {
            ContractOutcome::Holds => (ContractVerdict::Holds, None, String::new()),
            ContractOutcome::Broken(why) => (ContractVerdict::Broken, None, why),
            ContractOutcome::NotTested(lacks, why) => (ContractVerdict::NotTested, Some(lacks), why),
            ContractOutcome::NotAsked(why) => (ContractVerdict::NotAsked, None, why),
        };
        let exchanges = trial.take_exchanges();
        let (contract, read) = (check.contract(), check.read());
        findings.push(ContractFinding { check, verdict, lacks, why, exchanges, contract, read });
    }
    Ok(findings)
}

async fn made(check: ContractCheck, trial: &mut ParticipantTrial<'_>) -> ContractOutcome {
    if let Some(why) = trial.subject.script.without_undo().filter(|_| check.needs_undo()) {
        return ContractOutcome::NotAsked(why.to_owned());
    }
    let asked = TrialCommand::anew();
    match check {
        ContractCheck::Answers => answers(trial, asked).await,
        ContractCheck::DoTwice => do_twice(trial, asked).await,
        ContractCheck::DoAtOnce => do_at_once(trial, asked).await,
        ContractCheck::Undo => undo(trial, asked, 1).await,
        ContractCheck::UndoTwice => undo(trial, asked, 2).await,
        ContractCheck::UndoBeforeDo => undo_before_do(trial, asked).await,
        ContractCheck::LateDo => late_do(trial, asked).await,
        ContractCheck::DoAfterUndo => do_after_undo(trial, asked).await,
        ContractCheck::AfterRestart => after_restart(trial, asked).await,
        ContractCheck::Headers => headers(trial),
    }
}

async fn answers(trial: &mut ParticipantTrial<'_>, asked: TrialCommand) -> ContractOutcome {
    let answer = trial.attempts(asked, CommandDirection::Do, 1..=1).await.remove(0);
    match answer {
        CommandAnswer::Succeeded { .. } | CommandAnswer::Failed { .. } => ContractOutcome::Holds,
        CommandAnswer::Unknown { .. } | CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. } => {
            ContractOutcome::Broken(said(&answer))
        }
    }
}

async fn do_twice(trial: &mut ParticipantTrial<'_>, asked: TrialCommand) -> ContractOutcome {
    let first = trial.settle(asked, CommandDirection::Do, 1).await;
    if !is_final(&first) {
        return ContractOutcome::NotTested(
            MissingPrecondition::Do,
            format!("the first answer is not final: {}", said(&first)),
        );
    }
    // The same attempt, like a record that a broker delivers twice, and a later attempt, like an engine that got no
    // answer.
    for attempt in 1..=2 {
        let again = trial.settle(asked, CommandDirection::Do, attempt).await;
        if let Some(why) = differs(&first, &again) {
            return ContractOutcome::Broken(why);
        }
    }
    ContractOutcome::Holds
}

async fn do_at_once(trial: &mut ParticipantTrial<'_>, asked: TrialCommand) -> ContractOutcome {
    let mut answers = trial.attempts(asked, CommandDirection::Do, 1..=AT_ONCE).await;
    answers.retain(|answer| {
        !matches!(
            answer,
            CommandAnswer::Failed {
                retry: RetryAdvice::Yes | RetryAdvice::Conflict | RetryAdvice::ThenPark | RetryAdvice::Park,
                ..
            }
        )
    });
    let last = trial.settle(asked, CommandDirection::Do, AT_ONCE + 1).await;
    if !is_final(&last) {
        return ContractOutcome::Broken(format!("no final answer afterwards: {}", said(&last)));
    }
    match answers.iter().find_map(|answer| differs(&last, answer)) {
        Some(why) => ContractOutcome::Broken(why),
        None => ContractOutcome::Holds,
    }
}

/// A do, and then its undo `times` times.
async fn undo(trial: &mut ParticipantTrial<'_>, asked: TrialCommand, times: u32) -> ContractOutcome {
    let done = trial.settle(asked, CommandDirection::Do, 1).await;
    if !matches!(done, CommandAnswer::Succeeded { .. }) {
        return not_done(&done);
    }
    for attempt in 1..=times {
        let undone = trial.settle(asked, CommandDirection::Undo, attempt).await;
        if !matches!(undone, CommandAnswer::Succeeded { .. }) {
            return ContractOutcome::Broken(format!("undo {attempt} of {times}: {}", said(&undone)));
        }
    }
    ContractOutcome::Holds
}

async fn undo_before_do(trial: &mut ParticipantTrial<'_>, asked: TrialCommand) -> ContractOutcome {
    match trial.settle(asked, CommandDirection::Undo, 1).await {
        CommandAnswer::Succeeded { .. } => ContractOutcome::Holds,
        other => ContractOutcome::Broken(said(&other)),
    }
}

async fn late_do(trial: &mut ParticipantTrial<'_>, asked: TrialCommand) -> ContractOutcome {
    let undone = trial.settle(asked, CommandDirection::Undo, 1).await;
    if !matches!(undone, CommandAnswer::Succeeded { .. }) {
        return ContractOutcome::NotTested(
            MissingPrecondition::Undo,
            format!("the undo before it did not succeed: {}", said(&undone)),
        );
    }
    match trial.settle(asked, CommandDirection::Do, 1).await {
        done @ CommandAnswer::Succeeded { .. } => {
            ContractOutcome::Broken(format!("it was done after its undo: {}", said(&done)))
        }
        CommandAnswer::Failed { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. }
        | CommandAnswer::NotSent { .. } => ContractOutcome::Holds,
    }
}

async fn do_after_undo(trial: &mut ParticipantTrial<'_>, asked: TrialCommand) -> ContractOutcome {
    let done = trial.settle(asked, CommandDirection::Do, 1).await;
    if !matches!(done, CommandAnswer::Succeeded { .. }) {
        return not_done(&done);
    }
    let undone = trial.settle(asked, CommandDirection::Undo, 1).await;
    if !matches!(undone, CommandAnswer::Succeeded { .. }) {
        return ContractOutcome::NotTested(
            MissingPrecondition::Undo,
            format!("the undo did not succeed: {}", said(&undone)),
        );
    }
    let again = trial.settle(asked, CommandDirection::Do, 2).await;
    match &again {
        CommandAnswer::Succeeded { .. } if again != done => {
            ContractOutcome::Broken(format!("it was done again: first {}, then {}", said(&done), said(&again)))
        }
        CommandAnswer::Unknown { .. } | CommandAnswer::Ongoing { .. } => ContractOutcome::Broken(said(&again)),
        CommandAnswer::Succeeded { .. } | CommandAnswer::Failed { .. } | CommandAnswer::NotSent { .. } => {
            ContractOutcome::Holds
        }
    }
}

/// A do that was answered, and an undo whose do comes only after the restart.
async fn after_restart(trial: &mut ParticipantTrial<'_>, asked: TrialCommand) -> ContractOutcome {
    let Some(restart) = trial.subject.restart.clone() else {
        return ContractOutcome::NotAsked("neither --restart nor --restart-by-hand was given".into());
    };
    let undone = TrialCommand::anew();
    let has_undo = trial.subject.script.without_undo().is_none();
    let first = trial.settle(asked, CommandDirection::Do, 1).await;
    if !is_final(&first) {
        return ContractOutcome::NotTested(
            MissingPrecondition::Do,
            format!("the answer before it is not final: {}", said(&first)),
        );
    }
    // Another check is about an undo that is refused.
    let is_undone =
        has_undo && matches!(trial.settle(undone, CommandDirection::Undo, 1).await, CommandAnswer::Succeeded { .. });
    if let Err(why) = restart.perform().await {
        return ContractOutcome::NotTested(MissingPrecondition::Restart, why);
    }
    let Some(again) = trial.settle_after_restart(asked, CommandDirection::Do).await else {
        return ContractOutcome::NotTested(MissingPrecondition::Return, "the participant did not answer again".into());
    };
    if let Some(why) = differs(&first, &again) {
        return ContractOutcome::Broken(format!("the same do before and after the restart: {why}"));
    }
    if !is_undone {
        return ContractOutcome::Holds;
    }
    match trial.settle(undone, CommandDirection::Do, 1).await {
        done @ CommandAnswer::Succeeded { .. } => {
            ContractOutcome::Broken(format!("it was done after it had been undone before the restart: {}", said(&done)))
        }
        CommandAnswer::Failed { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. }
        | CommandAnswer::NotSent { .. } => ContractOutcome::Holds,
    }
}

/// Checks the replies to all commands of the earlier checks.
fn headers(trial: &ParticipantTrial<'_>) -> ContractOutcome {
    match trial.lapses() {
        None => ContractOutcome::NotAsked("HTTP has no reply headers".into()),
        Some([]) => ContractOutcome::Holds,
        Some(lapses) => ContractOutcome::Broken(lapses.join("; ")),
    }
}

fn not_done(answer: &CommandAnswer) -> ContractOutcome {
    ContractOutcome::NotTested(MissingPrecondition::Do, format!("the do did not succeed: {}", said(answer)))
}

fn is_final(answer: &CommandAnswer) -> bool {
    matches!(answer, CommandAnswer::Succeeded { .. } | CommandAnswer::Failed { retry: RetryAdvice::No, .. })
}

/// Messages are for people and may differ; results and codes must be the same.
fn differs(one: &CommandAnswer, other: &CommandAnswer) -> Option<String> {
    let same = match (one, other) {
        (CommandAnswer::Failed { failure: one, .. }, CommandAnswer::Failed { failure: other, .. }) => {
            one.code == other.code
        }
        _ => one == other,
    };
    (!same).then(|| format!("one answer is {}, another {}", said(one), said(other)))
}
