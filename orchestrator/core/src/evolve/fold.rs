//! A whole journal, from its first row on.

use super::{evolve, started};
use crate::{
    event::{SagaDecision, SagaEvent},
    id::{SagaId, StepIndex},
    state::{SagaPlan, SagaState},
};

/// Rows that are not the journal of one saga.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// There is no row.
    #[error("there is no row")]
    Empty,
    /// The first event is not the start, or a start comes again.
    #[error("the saga's start has to be the first event of row 1 and nowhere else, which row {version} does not keep")]
    NoStart {
        /// Version of the row that breaks the rule.
        version: u32,
    },
    /// Versions have a gap.
    #[error("expected row {expected}, found row {found}")]
    Gap {
        /// The version that should follow.
        expected: u32,
        /// The version that follows instead.
        found: u32,
    },
    /// The definition changed, and what it changed to is not there.
    #[error("row {version} changes the definition to one that is not known")]
    NoDefinition {
        /// Version of the row that changes the definition.
        version: u32,
    },
    /// A row names a step that the definition does not have.
    #[error("row {version} names step {step}, the definition has {steps} steps")]
    NoSuchStep {
        /// Version of the row that names the step.
        version: u32,
        /// Position of the step that the row names.
        step: u16,
        /// How many steps the definition has.
        steps: usize,
    },
}

impl FoldError {
    /// Version of the row that does not fit; `None`: there is no row.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        match self {
            FoldError::Empty => None,
            FoldError::NoStart { version }
            | FoldError::Gap { expected: version, .. }
            | FoldError::NoDefinition { version }
            | FoldError::NoSuchStep { version, .. } => Some(*version),
        }
    }
}

/// Folds a whole journal.
///
/// # Errors
/// When the rows are not 1..n, do not begin with the start, or name steps that the plan does not have. `plan` is what
/// the saga runs by at the end, and knows what it ran by before.
pub fn fold(plan: &SagaPlan, saga: SagaId, decisions: &[SagaDecision]) -> Result<SagaState, FoldError> {
    fold_as_owner(plan, saga, decisions).map(SagaState::inherited)
}

/// The same as its owner has it, who made every attempt itself.
pub(crate) fn fold_as_owner(plan: &SagaPlan, saga: SagaId, decisions: &[SagaDecision]) -> Result<SagaState, FoldError> {
    let (first, rest) = checked_start(decisions)?;
    let mut plans = plan.chain().into_iter();
    let plan = plans.next().unwrap_or(plan);
    let state = begin(plan, saga, first)?;
    go_on(plan, plans, state, rest, |_, _, _| {})
}

/// Folds a whole journal and shows every state on the way: what the saga runs by, its state after a row, and the row.
///
/// # Errors
/// As [`fold`]; the rows before the one that does not fit have been shown.
pub fn visit(
    plan: &SagaPlan,
    saga: SagaId,
    decisions: &[SagaDecision],
    mut shown: impl FnMut(&SagaPlan, &SagaState, &SagaDecision),
) -> Result<(), FoldError> {
    let (first, rest) = checked_start(decisions)?;
    let mut plans = plan.chain().into_iter();
    let plan = plans.next().unwrap_or(plan);
    let state = begin(plan, saga, first)?;
    shown(plan, &state, first);
    go_on(plan, plans, state, rest, shown).map(drop)
}

/// Whether the rows fold, without a fold.
///
/// # Errors
/// As [`fold`].
pub(crate) fn check(plan: &SagaPlan, decisions: &[SagaDecision]) -> Result<(), FoldError> {
    let (first, rest) = checked_start(decisions)?;
    let mut plans = plan.chain().into_iter();
    let mut plan = plans.next().unwrap_or(plan);
    match first.events.first() {
        Some(SagaEvent::SagaStarted { .. }) => check_steps(plan, first)?,
        Some(_) | None => return Err(FoldError::NoStart { version: first.version }),
    }
    for (expected, decision) in (first.version + 1..).zip(rest) {
        plan = checked_next(plan, &mut plans, expected, decision)?;
    }
    Ok(())
}

/// The first row and the others.
fn checked_start(decisions: &[SagaDecision]) -> Result<(&SagaDecision, &[SagaDecision]), FoldError> {
    let (first, rest) = decisions.split_first().ok_or(FoldError::Empty)?;
    match first.version {
        1 => Ok((first, rest)),
        found => Err(FoldError::Gap { expected: 1, found }),
    }
}

