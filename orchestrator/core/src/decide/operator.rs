//! Operators' acts. Each is an input with an id, a person and a reason; the same id changes nothing twice.

use super::{ActRefusal, DecisionContext, DecisionOutcome, IgnoreReason, NoDecision, draft::DecisionDraft};
use crate::{
    command::{CommandDirection, CommandRef},
    event::{OperatorAction, ParkReason, SagaEnd, SagaEvent},
    input::{ActTarget, OperatorAct},
    state::{CommandPhase, FailureConsequence, SagaDirection, SagaPhase, SagaPlan, SagaState},
    words,
};

const BOTH_AGAIN: &str = "retry without a step tries both again";

/// An act whose id is on record is that act, or a mistake.
pub(super) fn is_new(plan: &SagaPlan, state: &SagaState, act: &OperatorAct) -> Result<(), NoDecision> {
    let Some(acted) = state.acts.find(&act.id) else { return Ok(()) };
    let named = |about: &ActTarget, it: CommandRef| {
        plan.definition.step(it.step).name == about.step && about.direction.is_none_or(|said| said == it.direction)
    };
    let same_step = act.about.as_ref().is_none_or(|about| acted.command.is_none_or(|it| named(about, it)));
    if acted.action == act.action && same_step {
        return Err(IgnoreReason::Repeated.into());
    }
    let before = words::acted(plan, acted.action, acted.command);
    Err(ActRefusal::because(format!("the id `{}` is that of a {before} on record: another act has another id", act.id))
        .into())
}

impl DecisionDraft<'_, '_> {
    pub(super) fn operator(&mut self, act: &OperatorAct) -> Result<(), NoDecision> {
        is_new(self.plan, self.state, act)?;
        match act.action {
            OperatorAction::Retry => self.retry(act, &[]),
            OperatorAction::Skip => self.skip(act),
            OperatorAction::Cancel => on_the_whole(act).and_then(|()| self.cancel(act)),
            OperatorAction::Erase => {
                Err(ActRefusal::because("only a saga that has ended is erased: cancel or abandon it first").into())
            }
            OperatorAction::Abandon => {
                on_the_whole(act)?;
                let is_on_its_way = match &self.state.course {
                    SagaPhase::OutcomeDue { waits, .. } => waits.is_none() || self.state.outcome_is_out,
                    SagaPhase::Forward
                    | SagaPhase::Compensating { .. }
                    | SagaPhase::Parked { .. }
                    | SagaPhase::Ended(_) => false,
                };
                self.acted(act, None);
                // The broker may have the outcome event already: what it says decides how the saga ends.
                if !is_on_its_way {
                    self.abandoned(&act.who, &act.reason);
                }
                Ok(())
            }
            OperatorAction::Migrate => {
                Err(ActRefusal::because("a migration names the definition to go on with").into())
            }
        }
    }

    pub(super) fn acted(&mut self, act: &OperatorAct, command: Option<CommandRef>) {
        let OperatorAct { id, who, reason, action, about: _, origin: _ } = act.clone();
        self.emit(SagaEvent::OperatorActed { id, who, reason, action, command });
    }

    pub(super) fn abandoned(&mut self, who: &str, reason: &str) {
        let left = self.left_undone();
        self.emit(SagaEvent::SagaEnded { end: SagaEnd::Abandoned { who: who.into(), reason: reason.into(), left } });
    }

    /// The command that the act names, which has to be one `of` these.
    fn named(&self, about: &ActTarget, of: &[CommandRef]) -> Result<CommandRef, NoDecision> {
        let Some(step) = self.plan.definition.find(&about.step) else {
            return Err(ActRefusal::because(format!("the saga has no step `{}`", about.step)).into());
        };
        let is_it = |it: &&CommandRef| it.step == step && about.direction.is_none_or(|said| said == it.direction);
        of.iter().find(is_it).copied().ok_or_else(|| {
            let (named, instead) = (words::about(about), self.instead(of));
            ActRefusal::because(format!("the saga does not wait for {named}: {instead}")).into()
        })
    }

    /// What the saga waits for, where it is not what an act names.
    fn instead(&self, of: &[CommandRef]) -> String {
        match (&self.state.course, of) {
            (SagaPhase::Parked { reason, .. }, []) => {
                format!("it is parked because {}", words::parked(self.plan, reason))
            }
            (_, []) => "nothing failed or waits".into(),
            (_, of) => words::commands(self.plan, self.state, of),
        }
    }

    /// What the saga could be retried for; `also` are dos that it was parked for by the definition before.
    fn to_retry(&self, also: &[CommandRef]) -> Result<Vec<CommandRef>, NoDecision> {
        match &self.state.course {
            SagaPhase::Parked { was: SagaDirection::Forward, .. } => {
                let required: Vec<CommandRef> = self.state.ended_badly(self.plan).collect();
                let optional_now = also.iter().copied().filter(|it| !required.contains(it));
                let undos = self.state.undos_given_up(self.plan);
                Ok(required.iter().copied().chain(optional_now).chain(undos).collect())
            }
            SagaPhase::Parked { was: SagaDirection::Back(_), .. } => Ok(self.state.undos_given_up(self.plan)),
            SagaPhase::Forward | SagaPhase::Compensating { .. } => self.resting_commands(),
            SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => {
                let why =
                    "no step can be retried: the engine sends the outcome event again until the broker accepts it";
                Err(ActRefusal::because(why).into())
            }
        }
    }

