//! What is safe to run again, by what the participants really did.

use super::{Effects, World, name};
use crate::surroundings::Surroundings;
use saga_core::{
    act_author::ActOrigin,
    decide,
    event::TakenOutcome,
    evolve,
    id::{SagaId, ShardId, StepIndex},
    input::SagaFork,
    replay::{self, RowReplay},
    rerun::{self, RerunOrder},
};
use std::sync::Arc;

impl World {
    /// Whatever is asked: what is performed again has no effect that stands, what is taken over stands, and the saga
    /// that begins so is decided again from its journal.
    pub(in super::super) fn is_safe_to_run_again(&self) {
        let steps = self.plan.definition.steps.iter().map(|step| Some(step.name.clone()));
        for from in std::iter::once(None).chain(steps) {
            for force in [false, true] {
                let (id, who, reason) = ("again".to_owned(), "ada".to_owned(), "fixed".to_owned());
                let order = RerunOrder { id, who, reason, from: from.clone(), force, origin: ActOrigin::default() };
                let Ok(fork) = rerun::fork((&self.plan, &self.state), &self.plan, &order) else { continue };
                self.is_safe(&fork, force);
                self.begins(fork);
            }
        }
    }

    fn is_safe(&self, fork: &SagaFork, force: bool) {
        let taken = |step: StepIndex| fork.taken.iter().find(|(it, _)| *it == step).map(|(_, taken)| taken);
        for step in self.plan.definition.indices() {
            let site = self.sites[step.at()];
            let stays = site.applied && !site.undone;
            let told = format!("{} of {fork:#?}\n{site:?}\nafter {:#?}", name(step.at()), self.journal);
            let has_effects = self.spec.steps[step.at()].effects != Effects::ReadOnly;
            let is_known = !self.judge.answered_by_hand[step.at()] && !self.judge.is_wait(step.at());
            let definition = self.plan.definition.step(step);
            match taken(step).map(|taken| &taken.outcome) {
                None => assert!(force || !stays || !has_effects || !is_known, "performed again and applied: {told}"),
                Some(TakenOutcome::Succeeded) => {
                    assert!(stays || !has_effects || !is_known, "taken over and not applied: {told}");
                }
                Some(TakenOutcome::Skipped | TakenOutcome::Failed { .. }) => {
                    assert!(!stays || !has_effects || !is_known, "taken over as not applied: {told}");
                }
            }
            let follows_taken = definition.after.iter().all(|before| taken(*before).is_some());
            assert!(taken(step).is_none() || follows_taken, "taken over behind what is performed: {told}");
        }
    }

    fn begins(&self, fork: SagaFork) {
        let saga = SagaId::new(self.now, ShardId(3), 44);
        let start = rerun::start_of(&self.state);
        let plan = rerun::plan_of(&Arc::new(self.plan.clone()));
        let around = Surroundings::at(self.now);
        let (decision, state) = around.decide(|context| decide::rerun(&plan, saga, start, fork, context));
        let folded = evolve::fold(&plan, saga, std::slice::from_ref(&decision)).expect("a journal");
        assert_eq!(folded, state.as_recorded().inherited());
        let replayed = replay::replay(&plan, saga, std::slice::from_ref(&decision)).expect("a journal");
        for (_, row) in &replayed.rows {
            assert!(!matches!(row, RowReplay::Diverged { .. }), "{decision:#?} comes out as {row:#?}");
        }
    }
}