/// Folds the rest of a journal onto the state of a snapshot. The result is that of [`fold`] on the whole journal.
///
/// # Errors
/// As [`fold`], and when the state is not one of `plan`. `plan` is what the saga runs by at the end; `known` is the
/// number of plans that it had run by when the snapshot was taken, the plan of that time included.
pub fn resumed(plan: &SagaPlan, known: usize, state: SagaState, rest: &[SagaDecision]) -> Result<SagaState, FoldError> {
    let mut plans = plan.chain().into_iter();
    let version = state.version;
    let of_then = known.checked_sub(1).and_then(|before| plans.nth(before));
    let of_then = of_then.ok_or(FoldError::NoDefinition { version })?;
    let (has, steps) = (state.steps.len(), of_then.definition.steps.len());
    if has != steps {
        return Err(FoldError::NoSuchStep { version, step: u16::try_from(has).unwrap_or(u16::MAX), steps });
    }
    go_on(of_then, plans, state, rest, |_, _, _| {}).map(SagaState::inherited)
}

fn go_on<'a>(
    mut plan: &'a SagaPlan,
    mut plans: impl Iterator<Item = &'a SagaPlan>,
    mut state: SagaState,
    rest: &[SagaDecision],
    mut shown: impl FnMut(&SagaPlan, &SagaState, &SagaDecision),
) -> Result<SagaState, FoldError> {
    for decision in rest {
        plan = checked_next(plan, &mut plans, state.version + 1, decision)?;
        evolve(plan, &mut state, decision);
        shown(plan, &state, decision);
    }
    Ok(state)
}

/// What the saga runs by from this row on, if the row may follow as `expected`.
fn checked_next<'a>(
    mut plan: &'a SagaPlan,
    plans: &mut impl Iterator<Item = &'a SagaPlan>,
    expected: u32,
    decision: &SagaDecision,
) -> Result<&'a SagaPlan, FoldError> {
    let version = decision.version;
    if version != expected {
        return Err(FoldError::Gap { expected, found: version });
    }
    if decision.events.iter().any(|event| matches!(event, SagaEvent::SagaStarted { .. })) {
        return Err(FoldError::NoStart { version });
    }
    if super::changes_definition(decision) {
        plan = plans.next().ok_or(FoldError::NoDefinition { version })?;
    }
    check_steps(plan, decision)?;
    Ok(plan)
}

/// The step that an event is about.
#[must_use]
pub fn step_of(event: &SagaEvent) -> Option<StepIndex> {
    match event {
        SagaEvent::StepStarted { step, .. }
        | SagaEvent::WaitStarted { step, .. }
        | SagaEvent::AttemptStarted { step, .. }
        | SagaEvent::AttemptFailed { step, .. }
        | SagaEvent::AttemptExtended { step, .. }
        | SagaEvent::StepWaiting { step, .. }
        | SagaEvent::StepSucceeded { step, .. }
        | SagaEvent::StepRejected { step, .. }
        | SagaEvent::StepFailed { step, .. }
        | SagaEvent::StepAnswered { step, .. }
        | SagaEvent::StepSkipped { step, .. }
        | SagaEvent::StepTakenOver { step, .. }
        | SagaEvent::ResultArrived { step, .. } => Some(*step),
        SagaEvent::IncidentOpened { step, .. } => *step,
        SagaEvent::OperatorActed { command, .. } => command.map(|command| command.step),
        SagaEvent::SagaStarted { .. }
        | SagaEvent::CompensationStarted { .. }
        | SagaEvent::SagaOverdue
        | SagaEvent::SagaParked { .. }
        | SagaEvent::SagaResumed
        | SagaEvent::DefinitionChanged { .. }
        | SagaEvent::OutcomeDue { .. }
        | SagaEvent::OutcomeWaiting { .. }
        | SagaEvent::OutcomeShortened { .. }
        | SagaEvent::SagaEnded { .. } => None,
    }
}

fn begin(plan: &SagaPlan, saga: SagaId, first: &SagaDecision) -> Result<SagaState, FoldError> {
    let no_start = FoldError::NoStart { version: first.version };
    check_steps(plan, first)?;
    let mut state = match first.events.first() {
        Some(event) => started(plan, saga, event, first.at).ok_or(no_start)?,
        None => return Err(no_start),
    };
    evolve(plan, &mut state, first);
    Ok(state)
}

fn check_steps(plan: &SagaPlan, decision: &SagaDecision) -> Result<(), FoldError> {
    let steps = plan.definition.steps.len();
    let named = decision.events.iter().filter_map(step_of);
    match named.map(|step| step.0).find(|step| usize::from(*step) >= steps) {
        Some(step) => Err(FoldError::NoSuchStep { version: decision.version, step, steps }),
        None => Ok(()),
    }
}
