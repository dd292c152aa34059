//! Operators' acts: inputs like any other, with somebody who waits for what becomes of them.

use super::{
    Parts,
    message::{Body, Disposition, Message, Receipt},
    router::Source,
};
use saga_core::{
    answerable::ALWAYS,
    command::Guard,
    decide::{self, Admission, Asking, Context, Outcome},
    event::{Event, OperatorAction},
    id::SagaId,
    input::Input,
    state::Status,
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// How long whoever asks waits for the disposition.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Acts of this engine that may be on their way to shards that do not take them, nor the inbox: more than a person asks for, and few enough to
/// be kept in memory.
pub const MOST_ACTS: usize = 1024;
/// Between two looks at the journal when another engine owns the shard.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One act of one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorAct {
    /// Identity of the act; the same id is applied once.
    pub id: String,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
    /// What.
    pub action: OperatorAction,
}

/// What became of an act within [`PATIENCE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operated {
    /// It is in the journal.
    Applied,
    /// The saga's state does not allow it.
    Refused {
        /// Why, and what is allowed.
        reason: String,
    },
    /// It is on its way to the shard's owner.
    Accepted,
    /// No such saga.
    UnknownSaga,
    /// Nothing came of it: [`MOST_ACTS`] are on their way.
    TooMany,
}

/// Brings `act` to the saga's owner and waits for what becomes of it. An act that was accepted is not lost: it is in the owner's queue or
/// in the inbox. A crash of the owner before the commit loses an act in its queue, and whoever asked is told `Accepted` at most.
pub async fn operate(parts: &Arc<Parts>, saga: SagaId, act: OperatorAct) -> Operated {
    let Ok(place) = Arc::clone(&parts.acting).try_acquire_owned() else { return Operated::TooMany };
    let (reply, answer) = oneshot::channel();
    let input = Input::Operator { id: act.id, who: act.who, reason: act.reason, action: act.action };
    let body = Body::Input { saga, input: input.clone() };
    let message = Message { body, record: None, receipt: Receipt::Reply(reply) };
    let until = Instant::now() + PATIENCE;
    // A task of its own: an act that nobody waits for any more is brought to its saga all the same.
    let router = parts.router.clone();
    parts.calls.spawn(async move {
        router.route(saga.shard(), message, Source::Outside).await;
        drop(place);
    });
    match tokio::time::timeout_at(until, answer).await {
        Ok(Ok(disposition)) => settled(parts, saga, &input, disposition, until).await,
        Ok(Err(_)) | Err(_) => Operated::Accepted,
    }
}

async fn settled(
    parts: &Arc<Parts>,
    saga: SagaId,
    input: &Input,
    disposition: Disposition,
    until: Instant,
) -> Operated {
    match disposition {
        Disposition::Applied | Disposition::Started(_) => Operated::Applied,
        Disposition::Duplicate { .. } | Disposition::Ignored(_) => Operated::Applied,
        Disposition::Refused(reason) => Operated::Refused { reason },
        Disposition::UnknownSaga => Operated::UnknownSaga,
        Disposition::Forwarded => recorded_elsewhere(parts, saga, input, until).await,
    }
}

/// Another engine owns the shard: its journal is the only place that tells.
async fn recorded_elsewhere(parts: &Arc<Parts>, saga: SagaId, input: &Input, until: Instant) -> Operated {
    let Input::Operator { id, .. } = input else { return Operated::Accepted };
    while Instant::now() < until {
        if is_recorded(parts, saga, id).await {
            return Operated::Applied;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    match would_be_refused(parts, saga, input).await {
        Some(reason) => Operated::Refused { reason },
        None => Operated::Accepted,
    }
}

/// What the owner's answer would be to an act that it has not recorded: it decides by the same state and the same rules. Nothing is changed.
async fn would_be_refused(parts: &Arc<Parts>, saga: SagaId, input: &Input) -> Option<String> {
    let mut recorded = crate::journal::read(parts.store.as_ref(), &parts.plans, saga).await.ok()??;
    let mut never = |_: Asking<'_>| Admission::Refused { guard: Guard::Breaker, not_before: Timestamp::MAX };
    let now = parts.clock.now();
    let mut context = Context {
        now,
        answerable: &ALWAYS,
        random: 0,
        admission: &mut never,
        choose: &mut |_| None,
        recall: &mut |_| None,
    };
    match decide::decide(&recorded.plan, &mut recorded.state, input, &mut context) {
        Ok(Outcome::Refused(refused)) => Some(refused.to_string()),
        Ok(Outcome::Decided(_) | Outcome::Noted | Outcome::Ignored(_)) | Err(_) => None,
    }
}

async fn is_recorded(parts: &Arc<Parts>, saga: SagaId, id: &str) -> bool {
    let recorded = match crate::journal::read(parts.store.as_ref(), &parts.plans, saga).await {
        Ok(Some(recorded)) => recorded,
        Ok(None) => return false,
        Err(error) => return !error.is_transient() && is_abandoned(parts, saga).await,
    };
    let mut events = recorded.decisions.iter().flat_map(|decision| &decision.events);
    events.any(|event| matches!(event, Event::OperatorActed { id: acted, .. } if acted == id))
}

/// Of a saga that cannot be read only the read model tells: all that can be recorded of it is its end.
async fn is_abandoned(parts: &Arc<Parts>, saga: SagaId) -> bool {
    let summary = parts.store.summary(saga.uuid()).await;
    summary.is_ok_and(|summary| summary.is_some_and(|it| it.status == Status::Abandoned.as_str()))
}
