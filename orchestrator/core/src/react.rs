//! state → outstanding effects. The journal is the outbox: after a crash the new owner folds it, calls this, and sends
//! what is returned, under the same ids and with the same bytes.

use crate::{
    command::{CommandDirection, CommandRef, CommandRequest, GuardKind, GuardOwner},
    definition::{ParticipantSelector, StepAction, TransportKind},
    id::{CommandId, SagaId},
    input::PublicationRef,
    state::{CommandPhase, CommandState, EventPosition, InFlightAttempt, OutcomeForm, SagaPhase, SagaPlan, SagaState},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// An effect that a saga's state asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum SagaEffect {
    /// Send a command to a participant, or ask how far it is.
    Call(CallEffect),
    /// Publish the record of a `publish:` step, or the outcome event.
    Publish(PublishEffect),
    /// Wait in a guard's wait queue.
    Wait(WaitEffect),
}

/// A command that a guard holds back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitEffect {
    /// The command that waits.
    pub command: CommandRef,
    /// The participant or the topic that the guard belongs to.
    pub whose: GuardOwner<String>,
    /// The capability that the command names: any participant with it may perform the command. `None`: the command
    /// waits for one participant only, or for a topic.
    pub anyone: Option<CapabilityTarget>,
    /// The kind of guard that refused it last.
    pub guard: GuardKind,
    /// When to ask again at the earliest.
    pub not_before: Timestamp,
    /// The oldest goes first. A command that was never tried has the age of its saga, so that sagas that have begun end
    /// before others go on. One that was tried waits since its guard refused it first, so that an attempt that failed
    /// puts it behind the others.
    pub since: Timestamp,
    /// Its last attempt was to find out whether the participant is back, and failed: it goes behind all that have not
    /// tried.
    pub has_probed: bool,
}

/// An attempt that is unanswered.
#[derive(Clone, Debug, PartialEq)]
pub struct CallEffect {
    /// The command that is sent, or asked after.
    pub command: CommandRef,
    /// The saga that waits for the answer.
    pub saga: SagaId,
    /// The command's identity, the same for every attempt. It names the saga that performed the step, which is another
    /// one if the step's outcome was taken over.
    pub id: CommandId,
    /// The attempt of the command; 1 is the first.
    pub attempt: u32,
    /// The recorded request: every attempt sends the same bytes.
    pub request: Arc<CommandRequest>,
    /// Timeout of one attempt, from the moment that the guard lets it be sent to the answer.
    pub attempt_timeout: Duration,
    /// How often this owner asked how far it is: each asking is an effect of its own.
    pub asked: u32,
    /// Where to ask; `None`: send the request.
    pub location: Option<String>,
    /// The event that began the attempt: every sending of it names the same.
    pub cause: EventPosition,
    /// When the attempt began: every sending of it says the same time.
    pub at: Timestamp,
}

/// Any participant that has a capability and is reached over one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityTarget {
    /// Name of the capability.
    pub capability: String,
    /// The transport over which the participant is reached.
    pub over: TransportKind,
}

/// A publication that the broker has not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishEffect {
    /// The publication: that of a step, or the outcome event.
    pub publication: PublicationRef,
    /// `ce_id`: the same for every try.
    pub event_id: String,
    /// Which attempt of a `publish` step; of the outcome event 0, and 1 of its smaller form.
    pub attempt: u32,
    /// The recorded event: every try sends the same bytes.
    pub request: Arc<CommandRequest>,
    /// The event that caused it.
    pub cause: EventPosition,
    /// When its cause was recorded: every try says the same time.
    pub at: Timestamp,
}

/// Everything that is outstanding. The caller leaves out the effects that this process has performed already.
#[must_use]
pub fn react(plan: &SagaPlan, state: &SagaState) -> Vec<SagaEffect> {
    match &state.course {
        SagaPhase::Forward | SagaPhase::Compensating { .. } => {
            attempts(plan, state).chain(waits(plan, state)).collect()
        }
        // Nothing that waits goes on in a parked saga.
        SagaPhase::Parked { .. } => attempts(plan, state).collect(),
        SagaPhase::OutcomeDue { request, form, cause, at, .. } => vec![SagaEffect::Publish(PublishEffect {
            publication: PublicationRef::Outcome,
            event_id: format!("{}:outcome", state.id),
            attempt: match form {
                OutcomeForm::Whole => 0,
                OutcomeForm::WithoutOutput => 1,
            },
            request: Arc::new(request.clone()),
            cause: *cause,
            at: *at,
        })],
        SagaPhase::Ended(_) => Vec::new(),
    }
}

fn attempts<'a>(plan: &'a SagaPlan, state: &'a SagaState) -> impl Iterator<Item = SagaEffect> + 'a {
    state.commands().filter_map(move |(command, it)| match &it.phase {
        CommandPhase::Attempting(attempting) => effect(plan, state, command, attempting),
        CommandPhase::Idle
        | CommandPhase::Held { .. }
        | CommandPhase::Resting { .. }
        | CommandPhase::Sleeping { .. }
        | CommandPhase::Settled(_) => None,
    })
}

fn waits<'a>(plan: &'a SagaPlan, state: &'a SagaState) -> impl Iterator<Item = SagaEffect> + 'a {
    state.commands().filter_map(move |(command, it)| match &it.phase {
        CommandPhase::Held { guard, not_before, .. } => Some(SagaEffect::Wait(WaitEffect {
            command,
            whose: state.held_in_line_of(plan, command)?.map(str::to_owned),
            anyone: anyone(plan, command).filter(|_| it.request.is_none()),
            guard: *guard,
            not_before: *not_before,
            since: waits_since(state, it),
            has_probed: it.has_probed(),
        })),
        CommandPhase::Idle
        | CommandPhase::Attempting(_)
        | CommandPhase::Resting { .. }
        | CommandPhase::Sleeping { .. }
        | CommandPhase::Settled(_) => None,
    })
}

fn waits_since(state: &SagaState, command: &CommandState) -> Timestamp {
    match command.attempt {
        0 => state.started_at,
        _ => command.refused_since.unwrap_or(state.last_at),
    }
}

fn anyone(plan: &SagaPlan, command: CommandRef) -> Option<CapabilityTarget> {
    let (CommandDirection::Do, StepAction::Call(call)) =
        (command.direction, &plan.definition.step(command.step).action)
    else {
        return None;
    };
    match call.target.whom() {
        ParticipantSelector::Participant(_) => None,
        ParticipantSelector::Capability(capability) => {
            Some(CapabilityTarget { capability: capability.clone(), over: call.target.over() })
        }
    }
}

fn effect(plan: &SagaPlan, state: &SagaState, command: CommandRef, attempting: &InFlightAttempt) -> Option<SagaEffect> {
    let it = state.command(command);
    let (attempt, request) = (it.attempt, it.request.clone()?);
    let id = state.command_id(plan, command);
    if let CommandRequest::Publish { .. } = *request {
        let publication = PublicationRef::Step(command);
        let event_id = id.to_string();
        return Some(SagaEffect::Publish(PublishEffect {
            publication,
            event_id,
            attempt,
            request,
            cause: attempting.cause,
            at: attempting.at,
        }));
    }
    Some(SagaEffect::Call(CallEffect {
        command,
        saga: state.id,
        id,
        attempt,
        request,
        attempt_timeout: plan.policies.command(command).attempt_timeout,
        asked: attempting.asked(),
        location: attempting.location().map(str::to_owned),
        cause: attempting.cause,
        at: attempting.at,
    }))
}
