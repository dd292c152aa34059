//! Effects, after the commit of their cause.

use super::{
    live::{Live, Sent},
    owned::Owned,
};
use crate::{
    engine::dispatch::{self, Permitted},
    guarded::{self, Admission, Asking, Attempt, Coming, Permit},
    panics::caught,
    participants::Dispatch,
};
use saga_core::{
    command::{Answer, CommandRef, Failure, Retryable},
    id::SagaId,
    input::{Input, Publication},
    react::{CallEffect, Effect, PublishEffect, react},
    state::Departure,
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
                live.sent.push(sent);
                self.let_leave(saga, live, effect, dispatch);
            }
        }
    }

    /// Attempts whose decision is older than this by the time of its commit begin their time anew: it runs from their leaving. Of those that
    /// are asked after, or that a guard holds back, another time is known or on its way.
    pub(super) fn begin_times_anew(&mut self, saga: SagaId, live: &mut Live, had_left: &[Sent]) {
        let now = self.parts.clock.now();
        for sent in live.sent.iter().filter(|sent| !had_left.contains(sent)) {
            let Sent::Call { command, attempt, asked: 0 } = sent else { continue };
            let is_held_back = self.held_back.iter().any(|(held, input)| *held == saga && is_about(input, *command));
            if !is_held_back {
                live.state.departs(*command, *attempt, Departure::At(now));
            }
        }
    }

    fn let_leave(&mut self, saga: SagaId, live: &mut Live, effect: Effect, dispatch: Dispatch) {
        match effect {
            Effect::Wait(_) => {}
            Effect::Publish(effect) => self.let_be_published(saga, live, &effect),
            Effect::Call(effect) => {
                let (command, attempt) = (effect.command, effect.attempt);
                let taken = live.take_permit(command, Some(attempt));
                let Some(permit) = taken.or_else(|| self.late_permit(saga, &effect)) else { return };
                if let Some(permit) = dispatch::call(&self.parts, &live.plan, &live.state, effect, permit, dispatch) {
                    live.permits.push(Permitted { command, attempt, permit });
                }
            }
        }
    }

    /// A step's publication of another life may have left, so it is published again whoever waits.
    fn let_be_published(&mut self, saga: SagaId, live: &mut Live, effect: &PublishEffect) {
        let permit = match effect.publication {
            Publication::Step(command) => live.take_permit(command, Some(effect.attempt)),
            Publication::Outcome => match self.leave_for_outcome(live, effect) {
                Some(permit) => Some(permit),
                None => return live.outcome_has_not_left(),
            },
        };
        dispatch::publish(&self.parts, saga, &live.plan, &live.state, effect, permit);
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

fn is_about(input: &Input, about: CommandRef) -> bool {
    match input {
        Input::Answered { command, .. } | Input::Released { command } => *command == about,
        Input::Delivered { .. } | Input::TimeReached | Input::Operator { .. } => false,
    }
}
