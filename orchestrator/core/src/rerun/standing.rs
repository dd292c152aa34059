//! Effects of the saga that is run again which would stay beside those of its rerun.

use super::RerunJudge;
use crate::{
    definition::StepCompensation,
    event::TakenOverStep,
    id::StepIndex,
    state::{CommandPhase, StepState},
};
use std::fmt;

/// A step whose effect stands, or may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingStep {
    /// Name of the step.
    pub step: String,
    /// What is known of its effect.
    pub effect: StandingEffect,
}

/// What is known of an effect that is not undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandingEffect {
    /// The step is applied.
    Applied,
    /// The step may have been applied: an answer is missing, or an attempt ended unknown.
    InDoubt,
    /// The undo was sent, and it is not known whether it undid the step.
    UndoInDoubt,
}

impl fmt::Display for StandingStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = &self.step;
        match self.effect {
            StandingEffect::Applied => write!(f, "`{step}` is applied and not undone"),
            StandingEffect::InDoubt => write!(f, "`{step}` may be applied: its outcome is not known"),
            StandingEffect::UndoInDoubt => {
                write!(f, "`{step}` may still be applied: its undo was sent and not confirmed")
            }
        }
    }
}

impl RerunJudge<'_> {
    /// Steps whose effects stand and that are not taken over, in the order of the definition that the saga ran by.
    pub(super) fn standing(&self, taken: &[(StepIndex, TakenOverStep)]) -> Vec<StandingStep> {
        let steps = self.ran_by.definition.indices().filter_map(|index| {
            let definition = self.ran_by.definition.step(index);
            let effect = effect(&definition.effects, self.state.step(index))?;
            Some(StandingStep { step: definition.name.clone(), effect })
        });
        let is_taken = |name: &str| taken.iter().any(|(step, _)| self.definition(*step).name == name);
        steps.filter(|standing| !is_taken(&standing.step)).collect()
    }
}

/// `None`: no effect of the step stands.
pub(super) fn effect(effects: &StepCompensation, step: &StepState) -> Option<StandingEffect> {
    if matches!(effects, StepCompensation::ReadOnly) || step.is_undone() {
        return None;
    }
    let is_out = matches!(step.forward.phase, CommandPhase::Attempting(_)) || !step.forward.in_doubt.is_empty();
    if !step.may_be_applied() && !step.is_applied() && !is_out {
        return None;
    }
    if step.undo.attempt > 0 {
        return Some(StandingEffect::UndoInDoubt);
    }
    Some(if step.is_applied() { StandingEffect::Applied } else { StandingEffect::InDoubt })
}
