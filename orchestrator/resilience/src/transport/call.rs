//! One attempt of one command, as it is handed to a participant.

use saga_core::{
    command::{CommandDirection, CommandRequest},
    id::{CommandId, SagaId},
    react::CallEffect,
};
use std::{sync::Arc, time::Duration};

/// One attempt of one command.
#[derive(Clone, Debug)]
pub struct ParticipantCall {
    /// The saga that waits for the answer.
    pub saga: SagaId,
    /// The command's identity for ever.
    pub id: CommandId,
    /// Name of the saga's definition.
    pub saga_name: Arc<str>,
    /// Number of the attempt: 1, 2, 3, …
    pub attempt: u32,
    /// The request that the attempt sends.
    pub request: Arc<CommandRequest>,
    /// From leaving the engine to the complete answer, the wait for a place in the bulkhead included.
    pub attempt_timeout: Duration,
    /// Where to ask how far the participant is; `None`: send the request.
    pub location: Option<String>,
    /// How often the participant was asked how far this attempt is.
    pub asked: u32,
    /// Whether this attempt may have left before.
    pub dispatch: DispatchKind,
    /// W3C trace context to go on with.
    pub traceparent: Option<Arc<str>>,
    /// Headers of the trigger that the request has, too, by their names there: see [`saga_core::trace::passed_on`].
    pub passed_on: Vec<(&'static str, String)>,
}

/// Whether an attempt may have left before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchKind {
    /// The attempt certainly was not dispatched before.
    First,
    /// It may have, in the life of an earlier owner.
    Repeated,
}

impl ParticipantCall {
    /// The call that `effect` stands for, on its first dispatch.
    #[must_use]
    pub fn new(effect: CallEffect, saga_name: &str, traceparent: Option<&str>) -> ParticipantCall {
        ParticipantCall {
            saga: effect.saga,
            id: effect.id,
            saga_name: saga_name.into(),
            attempt: effect.attempt,
            request: effect.request,
            attempt_timeout: effect.attempt_timeout,
            location: effect.location,
            asked: effect.asked,
            dispatch: DispatchKind::First,
            traceparent: traceparent.map(Arc::from),
            passed_on: Vec::new(),
        }
    }

    /// The same call with these headers of the trigger.
    #[must_use]
    pub fn passing_on(self, headers: Vec<(&'static str, String)>) -> ParticipantCall {
        ParticipantCall { passed_on: headers, ..self }
    }

    /// The same call, said to have left before, perhaps.
    #[must_use]
    pub fn repeated(self) -> ParticipantCall {
        ParticipantCall { dispatch: DispatchKind::Repeated, ..self }
    }

    /// Whether it performs or undoes.
    #[must_use]
    pub fn direction(&self) -> CommandDirection {
        self.id.direction
    }

    /// Whether nothing of this attempt has left before. Only then does "it did not leave" mean "it had no effect".
    #[must_use]
    pub(crate) fn was_never_sent(&self) -> bool {
        match self.dispatch {
            DispatchKind::First => self.asked == 0,
            DispatchKind::Repeated => false,
        }
    }
}
