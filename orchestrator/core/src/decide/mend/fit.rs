//! Whether a saga can go on by another text of its definition; otherwise why not, in words.

use crate::{
    answerable::OutageLog,
    command::{CommandDirection, CommandRef, CommandRequest},
    definition::{CallDefinition, CallTarget, ParticipantSelector, StepAction, StepCompensation, StepDefinition},
    id::StepIndex,
    state::{CommandPhase, SagaPhase, SagaPlan, SagaState, StepState},
    time::Timestamp,
};
use std::collections::BTreeSet;

/// A saga, what it runs by, and what it shall run by.
#[derive(Clone, Copy)]
pub(super) struct DefinitionFit<'a> {
    pub(super) plan: &'a SagaPlan,
    pub(super) mended: &'a SagaPlan,
    pub(super) state: &'a SagaState,
}

impl<'a> DefinitionFit<'a> {
    /// Whether what failed or waits can be tried again by it.
    pub(super) fn for_a_retry(self) -> Result<(), String> {
        if self.plan == self.mended {
            return Err("the saga runs by this definition already; retry without it".to_owned());
        }
        self.is_of_the_saga()?;
        waits_for_somebody(self.state)?;
        self.keeps_what_has_begun()
    }

    /// Whether the saga is at `now` where it would be if it had run by it from the start, and goes on from there.
    pub(super) fn for_a_migration(self, now: Timestamp) -> Result<(), String> {
        if self.plan == self.mended {
            return Err("the saga runs by this definition already".to_owned());
        }
        self.is_of_the_saga()?;
        is_under_way(self.state)?;
        self.keeps_what_has_begun()?;
        for (index, step) in self.known() {
            let (was, is) = (self.plan.definition.step(index), self.mended.definition.step(index));
            keeps_what_is_out(was, is, step)?;
            self.keeps_its_end(index, was, is, step)?;
            self.keeps_its_order(index, was, is, step)?;
        }
        self.has_time_left(now)
    }

    fn is_of_the_saga(self) -> Result<(), String> {
        let (was, is) = (&self.plan.definition.name, &self.mended.definition.name);
        if was == is { Ok(()) } else { Err(format!("it is of the saga `{is}`, this one is of `{was}`")) }
    }

    /// What is on record of steps can have happened by the other text as well, and can be undone by it.
    fn keeps_what_has_begun(self) -> Result<(), String> {
        for (index, step) in self.known() {
            let was = self.plan.definition.step(index);
            let is = same_place(index, was, self.mended)?;
            keeps_its_kind(was, is, step)?;
            keeps_its_way_back(was, is, step)?;
            self.follows_what_has_begun(is)?;
        }
        Ok(())
    }

    /// The steps that something is on record of.
    fn known(self) -> impl Iterator<Item = (StepIndex, &'a StepState)> {
        (0u16..).map(StepIndex).zip(&self.state.steps).filter(|(_, step)| is_known(step))
    }

    /// What it waited for has been; what is new comes after it.
    fn follows_what_has_begun(self, is: &StepDefinition) -> Result<(), String> {
        let has_begun = |before: &&StepIndex| self.state.steps.get(before.at()).is_some_and(is_known);
        match is.after.iter().find(|before| !has_begun(before)) {
            None => Ok(()),
            Some(before) => {
                let other = &self.mended.definition.step(*before).name;
                Err(format!("step `{}` has begun, and there it follows `{other}`, which has not", is.name))
            }
        }
    }

    /// What followed from its bad end would follow there: no more and no less.
    fn keeps_its_end(
        self,
        index: StepIndex,
        was: &StepDefinition,
        is: &StepDefinition,
        step: &StepState,
    ) -> Result<(), String> {
        let consequence = |plan: &SagaPlan| self.state.consequence(plan, index);
        let is_kept = match step.ended_badly() {
            None => step.lets_pass(was) == step.lets_pass(is),
            Some(_) if was.optional || is.optional => was.optional == is.optional,
            Some(_) => consequence(self.plan) == consequence(self.mended),
        };
        if is_kept {
            return Ok(());
        }
        let name = &was.name;
        let instead = "a retry with the definition tries it again";
        Err(format!("step `{name}` ended without success, and there something else follows from that; {instead}"))
    }

    /// Steps that have begun have the order there that they had: undos depend on it.
    fn keeps_its_order(
        self,
        index: StepIndex,
        was: &StepDefinition,
        is: &StepDefinition,
        step: &StepState,
    ) -> Result<(), String> {
        let name = |step: StepIndex| &self.plan.definition.step(step).name;
        if let Some(before) = was.after.iter().find(|before| !self.comes_after(index, **before)) {
            let before = name(*before);
            return Err(format!("step `{}` followed `{before}`, and there it does not", was.name));
        }
        let is_passed = |before: &&StepIndex| {
            self.state.step(**before).lets_pass(self.mended.definition.step(**before)) || was.after.contains(before)
        };
        let has_begun = step.forward.phase != CommandPhase::Idle;
        match is.after.iter().filter(|_| has_begun).find(|before| !is_passed(before)) {
            None => Ok(()),
            Some(before) => {
                let before = name(*before);
                Err(format!("step `{}` has begun, and there it follows `{before}`, which is not done", was.name))
            }
        }
    }

