//! Whether an ended saga can be run again, and what its rerun takes over.
//!
//! A step that is performed again must have no effect that stands: it never happened, is undone, or only reads. A step
//! that is not performed again must stand: it succeeded and is not undone, or what follows goes on without it.
//! [`standing`] judges the first, [`taking`] the second. Only an operator who says `force` can leave effects standing,
//! or begin behind a pivot; nobody can take over what is not known to stand.

mod refusal;
mod standing;
mod taking;

use crate::{
    act_author::ActOrigin,
    definition::{self, StepDefinition},
    event::{ForkOrigin, TakenOverStep},
    id::StepIndex,
    input::{SagaFork, SagaStart},
    state::{SagaPlan, SagaState},
};
use std::sync::Arc;

pub use refusal::RerunRefusal;
pub use standing::{StandingEffect, StandingStep};
pub use taking::NotTaken;

/// What an operator asks for: an ended saga is run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerunOrder {
    /// Identity of the act: the same id makes the same rerun.
    pub id: String,
    /// The name of the operator, as the act gives it.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
    /// The first step that is performed again. What does not depend on it is taken over; `None`: nothing is.
    pub from: Option<String>,
    /// Whether effects may stay that are not taken over, and whether the rerun may begin behind the pivot.
    pub force: bool,
    /// From where the act came. Nothing is decided by it, and the journal does not have it.
    pub origin: ActOrigin,
}

/// By what a saga runs that runs another one again, if the operator names no definition: by what that one ran by at
/// last.
#[must_use]
pub fn plan_of(ran_by: &Arc<SagaPlan>) -> Arc<SagaPlan> {
    match ran_by.before {
        None => Arc::clone(ran_by),
        Some(_) => Arc::new(SagaPlan { before: None, ..ran_by.as_ref().clone() }),
    }
}

/// What a saga that runs `state` again starts with: the same key and the same trigger.
#[must_use]
pub fn start_of(state: &SagaState) -> SagaStart {
    SagaStart {
        key: state.key.clone(),
        trigger: state.trigger.as_ref().clone(),
        traceparent: Some(state.traceparent.clone()),
    }
}

/// The fork with which `plan` runs the saga again that `ran_by` and `state` are of.
///
/// # Errors
/// [`RerunRefusal`]: it cannot be done, or not without `force`.
pub fn fork(
    (ran_by, state): (&SagaPlan, &SagaState),
    plan: &SagaPlan,
    order: &RerunOrder,
) -> Result<SagaFork, RerunRefusal> {
    if !state.status().is_terminal() {
        return Err(RerunRefusal::NotEnded(state.status()));
    }
    if state.erased.is_some() {
        return Err(RerunRefusal::Erased);
    }
    if ran_by.definition.name != plan.definition.name {
        return Err(RerunRefusal::OtherSaga(ran_by.definition.name.clone(), plan.definition.name.clone()));
    }
    let rerun = RerunJudge { ran_by, state, plan };
    let taken = match &order.from {
        None => Vec::new(),
        Some(from) => rerun.taken_before(step_of(plan, from)?)?,
    };
    let standing = rerun.standing(&taken);
    let pivot = taken.iter().map(|(step, _)| *step).find(|step| plan.definition.step(*step).pivot);
    if !order.force && (!standing.is_empty() || pivot.is_some()) {
        let pivot = pivot.map(|step| plan.definition.step(step).name.clone());
        return Err(RerunRefusal::NeedsForce { standing, pivot });
    }
    let standing = standing.into_iter().map(|standing| standing.step).collect();
    let (act, who, reason) = (order.id.clone(), order.who.clone(), order.reason.clone());
    let (from, forced) = (order.from.clone(), order.force);
    let origin = ForkOrigin { saga: state.id, version: state.version, act, who, reason, from, forced, standing };
    Ok(SagaFork { origin, taken })
}

fn step_of(plan: &SagaPlan, name: &str) -> Result<StepIndex, RerunRefusal> {
    plan.definition.find(name).ok_or_else(|| {
        let known = plan.definition.steps.iter().map(|step| step.name.as_str());
        RerunRefusal::NoStep(name.to_owned(), definition::or_did_you_mean(name, known))
    })
}

/// A saga that ended, and the plan by which it is to run again.
struct RerunJudge<'a> {
    ran_by: &'a SagaPlan,
    state: &'a SagaState,
    plan: &'a SagaPlan,
}

impl RerunJudge<'_> {
    /// The steps that a rerun from `from` takes over: all that `from` depends on, and what else ended and depends on
    /// nothing that is performed again.
    fn taken_before(&self, from: StepIndex) -> Result<Vec<(StepIndex, TakenOverStep)>, RerunRefusal> {
        let (before, after) = (self.ancestors(from), self.descendants(from));
        let mut refused = Vec::new();
        let mut taken: Vec<Option<TakenOverStep>> = vec![None; self.plan.definition.steps.len()];
        for step in self.plan.definition.indices().filter(|step| !after[step.at()]) {
            match self.take(step) {
                Ok(outcome) => taken[step.at()] = Some(outcome),
                Err(why) if before[step.at()] => refused.push((self.definition(step).name.clone(), why)),
                Err(NotTaken::Undone | NotTaken::Ended | NotTaken::Other(_)) => {}
            }
        }
        if !refused.is_empty() {
            return Err(RerunRefusal::NotTaken { from: self.definition(from).name.clone(), refused });
        }
        self.drop_what_follows_the_performed(&mut taken);
        Ok(self.plan.definition.indices().zip(taken).filter_map(|(step, taken)| Some((step, taken?))).collect())
    }

    /// A step is performed again if one is that it depends on.
    fn drop_what_follows_the_performed(&self, taken: &mut [Option<TakenOverStep>]) {
        for performed in self.plan.definition.indices() {
            if taken[performed.at()].is_none() {
                let follows = self.descendants(performed);
                taken.iter_mut().zip(follows).filter(|(_, follows)| *follows).for_each(|(taken, _)| *taken = None);
            }
        }
    }

    fn definition(&self, step: StepIndex) -> &StepDefinition {
        self.plan.definition.step(step)
    }

    /// By step: whether `from` depends on it.
    fn ancestors(&self, from: StepIndex) -> Vec<bool> {
        let mut found = vec![false; self.plan.definition.steps.len()];
        let mut visit = vec![from];
        while let Some(step) = visit.pop() {
            for before in &self.definition(step).after {
                if !std::mem::replace(&mut found[before.at()], true) {
                    visit.push(*before);
                }
            }
        }
        found
    }

    /// By step: whether it is `from` or depends on it.
    fn descendants(&self, from: StepIndex) -> Vec<bool> {
        let mut found = vec![false; self.plan.definition.steps.len()];
        let mut visit = vec![from];
        while let Some(step) = visit.pop() {
            if std::mem::replace(&mut found[step.at()], true) {
                continue;
            }
            let follows = |it: &StepIndex| self.definition(*it).after.contains(&step);
            visit.extend(self.plan.definition.indices().filter(follows));
        }
        found
    }
}
