//! Effects, after the commit of their cause.

use super::{
    ShardLoop,
    live_saga::{LiveSaga, SentEffect},
    wait_registry::{GuardWait, WaitKind, WaitOrigin, WaitStatus},
};
use crate::{
    dispatch::{OutboundCall, OutboundEvent},
    effect_origin::EffectOrigin,
    send_time::{self, SendTimeGuard},
};
use saga_base::panics::caught;
use saga_core::{
    command::{CommandAnswer, CommandFailure, CommandRef, CommandRequest, GuardKind, GuardOwner, RetryAdvice},
    id::SagaId,
    input::{PublicationRef, SagaInput},
    react::{CallEffect, PublishEffect, SagaEffect, WaitEffect},
    state::{CommandPhase, SendTime},
    time::Timestamp,
};
use saga_resilience::{
    gate::{self, AttemptKind, CallArrival, PermitRequest},
    permit::CallPermit,
    registry::GuardAdmission,
    transport::DispatchKind,
};
use std::time::Duration;

/// The retry delay of a call that is under way already and that a guard refused; up to as much again is added at
/// random.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl ShardLoop {
    /// Sends everything that is outstanding and that this owner has not sent. What was outstanding when the saga was
    /// read may have been sent by an earlier owner: it is sent again. While an append is under way nothing is sent: the
    /// append's acknowledgement is followed by this.
    pub(super) fn dispatch_outstanding(&mut self, saga: SagaId, live: &mut LiveSaga) {
        let Some(committed) = live.state.committed() else { return };
        let effects = match caught(|| committed.outstanding(&live.plan)) {
            Ok(effects) => effects,
            Err(panic) => {
                live.panic_message = Some(panic);
                return;
            }
        };
        let now = self.context.clock.now();
        live.retain_outstanding(&effects);
        self.table.waits.keep_outcome(saga, &effects);
        let mut waits = Vec::new();
        for effect in effects {
            let Some(sent) = SentEffect::of(&effect) else {
                waits.extend(GuardWait::on_record(effect));
                continue;
            };
            if !live.sent.contains(&sent) && !live.is_over(&sent, now) {
                live.sent.push(sent.clone());
                if let Some(wait) = self.dispatch_effect(saga, live, effect, &sent) {
                    live.sent.retain(|other| *other != sent);
                    waits.push(wait);
                }
            }
        }
        self.sync_wait_queues(saga, &waits);
    }

    /// The timeout of an attempt runs from when it is sent: a call immediately, a record when the broker has it. An
    /// attempt that an earlier process surely sent keeps its time.
    fn start_send_timer(
        &self,
        live: &mut LiveSaga,
        effect: &SagaEffect,
        sent: &SentEffect,
        dispatch: DispatchKind,
    ) -> Option<SendTimeGuard> {
        let (command, attempt) = sent.attempt()?;
        let CommandPhase::Attempting(attempting) = &live.state.command(command).phase else { return None };
        if dispatch == DispatchKind::Repeated && attempting.departure == SendTime::AsDecided {
            return None;
        }
        if matches!(effect, SagaEffect::Call(call) if matches!(*call.request, CommandRequest::Http { .. })) {
            live.state.note_send_time(command, attempt, SendTime::At(self.context.clock.now()));
            return None;
        }
        let (leaving, send_time) = send_time::send_time_pair(self.context.clock);
        live.send_times.push((sent.clone(), send_time));
        Some(leaving)
    }

    /// Sends the effect. `None` unless it has to wait in a guard's wait queue first.
    fn dispatch_effect(
        &mut self,
        saga: SagaId,
        live: &mut LiveSaga,
        effect: SagaEffect,
        sent: &SentEffect,
    ) -> Option<GuardWait> {
        let dispatch = live.dispatch_of(sent);
        match effect {
            SagaEffect::Wait(_) => {}
            SagaEffect::Publish(ref publish) => {
                let leaving = self.start_send_timer(live, &effect, sent, dispatch);
                self.dispatch_publication(live, publish, leaving);
            }
            SagaEffect::Call(ref call) => {
                let (command, attempt) = (call.command, call.attempt);
                if !live.permits.has(command, attempt) {
                    match self.late_permit(saga, live, call, dispatch) {
                        LateAdmission::Admitted(permit) => live.permits.hold(command, attempt, permit),
                        LateAdmission::Rejected => return None,
                        LateAdmission::Queued(wait) => return Some(*wait),
                    }
                }
                let leaving = self.start_send_timer(live, &effect, sent, dispatch);
                let SagaEffect::Call(call) = effect else { return None };
                let leave = live.permits.send(command, attempt, &call.request)?;
                let state = live.state.committed()?;
                let origin = EffectOrigin::of_call(&self.context.outputs.traces, (&live.plan, &state), &call);
                let call = OutboundCall::new(origin, call, leave, dispatch, leaving);
                self.context.outputs.effects.call(call);
            }
        }
        None
    }

    /// An earlier process may have sent a step's publication already, so the shard publishes it again, whichever
    /// commands wait.
    fn dispatch_publication(&mut self, live: &mut LiveSaga, effect: &PublishEffect, leaving: Option<SendTimeGuard>) {
        let permit = match effect.publication {
            PublicationRef::Step(command) => live.permits.publish(command, effect.attempt),
            PublicationRef::Outcome => match self.acquire_outcome_permit(live, effect) {
                Some(permit) => Some(permit),
                None => return live.mark_outcome_unsent(),
            },
        };
        let Some(state) = live.state.committed() else { return };
        let origin = EffectOrigin::of_event(&self.context.outputs.traces, (&live.plan, &state), effect);
        let event = OutboundEvent::new(origin, effect.clone(), permit, leaving);
        self.context.outputs.effects.publish(event);
    }

    /// Makes the answer an input of the next turn: no decision is made while effects are sent.
    fn queue_answer(&mut self, saga: SagaId, command: CommandRef, attempt: u32, answer: CommandAnswer) {
        self.table.deferred_inputs.push((saga, SagaInput::Answered { command, attempt: Some(attempt), answer }));
    }

    /// For a call that an earlier process recorded, or that asks how far it is: no decision of this process asked the
    /// guard for it.
    fn late_permit(
        &mut self,
        saga: SagaId,
        live: &LiveSaga,
        effect: &CallEffect,
        dispatch: DispatchKind,
    ) -> LateAdmission {
        let Some(participant) = effect.request.participant() else { return LateAdmission::Rejected };
        let origin = match self.table.waits.sending(saga, effect.command) {
            Some(WaitStatus::Queued(guard)) => {
                return waits(live, effect, participant, guard, WaitOrigin::Recorded, live.state.last_at);
            }
            Some(WaitStatus::Notified) => WaitOrigin::RefusedNow,
            None => WaitOrigin::Recorded,
        };
        self.table.waits.mark_retrying(saga, effect.command);
        let lane = gate::lane(effect.command.direction);
        let asking = PermitRequest { lane, attempt: AttemptKind::Repeat, arrival: CallArrival::Notified };
        let answer = match (self.context.sources.guards().admit(participant, asking), dispatch) {
            (GuardAdmission::Admitted(permit), _) => return LateAdmission::Admitted(permit),
            (GuardAdmission::NotConfigured, _) if self.context.sources.is_elsewhere(participant) => {
                let ask_after = Some(ASK_AGAIN.mul_f64(1.0 + fastrand::f64()));
                CommandAnswer::Ongoing { ask_after, location: effect.location.clone() }
            }
            (GuardAdmission::NotConfigured, _) => {
                let failure = CommandFailure::new("participant_gone", "the participant is not configured any more");
                // A person can bring it back: nothing is undone for it.
                CommandAnswer::Unknown { failure, retry: RetryAdvice::ThenPark, retry_after: None }
            }
            // This process has sent nothing of it, so the saga need not be in memory: all that an earlier owner sent
            // may wait here.
            (GuardAdmission::Refused { guard, not_before }, DispatchKind::Repeated) => {
                let not_before = self.context.clock.now().plus(not_before);
                return waits(live, effect, participant, guard, origin, not_before);
            }
            // The call asks how far an earlier one is. Holding it back is not recorded.
            (GuardAdmission::Refused { guard, not_before }, DispatchKind::First) => {
                CommandAnswer::NotSent { guard, retry_after: not_before.max(ASK_AGAIN.mul_f64(1.0 + fastrand::f64())) }
            }
        };
        self.queue_answer(saga, effect.command, effect.attempt, answer);
        LateAdmission::Rejected
    }
}

/// A guard's answer to a call that no decision of this process asked it for.
enum LateAdmission {
    Admitted(CallPermit),
    /// The call is not sent now, and that becomes an input.
    Rejected,
    /// The call is sent when the guard notifies it. Boxed, because it is rare.
    Queued(Box<GuardWait>),
}

fn waits(
    live: &LiveSaga,
    call: &CallEffect,
    participant: &str,
    guard: GuardKind,
    origin: WaitOrigin,
    not_before: Timestamp,
) -> LateAdmission {
    let effect = WaitEffect {
        command: call.command,
        whose: GuardOwner::Participant(participant.to_owned()),
        anyone: None,
        guard,
        not_before,
        // The call counts as one that was never tried: no record says that it failed.
        since: live.state.started_at,
        has_probed: live.state.command(call.command).has_probed(),
    };
    LateAdmission::Queued(Box::new(GuardWait { effect, what: WaitKind::Sending, origin }))
}