    /// Whether `step` follows `before` in the other text, directly or not.
    fn comes_after(self, step: StepIndex, before: StepIndex) -> bool {
        let (mut seen, mut open) = (BTreeSet::new(), vec![step]);
        while let Some(step) = open.pop() {
            let after = &self.mended.definition.step(step).after;
            open.extend(after.iter().filter(|it| seen.insert(**it)));
        }
        seen.contains(&before)
    }

    /// No time is over there that runs here. Outages count as time, because no journal has them.
    fn has_time_left(self, now: Timestamp) -> Result<(), String> {
        let is_over = |ends: Option<Timestamp>| ends.is_some_and(|ends| ends <= now);
        let of_saga = |plan: &SagaPlan| {
            let matters = !self.state.overdue && !matches!(self.state.course, SagaPhase::Compensating { .. });
            is_over(self.state.deadline(plan, &OutageLog::NONE, now).filter(|_| matters))
        };
        if of_saga(self.mended) && !of_saga(self.plan) {
            return Err("the saga's `timeout` there is over already".to_owned());
        }
        let of_step = |plan: &SagaPlan, command| is_over(self.state.step_ends(plan, command, &OutageLog::NONE));
        let forward = |(step, _)| CommandRef { step, direction: CommandDirection::Do };
        match self.known().map(forward).find(|it| of_step(self.mended, *it) && !of_step(self.plan, *it)) {
            None => Ok(()),
            Some(late) => {
                let name = &self.plan.definition.step(late.step).name;
                Err(format!("the `timeout` of step `{name}` there is over already"))
            }
        }
    }
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

/// A saga whose outcome event is to be published ends as that says, whatever a definition says.
fn is_under_way(state: &SagaState) -> Result<(), String> {
    match &state.course {
        SagaPhase::Forward | SagaPhase::Compensating { .. } | SagaPhase::Parked { .. } => Ok(()),
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
    let (Some(before), Some(now)) = (undo_of(was), undo_of(is)) else { return true };
    let did = step.forward.request.as_deref().and_then(CommandRequest::participant);
    let is_who_did = matches!(now.target.whom(), ParticipantSelector::Participant(name) if Some(name.as_str()) == did);
    before.target.whom() == now.target.whom() || is_who_did
}

/// The answer to what is out means the same there: it is asked of the same participant, for the same.
fn keeps_what_is_out(was: &StepDefinition, is: &StepDefinition, step: &StepState) -> Result<(), String> {
    let undo = match (undo_of(was), undo_of(is)) {
        (Some(before), Some(now)) => asks_the_same(&before.target, &now.target),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    let both = [(&step.forward, "", does_the_same(&was.action, &is.action)), (&step.undo, "the undo of ", undo)];
    match both.into_iter().find(|(command, _, is_kept)| command.is_open() && !is_kept) {
        None => Ok(()),
        Some((_, of, _)) => Err(format!("{of}step `{}` is under way, and there it asks for something else", was.name)),
    }
}

fn does_the_same(was: &StepAction, is: &StepAction) -> bool {
    match (was, is) {
        (StepAction::Call(was), StepAction::Call(is)) => asks_the_same(&was.target, &is.target),
        (StepAction::Wait(_), StepAction::Wait(_)) => true,
        (
            StepAction::Publish { topic: was, event_type: was_type, .. },
            StepAction::Publish { topic: is, event_type: is_type, .. },
        ) => was == is && was_type == is_type,
        (StepAction::Call(_) | StepAction::Wait(_) | StepAction::Publish { .. }, _) => false,
    }
}

fn asks_the_same(was: &CallTarget, is: &CallTarget) -> bool {
    match (was, is) {
        (
            CallTarget::Kafka { whom: was, command: was_command },
            CallTarget::Kafka { whom: is, command: is_command },
        ) => was == is && was_command == is_command,
        (
            CallTarget::Http { whom: was, method: was_method, path: was_path },
            CallTarget::Http { whom: is, method: is_method, path: is_path },
        ) => was == is && was_method == is_method && was_path.is_written_like(is_path),
        (CallTarget::Kafka { .. }, CallTarget::Http { .. }) | (CallTarget::Http { .. }, CallTarget::Kafka { .. }) => {
            false
        }
    }
}

fn undo_of(step: &StepDefinition) -> Option<&CallDefinition> {
    match &step.effects {
        StepCompensation::Undo(undo) => Some(&undo.call),
        StepCompensation::ReadOnly | StepCompensation::Irreversible => None,
    }
}
