//! Decides a recorded journal again: whether the rules of this build, given what came in, decide what is on record.
//!
//! A journal records decisions. What came in is read from them: a success holds the participant's answer, an attempt
//! that failed its failure, an act its operator ([`inputs`]). What guards, caches and the jitter said at the time is
//! read from the row as well ([`surroundings`]). Where more than one input fits a row, as the time and a guard that has
//! a permit again, each is tried, and one that leads to the row is enough.
//!
//! What no row records cannot be asked again: a row that depends on it is [`RowReplay::Undecided`], with the reason.

mod inputs;
mod surroundings;

use crate::{
    decide::{self, DecisionOutcome},
    event::{ParkReason, SagaDecision, SagaEvent},
    evolve::{self, FoldError},
    id::SagaId,
    input::{SagaFork, SagaStart},
    state::{SagaPhase, SagaPlan, SagaState},
};
use inputs::{CandidateInput, DecidingOwner};
use std::sync::Arc;
use surroundings::RecordedSurroundings;

/// A journal that was decided again.
#[derive(Clone, Debug, PartialEq)]
pub struct SagaReplay {
    /// What the journal folds to.
    pub state: SagaState,
    /// Rows that came out otherwise, or could not be decided again, in their order. Every other row came out as it is
    /// on record.
    pub rows: Vec<(u32, RowReplay)>,
}

/// What became of a row that was not decided as it is on record.
#[derive(Clone, Debug, PartialEq)]
pub enum RowReplay {
    /// The rules decide something else.
    Diverged {
        /// The events on record.
        recorded: Vec<SagaEvent>,
        /// What the rules of this build decide.
        found: ReplayedDecision,
    },
    /// It depends on something that is not on record.
    Undecided {
        /// What is not on record.
        reason: &'static str,
    },
}

/// What the rules decide in place of what is on record.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplayedDecision {
    /// These events.
    Events(Vec<SagaEvent>),
    /// No row, for this reason.
    Nothing(String),
}

/// Decides the rows of a saga again. `plan` is what the saga runs by at the end, and knows what it ran by before.
///
/// A decision evolves the state by the events that it makes. So a row that comes out as it is on record is folded by
/// that, and only other rows are folded for themselves.
///
/// # Errors
/// When the rows do not fold.
pub fn replay(plan: &SagaPlan, saga: SagaId, decisions: &[SagaDecision]) -> Result<SagaReplay, FoldError> {
    evolve::check(plan, decisions)?;
    let mut walk = JournalWalk { plans: plan.chain(), saga, decisions, state: None };
    let replayed = decisions.iter().enumerate().filter_map(|(index, row)| Some((row.version, walk.row(index)?)));
    let rows = replayed.collect();
    let state = walk.state.take().unwrap_or_else(|| folded(plan, saga, decisions));
    Ok(SagaReplay { state: state.as_recorded().inherited(), rows })
}

/// The rows of one saga, one after the other.
struct JournalWalk<'a> {
    /// What the saga runs by, and what it runs by later.
    plans: Vec<&'a SagaPlan>,
    saga: SagaId,
    decisions: &'a [SagaDecision],
    /// After the row before; `None`: it has to be folded.
    state: Option<SagaState>,
}

impl JournalWalk<'_> {
    /// `None`: the row came out as it is on record.
    fn row(&mut self, index: usize) -> Option<RowReplay> {
        let row = &self.decisions[index];
        if index == 0 {
            return self.start(row);
        }
        let before = self.plans[0];
        if evolve::changes_definition(row) && self.plans.len() > 1 {
            self.plans.remove(0);
        }
        let after = self.plans[0];
        let state = self.state_before(before, index);
        if is_parked_by_the_engine(&state, row) || is_abandoned_unread(row) {
            self.state = Some(evolved(after, state, row));
            return None;
        }
        let mended = (!std::ptr::eq(before, after)).then(|| Arc::new(after.clone()));
        self.decide(before, mended.as_ref(), state, index)
    }

    /// Tries what may have come in, the likeliest first. A decision evolves the state, so each further try folds again.
    fn decide(
        &mut self,
        plan: &SagaPlan,
        mended: Option<&Arc<SagaPlan>>,
        mut state: SagaState,
        index: usize,
    ) -> Option<RowReplay> {
        let row = &self.decisions[index];
        let mut first = None;
        for CandidateInput { input, assumed } in inputs::of(plan, mended, &state, row) {
            state = match assumed.owner {
                DecidingOwner::Same => state,
                DecidingOwner::Later => state.inherited(),
            };
            let surroundings = RecordedSurroundings { plan, row, assumed };
            let outcome = surroundings.decide(&mut state, &input);
            if matches!(&outcome, Ok(DecisionOutcome::Decided(found)) if found == row) {
                // When another owner took over is not on record: each row is decided by either.
                self.state = Some(state.by_one_owner());
                return None;
            }
            first = first.or(Some(outcome));
            state = folded(plan, self.saga, &self.decisions[..index]);
        }
        let runs_by = mended.map_or(plan, Arc::as_ref);
        self.state = Some(evolved(runs_by, state, row));
        Some(judged(row, found(first)))
    }

    fn start(&mut self, row: &SagaDecision) -> Option<RowReplay> {
        let plan = self.plans[0];
        let Some(SagaEvent::SagaStarted { key, trigger, traceparent, .. }) = row.events.first() else { return None };
        let (key, trigger, traceparent) = (key.clone(), trigger.as_ref().clone(), traceparent.clone());
        let start = SagaStart { key, trigger, traceparent };
        let surroundings = RecordedSurroundings { plan, row, assumed: inputs::START };
        let (found, state) = surroundings.run(|context| match SagaFork::recorded(row) {
            None => decide::start(plan, self.saga, start, context),
            Some(fork) => decide::rerun(plan, self.saga, start, fork, context),
        });
        if found == *row {
            self.state = Some(state);
            return None;
        }
        Some(judged(row, ReplayedDecision::Events(found.events)))
    }

    fn state_before(&mut self, plan: &SagaPlan, index: usize) -> SagaState {
        self.state.take().unwrap_or_else(|| folded(plan, self.saga, &self.decisions[..index]))
    }
}

