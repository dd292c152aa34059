//! Effects, after the commit of their cause.

use super::{
    live::{Live, Sent},
    owned::Owned,
    waits::{Standing, Told, Wait, What},
};
use crate::{
    departure::{self, Leaving},
    dispatch::{self, Permitted},
};
use saga_base::panics::caught;
use saga_core::{
    command::{Answer, CommandRef, Failure, Guard, Request, Retryable, Whose},
    id::SagaId,
    input::{Input, Publication},
    react::{CallEffect, Effect, PublishEffect, WaitEffect, react},
    state::{Departure, Phase},
    time::Timestamp,
};
use saga_resilience::{
    gate::{self, Asking, Attempt, Coming},
    permit::Permit,
    registry::Admission,
    transport::Dispatch,
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
        self.waits.keep_outcome(saga, &effects);
        let mut waits = Vec::new();
        for effect in effects {
            let Some(sent) = Sent::of(&effect) else {
                waits.extend(Wait::on_record(effect));
                continue;
            };
            if !live.sent.contains(&sent) && !live.is_over(&sent, now) {
                live.sent.push(sent.clone());
                if let Some(wait) = self.let_leave(saga, live, effect, &sent) {
                    live.sent.retain(|other| *other != sent);
                    waits.push(wait);
                }
            }
        }
        self.wait_in_lines(saga, &waits);
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

    /// `None` unless it has to wait in line first.
    fn let_leave(&mut self, saga: SagaId, live: &mut Live, effect: Effect, sent: &Sent) -> Option<Wait> {
        let dispatch = live.dispatch_of(sent);
        match effect {
            Effect::Wait(_) => {}
            Effect::Publish(ref publish) => {
                let leaving = self.leaves(live, &effect, sent, dispatch);
                self.let_be_published(saga, live, publish, leaving);
            }
            Effect::Call(ref call) => {
                let (command, attempt) = (call.command, call.attempt);
                let permit = match live.take_permit(command, Some(attempt)) {
                    Some(permit) => permit,
                    None => match self.late_permit(saga, live, call, dispatch) {
                        Late::Admitted(permit) => permit,
                        Late::Answered => return None,
                        Late::Waits(wait) => return Some(*wait),
                    },
                };
                let leaving = self.leaves(live, &effect, sent, dispatch);
                let Effect::Call(call) = effect else { return None };
                if let Some(permit) =
                    dispatch::call(&self.parts, &live.plan, &live.state, call, permit, dispatch, leaving)
                {
                    live.permits.push(Permitted { command, attempt, permit });
                }
            }
        }
        None
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
    fn late_permit(&mut self, saga: SagaId, live: &Live, effect: &CallEffect, dispatch: Dispatch) -> Late {
        let Some(participant) = effect.request.participant() else { return Late::Answered };
        let told = match self.waits.sending(saga, effect.command) {
            Some(Standing::InLine(guard)) => {
                return waits(live, effect, participant, guard, Told::OnRecord, live.state.last_at);
            }
            Some(Standing::Called) => Told::JustNow,
            None => Told::OnRecord,
        };
        self.waits.asks(saga, effect.command);
        let lane = gate::lane(effect.command.direction);
        let asking = Asking { lane, attempt: Attempt::Same, coming: Coming::Woken };
        let answer = match (self.parts.guarded.admit(participant, asking), dispatch) {
            (Admission::Admitted(permit), _) => return Late::Admitted(permit),
            (Admission::Gone, _) if self.parts.published.has_participant(participant) => {
                let ask_after = Some(ASK_AGAIN.mul_f64(1.0 + fastrand::f64()));
                Answer::Ongoing { ask_after, location: effect.location.clone() }
            }
            (Admission::Gone, _) => {
                let failure = Failure::new("participant_gone", "the participant is not configured any more");
                // A person can bring it back: nothing is undone for it.
                Answer::Unknown { failure, retry: Retryable::ThenPark, retry_after: None }
            }
            // Nothing of it has left in this life, so the saga need not be in memory: all that an earlier owner sent may wait here.
            (Admission::Refused { guard, not_before }, Dispatch::Repeated) => {
                let not_before = self.parts.clock.now().plus(not_before);
                return waits(live, effect, participant, guard, told, not_before);
            }
            // It is asked after. To hold that back is no row.
            (Admission::Refused { guard, not_before }, Dispatch::First) => {
                Answer::NotSent { guard, retry_after: not_before.max(ASK_AGAIN.mul_f64(1.0 + fastrand::f64())) }
            }
        };
        self.answer_next(saga, effect.command, effect.attempt, answer);
        Late::Answered
    }
}

/// What a guard says to a call that no decision of this life asked it for.
enum Late {
    Admitted(Permit),
    /// It does not leave now, and that becomes an input.
    Answered,
    /// It leaves when the guard calls it. Boxed: it is rare.
    Waits(Box<Wait>),
}

fn waits(live: &Live, call: &CallEffect, participant: &str, guard: Guard, told: Told, not_before: Timestamp) -> Late {
    let effect = WaitEffect {
        command: call.command,
        whose: Whose::Participant(participant.to_owned()),
        anyone: None,
        guard,
        not_before,
        // As one that was never tried: nobody knows that it failed.
        since: live.state.started_at,
        has_probed: live.state.command(call.command).has_probed(),
    };
    Late::Waits(Box::new(Wait { effect, what: What::Sending, told }))
}
