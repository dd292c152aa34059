//! A retry by another text of the definition: whether that fits where the saga stands, and what follows.
//!
//! A saga stays what it is: what is applied stays, what has begun keeps its place and its request. Only what has not
//! begun may be another.

use super::{ActRefusal, DecisionDraft, DecisionOutcome, IgnoreReason, NoDecision, operator};
use crate::{
    command::{CommandRef, CommandRequest},
    definition::{ParticipantSelector, StepAction, StepCompensation, StepDefinition},
    event::SagaEvent,
    id::StepIndex,
    input::OperatorAct,
    state::{CommandPhase, SagaPhase, SagaPlan, SagaState, StepState},
};

/// Retries by `mended`, if it fits. `state` is evolved if and only if something is decided.
pub(super) fn retry(
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
        return DecisionOutcome::Refused(ActRefusal::because(
            "a retry with another definition retries all waiting steps: do not name a step",
        ));
    }
    if let Err(why) = fits(plan, mended, state) {
        return DecisionOutcome::Refused(ActRefusal::because(format!("the definition does not fit: {why}")));
    }
    let parked_for: Vec<CommandRef> = state.ended_badly(plan).collect();
    let mut draft = DecisionDraft::new(mended, state, context);
    let (definition, policies) = (mended.definition.hash.clone(), mended.policies_hash.clone());
    draft.emit(SagaEvent::DefinitionChanged { definition, policies });
    match draft.retry(act, &parked_for) {
        Ok(()) => {}
        // What can be retried has been looked at, and the change is on record in any case.
        Err(NoDecision::Ignored(_) | NoDecision::Refused(_)) => {}
    }
    draft.advance();
    draft.finish().map_or(DecisionOutcome::Ignored(IgnoreReason::NotDue), DecisionOutcome::Decided)
}

/// Whether the saga can go on by `mended`; otherwise why not.
fn fits(plan: &SagaPlan, mended: &SagaPlan, state: &SagaState) -> Result<(), String> {
    if plan == mended {
        return Err("the saga runs by this definition already; retry without it".to_owned());
    }
    if plan.definition.name != mended.definition.name {
        return Err(format!(
            "it is of the saga `{}`, this one is of `{}`",
            mended.definition.name, plan.definition.name
        ));
    }
    waits_for_somebody(state)?;
    for (index, step) in (0u16..).map(StepIndex).zip(&state.steps).filter(|(_, step)| is_known(step)) {
        let was = plan.definition.step(index);
        let is = same_place(index, was, mended)?;
        keeps_its_kind(was, is, step)?;
        keeps_its_way_back(was, is, step)?;
        follows_what_has_begun(is, mended, state)?;
    }
    Ok(())
}

fn waits_for_somebody(state: &SagaState) -> Result<(), String> {
    let rests = |phase: &CommandPhase| matches!(phase, CommandPhase::Held { .. } | CommandPhase::Resting { .. });
    match &state.course {
        SagaPhase::Parked { .. } => Ok(()),
        SagaPhase::Forward | SagaPhase::Compensating { .. }
            if state.commands().any(|(_, command)| rests(&command.phase)) =>
        {
            Ok(())
        }
        SagaPhase::Forward | SagaPhase::Compensating { .. } => {
            Err("nothing to retry: no command failed or waits for its next attempt".to_owned())
        }
        SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => Err("the saga is at its end".to_owned()),
    }
}

/// Whether anything is on record of it.
fn is_known(step: &StepState) -> bool {
    *step != StepState::default()
}

/// Rows of the journal name steps by their places.
fn same_place<'m>(index: StepIndex, was: &StepDefinition, mended: &'m SagaPlan) -> Result<&'m StepDefinition, String> {
    let there = mended.definition.steps.get(index.at());
    there.filter(|step| step.name == was.name).ok_or_else(|| {
        let name = &was.name;
        let place = index.at() + 1;
        match mended.definition.find(name) {
            Some(other) => format!(
                "step `{name}` has begun as number {place} and is number {} there: write new steps below it",
                other.at() + 1
            ),
            None => format!("step `{name}` has begun, and there it is missing"),
        }
    })
}

fn keeps_its_kind(was: &StepDefinition, is: &StepDefinition, step: &StepState) -> Result<(), String> {
    let name = &was.name;
    if was.side != is.side {
        return Err(format!("step `{name}` has begun, and the new definition moves it to the other side of the pivot"));
    }
    let has_begun = step.forward.request.is_some() || matches!(step.forward.phase, CommandPhase::Sleeping { .. });
    if has_begun && kind(&was.action) != kind(&is.action) {
        return Err(format!(
            "step `{name}` has begun as one that {}, and there it {}",
            kind(&was.action),
            kind(&is.action)
        ));
    }
    Ok(())
}

fn kind(action: &StepAction) -> &'static str {
    match action {
        StepAction::Call(_) => "asks a participant",
        StepAction::Wait(_) => "waits",
        StepAction::Publish { .. } => "publishes",
    }
}

/// What is applied, or may be, can be undone as before.
fn keeps_its_way_back(was: &StepDefinition, is: &StepDefinition, step: &StepState) -> Result<(), String> {
    let may_be = step.may_be_applied() || step.forward.is_open();
    let needs = was.has_undo() && may_be && !step.undo.is_settled() || step.undo.request.is_some();
    if needs && !is.has_undo() {
        return Err(format!("step `{}` may be applied, and there it has no undo", was.name));
    }
    if needs && !goes_to_who_did_it(was, is, step) {
        return Err(format!(
            "step `{}` may be applied, and the new definition sends its undo to another participant",
            was.name
        ));
    }
    Ok(())
}

/// Whether the undo goes where it went, or to the participant that got the do: no other participant knows what to undo.
fn goes_to_who_did_it(was: &StepDefinition, is: &StepDefinition, step: &StepState) -> bool {
    let (StepCompensation::Undo(before), StepCompensation::Undo(now)) = (&was.effects, &is.effects) else {
        return true;
    };
    let did = step.forward.request.as_deref().and_then(CommandRequest::participant);
    let is_who_did =
        matches!(now.call.target.whom(), ParticipantSelector::Participant(name) if Some(name.as_str()) == did);
    before.call.target.whom() == now.call.target.whom() || is_who_did
}

/// What it waited for has been; what is new comes after it.
fn follows_what_has_begun(is: &StepDefinition, mended: &SagaPlan, state: &SagaState) -> Result<(), String> {
    let has_begun = |before: &&StepIndex| state.steps.get(before.at()).is_some_and(is_known);
    match is.after.iter().find(|before| !has_begun(before)) {
        None => Ok(()),
        Some(before) => {
            let other = &mended.definition.step(*before).name;
            Err(format!("step `{}` has begun, and there it follows `{other}`, which has not", is.name))
        }
    }
}