/// What the rows fold to. They were checked before, so they fold.
fn folded(plan: &SagaPlan, saga: SagaId, decisions: &[SagaDecision]) -> SagaState {
    evolve::fold_as_owner(plan, saga, decisions).expect("a beginning of a journal that folds")
}

fn evolved(plan: &SagaPlan, mut state: SagaState, row: &SagaDecision) -> SagaState {
    evolve::evolve(plan, &mut state, row);
    state
}

fn found(outcome: Option<Result<DecisionOutcome, decide::DecisionError>>) -> ReplayedDecision {
    match outcome {
        Some(Ok(DecisionOutcome::Decided(found))) => ReplayedDecision::Events(found.events),
        Some(Ok(DecisionOutcome::Noted)) => ReplayedDecision::Nothing("the state changes in memory".to_owned()),
        Some(Ok(DecisionOutcome::Ignored(reason))) => ReplayedDecision::Nothing(reason.to_string()),
        Some(Ok(DecisionOutcome::Refused(refusal))) => ReplayedDecision::Nothing(refusal.to_string()),
        Some(Err(error)) => ReplayedDecision::Nothing(error.to_string()),
        None => ReplayedDecision::Nothing("no input leads to such a row".to_owned()),
    }
}

fn judged(row: &SagaDecision, found: ReplayedDecision) -> RowReplay {
    match undecided(row, &found) {
        Some(reason) => RowReplay::Undecided { reason },
        None => RowReplay::Diverged { recorded: row.events.clone(), found },
    }
}

/// What a row depends on that is not on record.
fn undecided(row: &SagaDecision, found: &ReplayedDecision) -> Option<&'static str> {
    let events = match found {
        ReplayedDecision::Events(events) => events.as_slice(),
        ReplayedDecision::Nothing(_) => &[],
    };
    let is_limited = |event: &SagaEvent| {
        surroundings::failure_of(event).is_some_and(|failure| failure.code == "limit" || failure.code == LATE_UNDO)
    };
    if row.events.iter().chain(events).any(is_limited) {
        return Some("how large a record the topic of a participant takes");
    }
    let is_put_off = |event: &SagaEvent| inputs::is_deadline(event) && !row.events.contains(event);
    if events.iter().any(is_put_off) {
        return Some("an outage of the engine, which put a deadline off");
    }
    None
}

/// Code of the incident of an undo that does without the result.
const LATE_UNDO: &str = "undo_without_result";

/// A decision that cannot be made parks its saga, outside of the rules.
fn is_parked_by_the_engine(state: &SagaState, row: &SagaDecision) -> bool {
    let is_under_way = matches!(state.course, SagaPhase::Forward | SagaPhase::Compensating { .. });
    is_under_way && matches!(row.events.as_slice(), [SagaEvent::SagaParked { reason: ParkReason::Limit { .. } }])
}

/// An operator ended a saga whose journal could not be read: the row says so, and no rule made it.
fn is_abandoned_unread(row: &SagaDecision) -> bool {
    matches!(
        row.events.as_slice(),
        [SagaEvent::OperatorActed { .. }, SagaEvent::IncidentOpened { failure, .. }, SagaEvent::SagaEnded { .. }]
            if failure.code == "unreadable"
    )
}