    /// Tries again what failed or waits; `also` as in [`DecisionDraft::to_retry`].
    pub(super) fn retry(&mut self, act: &OperatorAct, also: &[CommandRef]) -> Result<(), NoDecision> {
        let failed = self.to_retry(also)?;
        let only = act.about.as_ref().map(|about| self.named(about, &failed)).transpose()?;
        only.map_or(Ok(()), |only| self.can_be_alone(only))?;
        let sends_back = if only.is_none() { self.refused_for_good(None) } else { None };
        self.acted(act, only);
        // What was refused for good is not sent again, and dos that would be undone at once are not either.
        if let Some(refused) = sends_back {
            self.stands(refused);
        }
        for command in only.map_or(failed, |only| vec![only]) {
            // The one before may have parked the saga again, or sent it back.
            let wanted = match command.direction {
                CommandDirection::Do => matches!(self.state.course, SagaPhase::Forward),
                CommandDirection::Undo => !matches!(self.state.course, SagaPhase::Parked { .. }),
            };
            if wanted {
                self.offer_again(command);
            }
        }
        // What else ended badly is looked at when the saga is moved on.
        if let Some(other) = only.and_then(|only| self.parks_beside(only)) {
            self.stands(other);
        }
        Ok(())
    }

    /// A do that is tried again while another one sends the saga back would be undone at once. While the saga stays
    /// parked for one more step, nothing sends it back.
    fn can_be_alone(&self, only: CommandRef) -> Result<(), NoDecision> {
        let is_forward = matches!(self.state.course, SagaPhase::Parked { was: SagaDirection::Forward, .. });
        if !is_forward || self.parks_beside(only).is_some() {
            return Ok(());
        }
        let (other, instead) = match self.refused_for_good(Some(only)) {
            Some(refused) => {
                (Some(refused), "retry that step to send it again, or retry without a step to undo the saga")
            }
            None => (self.ended_badly_with(FailureConsequence::GoesBack, Some(only)).next(), BOTH_AGAIN),
        };
        let Some(other) = other else { return Ok(()) };
        let other = words::commands(self.plan, self.state, &[other]);
        Err(ActRefusal::because(format!("{other} would send the saga back at once: {instead}")).into())
    }

    /// The first step besides `only` that was refused for good and sends the saga back.
    fn refused_for_good(&self, only: Option<CommandRef>) -> Option<CommandRef> {
        let is_forward = matches!(self.state.course, SagaPhase::Parked { was: SagaDirection::Forward, .. });
        let mut back = self.ended_badly_with(FailureConsequence::GoesBack, only);
        back.find(|it| is_forward && self.state.is_refused_for_good(it.step))
    }

    /// The first step besides `only` that the saga parks for.
    fn parks_beside(&self, only: CommandRef) -> Option<CommandRef> {
        let parks = |consequence| self.ended_badly_with(consequence, Some(only));
        parks(FailureConsequence::Parks).chain(parks(FailureConsequence::ParksInDoubt)).next()
    }

    /// Dos besides `only` that ended badly and have this consequence.
    fn ended_badly_with(
        &self,
        consequence: FailureConsequence,
        only: Option<CommandRef>,
    ) -> impl Iterator<Item = CommandRef> {
        let is_one =
            move |it: &CommandRef| Some(*it) != only && self.state.consequence(self.plan, it.step) == consequence;
        self.state.ended_badly(self.plan).filter(is_one)
    }

    /// What follows from the bad end of `command`, which stays as it is.
    fn stands(&mut self, command: CommandRef) {
        if let Some(failure) = self.state.step(command.step).ended_badly().cloned() {
            self.step_ended_badly(command, failure);
        }
    }

    fn resting_commands(&self) -> Result<Vec<CommandRef>, NoDecision> {
        let rests = |phase: &CommandPhase| matches!(phase, CommandPhase::Held { .. } | CommandPhase::Resting { .. });
        let resting: Vec<CommandRef> =
            self.state.commands().filter(|(_, command)| rests(&command.phase)).map(|(command, _)| command).collect();
        if resting.is_empty() {
            return Err(ActRefusal::because("nothing to retry: no command failed or waits for its next attempt").into());
        }
        Ok(resting)
    }

