//! A saga goes on by another text of the definition: whether that fits where the saga stands, and what follows.
//!
//! A saga stays what it is: what is applied stays, what has begun keeps its place and its request. Only what has not
//! begun may be another. A retry tries what failed by the new text. A migration changes the text and nothing else: a
//! saga that is under way goes on without a pause, a parked one stays parked.

mod fit;

use super::{ActRefusal, DecisionDraft, DecisionOutcome, IgnoreReason, NoDecision, operator};
use crate::{
    command::CommandRef,
    event::{OperatorAction, SagaEvent},
    input::OperatorAct,
    state::{SagaPlan, SagaState},
};
use fit::DefinitionFit;

/// Goes on by `mended`, if it fits. `state` is evolved if and only if something is decided.
pub(super) fn mended(
    plan: &SagaPlan,
    mended: &SagaPlan,
    state: &mut SagaState,
    act: &OperatorAct,
    context: &mut super::DecisionContext<'_>,
) -> DecisionOutcome {
    if let Err(stop) = operator::is_new(plan, state, act) {
        return stop.into();
    }
    if act.about.is_some() {
        return DecisionOutcome::Refused(ActRefusal::because(of_all_steps(act.action)));
    }
    let fit = DefinitionFit { plan, mended, state };
    let fits = match act.action {
        OperatorAction::Retry => fit.for_a_retry(),
        OperatorAction::Migrate => fit.for_a_migration(context.now),
        OperatorAction::Skip | OperatorAction::Cancel | OperatorAction::Abandon | OperatorAction::Erase => {
            Err("only a retry or a migration changes it".to_owned())
        }
    };
    if let Err(why) = fits {
        return DecisionOutcome::Refused(ActRefusal::because(format!("the definition does not fit: {why}")));
    }
    let parked_for: Vec<CommandRef> = state.ended_badly(plan).collect();
    let from = plan.definition.hash.clone();
    let mut draft = DecisionDraft::new(mended, state, context);
    let (definition, policies) = (mended.definition.hash.clone(), mended.policies_hash.clone());
    draft.emit(SagaEvent::DefinitionChanged { from, definition, policies });
    draft.acted_by_it(act, &parked_for);
    draft.advance();
    draft.finish().map_or(DecisionOutcome::Ignored(IgnoreReason::NotDue), DecisionOutcome::Decided)
}

fn of_all_steps(action: OperatorAction) -> &'static str {
    match action {
        OperatorAction::Migrate => "a migration is of the whole saga: do not name a step",
        OperatorAction::Retry
        | OperatorAction::Skip
        | OperatorAction::Cancel
        | OperatorAction::Abandon
        | OperatorAction::Erase => "a retry with another definition retries all waiting steps: do not name a step",
    }
}

impl DecisionDraft<'_, '_> {
    /// The act itself, by the definition that the saga has now; `parked_for` are dos that it was parked for before.
    fn acted_by_it(&mut self, act: &OperatorAct, parked_for: &[CommandRef]) {
        match act.action {
            OperatorAction::Migrate => self.acted(act, None),
            OperatorAction::Retry
            | OperatorAction::Skip
            | OperatorAction::Cancel
            | OperatorAction::Abandon
            | OperatorAction::Erase => {
                match self.retry(act, parked_for) {
                    Ok(()) => {}
                    // What can be retried has been looked at, and the change is on record in any case.
                    Err(NoDecision::Ignored(_) | NoDecision::Refused(_)) => {}
                }
            }
        }
    }
}
