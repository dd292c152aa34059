//! Outcomes that a rerun takes over.

use super::{
    RerunJudge,
    standing::{self, StandingEffect},
};
use crate::{
    command::{CommandFailure, CommandRequest},
    definition::{ParticipantSelector, StepCompensation, StepDefinition},
    event::{TakenOutcome, TakenOverStep},
    id::StepIndex,
    state::{CommandOutcome, CommandPhase, StepState},
};
use std::fmt;

/// Why the outcome of a step cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It is undone.
    Undone,
    /// It ended without success, or never ended.
    Ended,
    /// For this reason.
    Other(String),
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotTaken::Undone => f.write_str("is undone"),
            NotTaken::Ended => f.write_str("did not succeed"),
            NotTaken::Other(reason) => f.write_str(reason),
        }
    }
}

impl RerunJudge<'_> {
    /// The outcome of the step, if it is known to stand and the definition of the rerun can undo it.
    pub(super) fn take(&self, step: StepIndex) -> Result<TakenOverStep, NotTaken> {
        let is = self.definition(step);
        let index = self.ran_by.definition.find(&is.name);
        let index = index.ok_or_else(|| NotTaken::Other("is not in the definition that the saga ran by".to_owned()))?;
        let (was, state) = (self.ran_by.definition.step(index), self.state.step(index));
        let outcome = outcome(was, state)?;
        if outcome == TakenOutcome::Succeeded {
            keeps_its_way_back(was, is, state)?;
        }
        Ok(TakenOverStep {
            outcome,
            result: self.state.results.get(&is.name).or(state.result.as_ref()).cloned().unwrap_or_default(),
            request: state.forward.request.as_deref().cloned(),
            done_in: state.done_in.unwrap_or(self.state.id),
            by: state.substitute.clone(),
        })
    }
}

fn outcome(was: &StepDefinition, state: &StepState) -> Result<TakenOutcome, NotTaken> {
    let goes_on_without = was.optional || state.is_answered_for();
    let effect = standing::effect(&was.effects, state);
    match (&state.forward.phase, effect) {
        (_, Some(StandingEffect::UndoInDoubt)) => {
            Err(NotTaken::Other("has an undo that was sent and not confirmed".to_owned()))
        }
        (_, Some(StandingEffect::InDoubt)) => Err(NotTaken::Other("may be applied or not".to_owned())),
        (CommandPhase::Settled(CommandOutcome::Succeeded), _) if state.is_undone() => Err(NotTaken::Undone),
        (CommandPhase::Settled(CommandOutcome::Succeeded), _) => Ok(TakenOutcome::Succeeded),
        (CommandPhase::Settled(CommandOutcome::Rejected(_)), Some(StandingEffect::Applied)) => {
            Err(NotTaken::Other("was refused by its check".to_owned()))
        }
        // Its answer came when it had been given up or skipped.
        (_, Some(StandingEffect::Applied)) if was.check.is_none() => Ok(TakenOutcome::Succeeded),
        (_, Some(StandingEffect::Applied)) => {
            Err(NotTaken::Other("has a late answer that its check has not judged".to_owned()))
        }
        (CommandPhase::Settled(CommandOutcome::Skipped), None) if !state.is_undone() => Ok(TakenOutcome::Skipped),
        (
            CommandPhase::Settled(
                CommandOutcome::Rejected(failure) | CommandOutcome::Failed(failure) | CommandOutcome::Unknown(failure),
            ),
            None,
        ) if goes_on_without => Ok(TakenOutcome::Failed { failure: failure.clone() }),
        (phase, None) => Err(not_succeeded(phase, state)),
    }
}

fn not_succeeded(phase: &CommandPhase, state: &StepState) -> NotTaken {
    let failed = |failure: &CommandFailure| NotTaken::Other(format!("did not succeed ({})", failure.code));
    match phase {
        _ if state.is_undone() => NotTaken::Undone,
        CommandPhase::Settled(
            CommandOutcome::Rejected(failure) | CommandOutcome::Failed(failure) | CommandOutcome::Unknown(failure),
        ) => failed(failure),
        CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped)
        | CommandPhase::Idle
        | CommandPhase::Held { .. }
        | CommandPhase::Attempting(_)
        | CommandPhase::Resting { .. }
        | CommandPhase::Sleeping { .. } => NotTaken::Ended,
    }
}

/// What is applied can be undone as before: by the participant that performed it.
fn keeps_its_way_back(was: &StepDefinition, is: &StepDefinition, state: &StepState) -> Result<(), NotTaken> {
    let StepCompensation::Undo(before) = &was.effects else { return Ok(()) };
    let StepCompensation::Undo(now) = &is.effects else {
        return Err(NotTaken::Other("is applied, and the new definition has no undo for it".to_owned()));
    };
    let did = state.forward.request.as_ref().and_then(|request| CommandRequest::participant(request));
    let is_who_did =
        matches!(now.call.target.whom(), ParticipantSelector::Participant(name) if Some(name.as_str()) == did);
    if before.call.target.whom() == now.call.target.whom() || is_who_did {
        return Ok(());
    }
    Err(NotTaken::Other("is applied, and the new definition sends its undo to another participant".to_owned()))
}
