//! Effects, after the commit of their cause.

use super::{
    live::{Live, Sent},
    owned::Owned,
};
use crate::{
    engine::dispatch,
    guarded::{self, Admission, Asking, Permit},
    panics::caught,
    participants::Dispatch,
};
use saga_core::{
    command::{Answer, CommandRef, Failure},
    id::SagaId,
    input::Input,
    react::{CallEffect, Effect, react},
};

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
        live.forget_all_but(&effects);
        self.wait_in_lines(saga, &effects);
        for effect in effects {
            let Some(sent) = Sent::of(&effect) else { continue };
            if !live.sent.contains(&sent) {
                let dispatch = live.dispatch_of(&sent);
                live.sent.push(sent);
                self.let_leave(saga, live, effect, dispatch);
            }
        }
    }

    pub(super) fn let_leave(&mut self, saga: SagaId, live: &mut Live, effect: Effect, dispatch: Dispatch) {
        match effect {
            Effect::Wait(_) => {}
            Effect::Publish(effect) => dispatch::publish(&self.parts, saga, &live.plan, &live.state, &effect),
            Effect::Call(effect) => {
                let command = effect.command;
                let Some(permit) = live.take_permit(command).or_else(|| self.late_permit(saga, &effect)) else {
                    return;
                };
                if let Some(permit) = dispatch::call(&self.parts, &live.plan, &live.state, effect, permit, dispatch) {
                    live.permits.push((command, permit));
                }
            }
        }
    }

    /// An attempt's time runs from its leaving. Where the store was slow or away, the decision is older than that by the time of the commit.
    pub(super) fn begin_times_anew<'s>(&mut self, saga: SagaId, sent: impl Iterator<Item = &'s Sent>) {
        for sent in sent {
            let Sent::Call { command, attempt, .. } = sent else { continue };
            self.answer_next(saga, *command, *attempt, Answer::Ongoing { ask_after: None, location: None });
        }
    }

    /// Becomes an input in the next turn: no decision is made while effects leave.
    fn answer_next(&mut self, saga: SagaId, command: CommandRef, attempt: u32, answer: Answer) {
        self.held_back.push((saga, Input::Answered { command, attempt: Some(attempt), answer }));
    }

    /// For a call that was recorded in another life, or that asks how far it is: no decision of this life asked the guard for it.
    pub(super) fn late_permit(&mut self, saga: SagaId, effect: &CallEffect) -> Option<Permit> {
        let lane = guarded::lane(effect.command.direction);
        let asking = Asking { lane, is_further: false, is_woken: true };
        let answer = match self.parts.guarded.admit(effect.request.participant()?, asking) {
            Admission::Admitted(permit) => return Some(permit),
            Admission::Gone => {
                let failure = Failure::new("participant_gone", "the participant is not configured any more");
                Answer::unknown(failure)
            }
            // Not `NotSent`: the attempt may have left in another life.
            Admission::Refused { not_before, .. } => {
                Answer::Ongoing { ask_after: Some(not_before), location: effect.location.clone() }
            }
        };
        self.answer_next(saga, effect.command, effect.attempt, answer);
        None
    }
}
