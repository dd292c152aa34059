//! What the exploration of the transition test takes has to be on the page.

use super::{
    happens::Happens,
    inputs::{Act, Beside, Reply},
    render::Page,
};
use crate::transitions::{self, Phase, explore};
use saga_core::command::CommandDirection;

/// Moves from phase to phase that the exploration takes by an input, and that no case of the page has by it.
pub(super) fn missing(page: &Page) -> Vec<String> {
    let (dos, undos) = (page.moves(CommandDirection::Do), page.moves(CommandDirection::Undo));
    let has = |direction: CommandDirection, rows: &[Happens], from: Phase, to: Phase| {
        let moves = if direction == CommandDirection::Do { &dos } else { &undos };
        from == to || rows.iter().any(|row| moves.contains(&(*row, from, to)))
    };
    let seen = explore();
    let answered = seen.answered.iter().filter(|(way, from, by, to)| !has(*way, &answers(*by), *from, *to));
    let acted = seen.acted.iter().filter(|(way, from, by, to)| !has(*way, &[act(*by)], *from, *to));
    let answered = answered.map(|(way, from, by, to)| format!("{way} {from:?}, {by:?}: {to:?}"));
    let acted = acted.map(|(way, from, by, to)| format!("{way} {from:?}, {by:?}: {to:?}"));
    answered.chain(acted).collect()
}

/// The rows of an answer that the exploration offers. Time is no row: the exploration lets all timers come at once.
fn answers(happening: transitions::Happening) -> Vec<Happens> {
    use transitions::Happening;
    let replies: &[Reply] = match happening {
        Happening::Succeeded => &[Reply::Succeeded, Reply::CheckRefuses],
        Happening::Refused => &[Reply::FailedDefinite],
        Happening::Conflict => &[Reply::FailedConflict],
        Happening::Busy => &[Reply::FailedRetryable],
        Happening::Forbidden => &[Reply::FailedNeedsPerson],
        Happening::Lost => &[Reply::UnknownRetryable],
        Happening::Ongoing => &[Reply::Ongoing],
        Happening::NotSent => &[Reply::NotSent],
        Happening::Due => &[],
    };
    replies.iter().copied().map(Happens::Reply).collect()
}

/// The row of an act that the exploration offers.
fn act(act: transitions::Act) -> Happens {
    match act {
        transitions::Act::Retry => Happens::Act(Act::Retry),
        transitions::Act::Skip => Happens::Act(Act::Skip),
        transitions::Act::Cancel => Happens::Act(Act::Cancel),
        transitions::Act::Abandon => Happens::Act(Act::Abandon),
        transitions::Act::Repeated => Happens::Act(Act::Repeated),
        transitions::Act::OutcomeAcknowledged => Happens::Beside(Beside::Delivered),
        transitions::Act::OutcomeNotTaken => Happens::Beside(Beside::Undelivered),
        transitions::Act::OutcomeNeverTaken => Happens::Beside(Beside::Undeliverable),
    }
}
