//! The rules, one check each.

use super::{
    Finding, Lacks, Unreachable, Verdict,
    trial::{Asked, Trial, said},
};
use saga_core::command::{Answer, Direction, Retryable};
use serde::Serialize;

/// Deliveries of one command at the same time.
const AT_ONCE: u32 = 4;

const RULES: &str = "docs/participants.md#the-rules";
const OVER_KAFKA: &str = "docs/participants.md#over-kafka";

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
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
    /// A do whose undo was here before does nothing.
    LateDo,
    /// A do that is repeated after its undo does nothing.
    DoAfterUndo,
    /// What was answered and undone is remembered after a restart.
    AfterRestart,
    /// Replies have the headers that they have to copy.
    Headers,
}

impl Check {
    /// All, in the order in which they are made.
    pub const ALL: [Check; 10] = [
        Check::Answers,
        Check::DoTwice,
        Check::DoAtOnce,
        Check::Undo,
        Check::UndoTwice,
        Check::UndoBeforeDo,
        Check::LateDo,
        Check::DoAfterUndo,
        Check::AfterRestart,
        Check::Headers,
    ];

    /// As it is listed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Check::Answers => "answers in time",
            Check::DoTwice => "do twice",
            Check::DoAtOnce => "do several times at once",
            Check::Undo => "undo",
            Check::UndoTwice => "undo twice",
            Check::UndoBeforeDo => "undo before do",
            Check::LateDo => "late do",
            Check::DoAfterUndo => "do again after its undo",
            Check::AfterRestart => "after a restart",
            Check::Headers => "reply headers",
        }
    }

    fn contract(self) -> &'static str {
        match self {
            Check::Answers => "an attempt is answered within its timeout, in a form that can be read",
            Check::DoTwice | Check::DoAtOnce => {
                "the same command id does the work once and gets the same answer every time"
            }
            Check::Undo => "what was done can be undone",
            Check::UndoTwice => "an undo that comes again is answered that it is undone",
            Check::UndoBeforeDo => "an undo may come for a do that never arrived: answer that it is undone",
            Check::LateDo => "a do that comes after its undo must do nothing: answer failed",
            Check::DoAfterUndo => {
                "a do that is repeated after its undo gets the answer it had, or failed, and does nothing"
            }
            Check::AfterRestart => "what was answered and undone is kept as long as commands can come, over restarts",
            Check::Headers => "a reply copies idempotency_key and ce_correlationid, and says saga_outcome",
        }
    }

    fn read(self) -> &'static str {
        match self {
            Check::Headers => OVER_KAFKA,
            Check::Answers
            | Check::DoTwice
            | Check::DoAtOnce
            | Check::Undo
            | Check::UndoTwice
            | Check::UndoBeforeDo
            | Check::LateDo
            | Check::DoAfterUndo
            | Check::AfterRestart => RULES,
        }
    }

    fn needs_undo(self) -> bool {
        match self {
            Check::Undo | Check::UndoTwice | Check::UndoBeforeDo | Check::LateDo | Check::DoAfterUndo => true,
            Check::Answers | Check::DoTwice | Check::DoAtOnce | Check::AfterRestart | Check::Headers => false,
        }
    }
}

/// How a check came out; the reason where it did not hold.
enum Outcome {
    Holds,
    Broken(String),
    NotTested(Lacks, String),
    NotAsked(String),
}

/// All checks, unless the participant cannot be asked.
pub(super) async fn all(trial: &mut Trial<'_>) -> Result<Vec<Finding>, Unreachable> {
    let mut findings = Vec::with_capacity(Check::ALL.len());
    for check in Check::ALL {
        let outcome = made(check, trial).await;
        if let Some(unreachable) = trial.unreachable() {
            return Err(unreachable);
        }
        let (verdict, lacks, why) = match outcome {
            Outcome::Holds => (Verdict::Holds, None, String::new()),
            Outcome::Broken(why) => (Verdict::Broken, None, why),
            Outcome::NotTested(lacks, why) => (Verdict::NotTested, Some(lacks), why),
            Outcome::NotAsked(why) => (Verdict::NotAsked, None, why),
        };
        let exchanges = trial.take_exchanges();
        let (contract, read) = (check.contract(), check.read());
        findings.push(Finding { check, verdict, lacks, why, exchanges, contract, read });
    }
    Ok(findings)
}