    fn skip(&mut self, act: &OperatorAct) -> Result<(), NoDecision> {
        let SagaPhase::Parked { reason, .. } = self.state.course.clone() else {
            let why = match self.state.refuses_cancel(self.plan) {
                None => "only a parked saga has a step to skip; cancel undoes it, abandon ends it as it is",
                Some(_) => "only a parked saga has a step to skip; abandon ends it as it is",
            };
            return Err(ActRefusal::because(why).into());
        };
        let command = self.to_skip(act, &reason)?;
        self.acted(act, command);
        match (command, reason) {
            (Some(CommandRef { step, direction: CommandDirection::Do }), _) => self.skip_do(step),
            (Some(CommandRef { step, direction }), _) => {
                self.emit(SagaEvent::StepSkipped { step, direction, in_doubt: false });
            }
            (None, ParkReason::Output { .. }) => self.end(SagaEnd::Completed { output: serde_json::Value::Null }),
            (
                None,
                ParkReason::StepFailed { .. }
                | ParkReason::PivotUnknown { .. }
                | ParkReason::UndoFailed { .. }
                | ParkReason::Limit { .. },
            ) => {}
        }
        Ok(())
    }

    /// The command that the skip settles: the one that it names, or the only one that needs a person. `None` where it
    /// is no step that the saga is parked for.
    fn to_skip(&self, act: &OperatorAct, reason: &ParkReason) -> Result<Option<CommandRef>, NoDecision> {
        let needs = self.state.needs_person(self.plan);
        match (&act.about, needs.as_slice()) {
            (Some(about), needs) => self.named(about, needs).map(Some),
            (None, _) if matches!(reason, ParkReason::Limit { .. }) => Ok(None),
            (None, []) => Ok(None),
            (None, [only]) => Ok(Some(*only)),
            (None, several) => {
                let several = words::commands(self.plan, self.state, several);
                Err(ActRefusal::because(format!("several steps need a person: {several}. Name the one to skip")).into())
            }
        }
    }

    /// A skipped pivot would be a passed one. What became of one in doubt that cannot be undone stays on record as
    /// unknown.
    fn skip_do(&mut self, step: crate::id::StepIndex) {
        let state = self.state.step(step);
        match (self.state.consequence(self.plan, step), state.ended_badly().cloned()) {
            (FailureConsequence::ParksInDoubt, Some(failure)) => self.go_back_around(step, failure),
            (FailureConsequence::ParksInDoubt | FailureConsequence::Parks | FailureConsequence::GoesBack, _) => {
                let in_doubt = state.may_be_applied();
                self.emit(SagaEvent::StepSkipped { step, direction: CommandDirection::Do, in_doubt });
            }
        }
    }

    /// What follows from a cancel follows at once, or after the answer of a pivot that is out.
    fn cancel(&mut self, act: &OperatorAct) -> Result<(), NoDecision> {
        match self.state.refuses_cancel(self.plan) {
            Some(why) => Err(ActRefusal::because(why).into()),
            None => {
                self.acted(act, None);
                Ok(())
            }
        }
    }
}

/// Of a saga that has ended. The row of the act is the last one of its journal: from then on no input changes anything.
pub(super) fn erase(
    plan: &SagaPlan,
    state: &mut SagaState,
    act: &OperatorAct,
    context: &mut DecisionContext<'_>,
) -> DecisionOutcome {
    let allowed = is_new(plan, state, act).and_then(|()| on_the_whole(act)).and_then(|()| match &state.erased {
        Some(erased) => Err(ActRefusal::because(format!("{} has erased the saga already", erased.who)).into()),
        None => Ok(()),
    });
    if let Err(stop) = allowed {
        return stop.into();
    }
    let mut draft = DecisionDraft::new(plan, state, context);
    draft.acted(act, None);
    draft.finish().map_or(DecisionOutcome::Ignored(IgnoreReason::Terminal), DecisionOutcome::Decided)
}

fn on_the_whole(act: &OperatorAct) -> Result<(), NoDecision> {
    match &act.about {
        Some(_) => {
            Err(ActRefusal::because("cancel, abandon and erase are about the whole saga, and name no step").into())
        }
        None => Ok(()),
    }
}

impl SagaState {
    /// Why a cancel would be refused.
    pub(crate) fn refuses_cancel(&self, plan: &SagaPlan) -> Option<&'static str> {
        if self.pivot_passed(plan) {
            return Some("the pivot is passed: the saga only goes forward; abandon ends it as it is");
        }
        match &self.course {
            SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => Some("the saga is at its end"),
            SagaPhase::Parked { reason: ParkReason::PivotUnknown { .. }, .. } => Some(
                "whether the pivot happened is not known: retry asks again; skip, once you know that it did not \
                    happen, undoes the rest",
            ),
            SagaPhase::Parked { reason: ParkReason::UndoFailed { .. }, was: SagaDirection::Back(_), .. } => {
                Some("undos gave up: retry tries them again; skip, once they are done by hand, goes on")
            }
            SagaPhase::Compensating { .. } | SagaPhase::Parked { was: SagaDirection::Back(_), .. } => {
                Some("the saga is being undone already")
            }
            SagaPhase::Forward | SagaPhase::Parked { was: SagaDirection::Forward, .. } => None,
        }
    }
}
