//! Effects, after the commit of their cause.

use super::{
    live::{Live, Sent},
    owned::Owned,
};
use crate::{
    engine::{
        departure::{self, Leaving},
        dispatch::{self, Permitted},
    },
    guarded::{self, Admission, Asking, Attempt, Coming, Permit},
    panics::caught,
    participants::Dispatch,
};
use saga_core::{
    command::{Answer, CommandRef, Failure, Request, Retryable},
    id::SagaId,
    input::{Input, Publication},
    react::{CallEffect, Effect, PublishEffect, react},
    state::{Departure, Phase},
};
use std::time::Duration;

/// What is out already and refused by a guard is offered again after this and as much again at random.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Owned {
    /// Lets everything leave that is outstanding and has not left in this life. What was outstanding when the saga was read may have left in
    /// another one: it is repeated.
    pub(super) fn perform(&mut self, saga: SagaId, live: &mut Live) {
        let effects = match caught(|| react(&live.plan, &live.state)) {
            Ok(effects) => effects,
            Err(panic) => {
                live.broken = Some(panic);
                return;
            }
        };
        let now = self.parts.clock.now();
        live.forget_all_but(&effects);
        self.wait_in_lines(saga, &effects);
        for effect in effects {
            let Some(sent) = Sent::of(&effect) else { continue };
            if !live.sent.contains(&sent) && !live.is_over(&sent, now) {
                let dispatch = live.dispatch_of(&sent);
                let leaving = self.leaves(live, &effect, &sent, dispatch);
                live.sent.push(sent);
                self.let_leave(saga, live, effect, dispatch, leaving);
            }
        }
    }

    /// The time of an attempt runs from when it leaves: a call at once, a record when the broker has it. One that surely left in another life
    /// keeps its time.
    fn leaves(&self, live: &mut Live, effect: &Effect, sent: &Sent, dispatch: Dispatch) -> Option<Leaving> {
        let (command, attempt) = sent.attempt()?;
        let Phase::Attempting(attempting) = &live.state.command(command).phase else { return None };
        if dispatch == Dispatch::Repeated && attempting.departure == Departure::AsDecided {
            return None;
        }
        if matches!(effect, Effect::Call(call) if matches!(*call.request, Request::Http { .. })) {
            live.state.departs(command, attempt, Departure::At(self.parts.clock.now()));
            return None;
        }
        let (leaving, leaves_at) = departure::leaving(self.parts.clock);
        live.departures.push((sent.clone(), leaves_at));
        Some(leaving)
    }

    fn let_leave(
        &mut self,
        saga: SagaId,
        live: &mut Live,
        effect: Effect,
        dispatch: Dispatch,
        leaving: Option<Leaving>,
    ) {
        match effect {
            Effect::Wait(_) => {}
            Effect::Publish(effect) => self.let_be_published(saga, live, &effect, leaving),
            Effect::Call(effect) => {
                let (command, attempt) = (effect.command, effect.attempt);
                let taken = live.take_permit(command, Some(attempt));
                let Some(permit) = taken.or_else(|| self.late_permit(saga, &effect)) else { return };
                if let Some(permit) =
                    dispatch::call(&self.parts, &live.plan, &live.state, effect, permit, dispatch, leaving)
                {
                    live.permits.push(Permitted { command, attempt, permit });
                }
            }
        }
    }

    /// A step's publication of another life may have left, so it is published again whoever waits.
    fn let_be_published(&mut self, saga: SagaId, live: &mut Live, effect: &PublishEffect, leaving: Option<Leaving>) {
        let permit = match effect.publication {
            Publication::Step(command) => live.take_permit(command, Some(effect.attempt)),
            Publication::Outcome => match self.leave_for_outcome(live, effect) {
                Some(permit) => Some(permit),
                None => return live.outcome_has_not_left(),
            },
        };
        dispatch::publish(&self.parts, saga, &live.plan, &live.state, effect, permit, leaving);
    }

    /// Becomes an input in the next turn: no decision is made while effects leave.
    fn answer_next(&mut self, saga: SagaId, command: CommandRef, attempt: u32, answer: Answer) {
        self.held_back.push((saga, Input::Answered { command, attempt: Some(attempt), answer }));
    }

    /// For a call that was recorded in another life, or that asks how far it is: no decision of this life asked the guard for it.
    pub(super) fn late_permit(&mut self, saga: SagaId, effect: &CallEffect) -> Option<Permit> {
        let lane = guarded::lane(effect.command.direction);
        let asking = Asking { lane, attempt: Attempt::Same, coming: Coming::Woken };
        let answer = match self.parts.guarded.admit(effect.request.participant()?, asking) {
            Admission::Admitted(permit) => return Some(permit),
            Admission::Gone if self.parts.published.has_participant(effect.request.participant()?) => {
                let ask_after = Some(ASK_AGAIN.mul_f64(1.0 + fastrand::f64()));
                Answer::Ongoing { ask_after, location: effect.location.clone() }
            }
            Admission::Gone => {
                let failure = Failure::new("participant_gone", "the participant is not configured any more");
                // A person can bring it back: nothing is undone for it.
                Answer::Unknown { failure, retry: Retryable::ThenPark, retry_after: None }
            }
            // The attempt is under way all the same: it was asked after before, or left in another life. To hold it back is no row.
            Admission::Refused { guard, not_before } => {
                Answer::NotSent { guard, retry_after: not_before.max(ASK_AGAIN.mul_f64(1.0 + fastrand::f64())) }
            }
        };
        self.answer_next(saga, effect.command, effect.attempt, answer);
        None
    }
}