async fn made(check: Check, trial: &mut Trial<'_>) -> Outcome {
    if let Some(why) = trial.subject.script.without_undo().filter(|_| check.needs_undo()) {
        return Outcome::NotAsked(why.to_owned());
    }
    let asked = Asked::anew();
    match check {
        Check::Answers => answers(trial, asked).await,
        Check::DoTwice => do_twice(trial, asked).await,
        Check::DoAtOnce => do_at_once(trial, asked).await,
        Check::Undo => undo(trial, asked, 1).await,
        Check::UndoTwice => undo(trial, asked, 2).await,
        Check::UndoBeforeDo => undo_before_do(trial, asked).await,
        Check::LateDo => late_do(trial, asked).await,
        Check::DoAfterUndo => do_after_undo(trial, asked).await,
        Check::AfterRestart => after_restart(trial, asked).await,
        Check::Headers => headers(trial),
    }
}

async fn answers(trial: &mut Trial<'_>, asked: Asked) -> Outcome {
    let answer = trial.attempts(asked, Direction::Do, 1..=1).await.remove(0);
    match answer {
        Answer::Succeeded { .. } | Answer::Failed { .. } => Outcome::Holds,
        Answer::Unknown { .. } | Answer::Ongoing { .. } | Answer::NotSent { .. } => Outcome::Broken(said(&answer)),
    }
}

async fn do_twice(trial: &mut Trial<'_>, asked: Asked) -> Outcome {
    let first = trial.settle(asked, Direction::Do, 1).await;
    if !is_final(&first) {
        return Outcome::NotTested(Lacks::Do, format!("the first answer is not final: {}", said(&first)));
    }
    // The same attempt, as a broker delivers it twice, and a later one, as an engine asks that had no answer.
    for attempt in 1..=2 {
        let again = trial.settle(asked, Direction::Do, attempt).await;
        if let Some(why) = differs(&first, &again) {
            return Outcome::Broken(why);
        }
    }
    Outcome::Holds
}

async fn do_at_once(trial: &mut Trial<'_>, asked: Asked) -> Outcome {
    let mut answers = trial.attempts(asked, Direction::Do, 1..=AT_ONCE).await;
    answers.retain(|answer| {
        !matches!(answer, Answer::Failed { retry: Retryable::Yes | Retryable::Conflict | Retryable::ThenPark, .. })
    });
    let last = trial.settle(asked, Direction::Do, AT_ONCE + 1).await;
    if !is_final(&last) {
        return Outcome::Broken(format!("no final answer afterwards: {}", said(&last)));
    }
    match answers.iter().find_map(|answer| differs(&last, answer)) {
        Some(why) => Outcome::Broken(why),
        None => Outcome::Holds,
    }
}

/// `times` undos of what was done.
async fn undo(trial: &mut Trial<'_>, asked: Asked, times: u32) -> Outcome {
    let done = trial.settle(asked, Direction::Do, 1).await;
    if !matches!(done, Answer::Succeeded { .. }) {
        return not_done(&done);
    }
    for attempt in 1..=times {
        let undone = trial.settle(asked, Direction::Undo, attempt).await;
        if !matches!(undone, Answer::Succeeded { .. }) {
            return Outcome::Broken(format!("undo {attempt} of {times}: {}", said(&undone)));
        }
    }
    Outcome::Holds
}

async fn undo_before_do(trial: &mut Trial<'_>, asked: Asked) -> Outcome {
    match trial.settle(asked, Direction::Undo, 1).await {
        Answer::Succeeded { .. } => Outcome::Holds,
        other => Outcome::Broken(said(&other)),
    }
}

async fn late_do(trial: &mut Trial<'_>, asked: Asked) -> Outcome {
    let undone = trial.settle(asked, Direction::Undo, 1).await;
    if !matches!(undone, Answer::Succeeded { .. }) {
        return Outcome::NotTested(Lacks::Undo, format!("the undo before it did not succeed: {}", said(&undone)));
    }
    match trial.settle(asked, Direction::Do, 1).await {
        done @ Answer::Succeeded { .. } => Outcome::Broken(format!("it was done after its undo: {}", said(&done))),
        Answer::Failed { .. } | Answer::Unknown { .. } | Answer::Ongoing { .. } | Answer::NotSent { .. } => {
            Outcome::Holds
        }
    }
}

async fn do_after_undo(trial: &mut Trial<'_>, asked: Asked) -> Outcome {
    let done = trial.settle(asked, Direction::Do, 1).await;
    if !matches!(done, Answer::Succeeded { .. }) {
        return not_done(&done);
    }
    let undone = trial.settle(asked, Direction::Undo, 1).await;
    if !matches!(undone, Answer::Succeeded { .. }) {
        return Outcome::NotTested(Lacks::Undo, format!("the undo did not succeed: {}", said(&undone)));
    }
    let again = trial.settle(asked, Direction::Do, 2).await;
    match &again {
        Answer::Succeeded { .. } if again != done => {
            Outcome::Broken(format!("it was done anew: first {}, then {}", said(&done), said(&again)))
        }
        Answer::Unknown { .. } | Answer::Ongoing { .. } => Outcome::Broken(said(&again)),
        Answer::Succeeded { .. } | Answer::Failed { .. } | Answer::NotSent { .. } => Outcome::Holds,
    }
}

/// A do that was answered, and an undo whose do comes only after the restart.
async fn after_restart(trial: &mut Trial<'_>, asked: Asked) -> Outcome {
    let Some(restart) = trial.subject.restart.clone() else {
        return Outcome::NotAsked("neither --restart nor --restart-by-hand was given".into());
    };
    let undone = Asked::anew();
    let has_undo = trial.subject.script.without_undo().is_none();
    let first = trial.settle(asked, Direction::Do, 1).await;
    if !is_final(&first) {
        return Outcome::NotTested(Lacks::Do, format!("the answer before it is not final: {}", said(&first)));
    }
    // An undo that is refused is what another check is about.
    let is_undone = has_undo && matches!(trial.settle(undone, Direction::Undo, 1).await, Answer::Succeeded { .. });
    if let Err(why) = restart.perform().await {
        return Outcome::NotTested(Lacks::Restart, why);
    }
    let Some(again) = trial.settle_after_restart(asked, Direction::Do).await else {
        return Outcome::NotTested(Lacks::Return, "it did not come back".into());
    };
    if let Some(why) = differs(&first, &again) {
        return Outcome::Broken(format!("the same do before and after: {why}"));
    }
    if !is_undone {
        return Outcome::Holds;
    }
    match trial.settle(undone, Direction::Do, 1).await {
        done @ Answer::Succeeded { .. } => {
            Outcome::Broken(format!("it was done after it had been undone before the restart: {}", said(&done)))
        }
        Answer::Failed { .. } | Answer::Unknown { .. } | Answer::Ongoing { .. } | Answer::NotSent { .. } => {
            Outcome::Holds
        }
    }
}

/// Looks at the replies to everything that was asked before.
fn headers(trial: &Trial<'_>) -> Outcome {
    match trial.lapses() {
        None => Outcome::NotAsked("there are none over HTTP".into()),
        Some([]) => Outcome::Holds,
        Some(lapses) => Outcome::Broken(lapses.join("; ")),
    }
}

fn not_done(answer: &Answer) -> Outcome {
    Outcome::NotTested(Lacks::Do, format!("the do did not succeed: {}", said(answer)))
}

fn is_final(answer: &Answer) -> bool {
    matches!(answer, Answer::Succeeded { .. } | Answer::Failed { retry: Retryable::No, .. })
}

/// Messages are for people and may differ; results and codes may not.
fn differs(one: &Answer, other: &Answer) -> Option<String> {
    let same = match (one, other) {
        (Answer::Failed { failure: one, .. }, Answer::Failed { failure: other, .. }) => one.code == other.code,
        _ => one == other,
    };
    (!same).then(|| format!("one answer is {}, another {}", said(one), said(other)))
}
