//! Operators' acts: inputs like any other, with somebody who waits for what becomes of them.

use super::{
    Parts,
    message::{MessageContent, MessageOutcome, MessageReceipt, ShardMessage},
    prospect,
    router::MessageSource,
};
use crate::journal;
use saga_core::{
    command::CommandRef,
    decide::DecisionOutcome,
    event::{OperatorAction, SagaDecision, SagaEvent},
    id::SagaId,
    input::{ActTarget, OperatorAct, SagaInput},
    state::{SagaPlan, SagaStatus},
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

/// What became of an act within [`PATIENCE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorActOutcome {
    /// It is in the journal.
    Applied {
        /// The step that it is about, if it is about one.
        about: Option<ActTarget>,
    },
    /// It was in the journal already: nothing was done again.
    Repeated {
        /// When it was applied.
        at: Timestamp,
        /// The step that it was about, if it was about one.
        about: Option<ActTarget>,
    },
    /// The saga's state does not allow it.
    Refused {
        /// Why, and what is allowed.
        reason: String,
    },
    /// It is on its way to the shard's owner.
    Accepted {
        /// The step that it is about, if it is about one: a repeat names it.
        about: Option<ActTarget>,
    },
    /// No such saga.
    UnknownSaga,
    /// Nothing came of it: [`MOST_ACTS`] are on their way.
    TooMany,
}

/// Brings `act` to the saga's owner and waits for what becomes of it. An act that was accepted is not lost: it is in the owner's queue or
/// in the inbox. A crash of the owner before the commit loses an act in its queue, and whoever asked is told `Accepted` at most: a repeat under
/// the same id is applied then, and changes nothing otherwise.
pub async fn operate(
    parts: &Arc<Parts>,
    saga: SagaId,
    act: OperatorAct,
    plan: Option<Arc<SagaPlan>>,
) -> OperatorActOutcome {
    let Ok(place) = Arc::clone(&parts.acting).try_acquire_owned() else { return OperatorActOutcome::TooMany };
    let act = match looked_at(parts, saga, act).await {
        Ok(act) => act,
        Err(known) => return known,
    };
    let input = input_of(&act, plan.as_ref());
    let (reply, answer) = oneshot::channel();
    let body = MessageContent::Input { saga, input: input.clone() };
    let message = ShardMessage { body, record: None, receipt: MessageReceipt::Reply(reply) };
    let until = Instant::now() + PATIENCE;
    // A task of its own: an act that nobody waits for any more is brought to its saga all the same.
    let router = parts.router.clone();
    parts.calls.spawn(async move {
        router.route(saga.shard(), message, MessageSource::Outside).await;
        drop(place);
    });
    match tokio::time::timeout_at(until, answer).await {
        Ok(Ok(disposition)) => settled(parts, saga, (&act, &input), disposition, until).await,
        Ok(Err(_)) | Err(_) => OperatorActOutcome::Accepted { about: act.about },
    }
}

/// Looks at the journal before the act leaves. One that is in it is answered by it. A skip that names no step is for the one that needs a person
/// now, which is what whoever asks has seen: it must not settle another one that needs a person by the time it arrives.
async fn looked_at(parts: &Arc<Parts>, saga: SagaId, act: OperatorAct) -> Result<OperatorAct, OperatorActOutcome> {
    // What cannot be read is told by the owner, who can end it.
    let Ok(Some(recorded)) = journal::read(parts.store.as_ref(), &parts.plans, saga).await else { return Ok(act) };
    if let Some(acted) = recorded.state.acts.find(&act.id) {
        let (at, about) = (acted.at, acted.command.map(|command| named(&recorded.plan, command)));
        return match prospect::decided(parts, recorded, &SagaInput::Operator(act)).map(|(outcome, _)| outcome) {
            Some(DecisionOutcome::Refused(refused)) => Err(OperatorActOutcome::Refused { reason: refused.to_string() }),
            Some(DecisionOutcome::Ignored(_) | DecisionOutcome::Noted | DecisionOutcome::Decided(_)) | None => {
                Err(OperatorActOutcome::Repeated { at, about })
            }
        };
    }
    if act.action != OperatorAction::Skip || act.about.is_some() {
        return Ok(act);
    }
    let plan = Arc::clone(&recorded.plan);
    match prospect::decided(parts, recorded, &SagaInput::Operator(act.clone())).map(|(outcome, _)| outcome) {
        Some(DecisionOutcome::Refused(refused)) => Err(OperatorActOutcome::Refused { reason: refused.to_string() }),
        Some(DecisionOutcome::Decided(decision)) => {
            let about = acted_on(&decision).map(|command| named(&plan, command));
            Ok(OperatorAct { about, ..act })
        }
        Some(DecisionOutcome::Ignored(_) | DecisionOutcome::Noted) | None => Ok(act),
    }
}

pub(super) fn named(plan: &SagaPlan, command: CommandRef) -> ActTarget {
    ActTarget { step: plan.definition.step(command.step).name.clone(), direction: Some(command.direction) }
}

/// The command that an act in `decision` was about.
pub(super) fn acted_on(decision: &SagaDecision) -> Option<CommandRef> {
    decision
        .events
        .iter()
        .find_map(|event| if let SagaEvent::OperatorActed { command, .. } = event { *command } else { None })
}

async fn settled(
    parts: &Arc<Parts>,
    saga: SagaId,
    (act, input): (&OperatorAct, &SagaInput),
    disposition: MessageOutcome,
    until: Instant,
) -> OperatorActOutcome {
    match disposition {
        MessageOutcome::Applied
        | MessageOutcome::Started(_)
        | MessageOutcome::Duplicate { .. }
        | MessageOutcome::Ignored(_) => OperatorActOutcome::Applied { about: act.about.clone() },
        MessageOutcome::Refused(reason) => OperatorActOutcome::Refused { reason },
        MessageOutcome::UnknownSaga => OperatorActOutcome::UnknownSaga,
        MessageOutcome::Forwarded => recorded_elsewhere(parts, saga, (act, input), until).await,
    }
}

/// Another engine owns the shard: its journal is the only place that tells.
async fn recorded_elsewhere(
    parts: &Arc<Parts>,
    saga: SagaId,
    (act, input): (&OperatorAct, &SagaInput),
    until: Instant,
) -> OperatorActOutcome {
    let about = act.about.clone();
    while Instant::now() < until {
        if is_recorded(parts, saga, &act.id).await {
            return OperatorActOutcome::Applied { about };
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    match would_be_refused(parts, saga, input).await {
        Some(reason) => OperatorActOutcome::Refused { reason },
        None => OperatorActOutcome::Accepted { about },
    }
}

/// What the owner's answer would be to an act that it has not recorded.
async fn would_be_refused(parts: &Arc<Parts>, saga: SagaId, input: &SagaInput) -> Option<String> {
    let recorded = journal::read(parts.store.as_ref(), &parts.plans, saga).await.ok()??;
    match prospect::decided(parts, recorded, input)?.0 {
        DecisionOutcome::Refused(refused) => Some(refused.to_string()),
        DecisionOutcome::Decided(_) | DecisionOutcome::Noted | DecisionOutcome::Ignored(_) => None,
    }
}

/// A retry by `plan`, if there is one; else the act alone.
pub(super) fn input_of(act: &OperatorAct, plan: Option<&Arc<SagaPlan>>) -> SagaInput {
    match plan {
        None => SagaInput::Operator(act.clone()),
        Some(plan) => SagaInput::Mended { act: act.clone(), plan: Arc::clone(plan) },
    }
}

async fn is_recorded(parts: &Arc<Parts>, saga: SagaId, id: &str) -> bool {
    match journal::read(parts.store.as_ref(), &parts.plans, saga).await {
        Ok(recorded) => recorded.is_some_and(|recorded| recorded.state.acts.find(id).is_some()),
        Err(error) => !error.is_transient() && is_abandoned(parts, saga).await,
    }
}

/// Of a saga that cannot be read only the read model tells: all that can be recorded of it is its end.
async fn is_abandoned(parts: &Arc<Parts>, saga: SagaId) -> bool {
    let summary = parts.store.summary(saga.uuid()).await;
    summary.is_ok_and(|summary| summary.is_some_and(|it| it.status == SagaStatus::Abandoned.as_str()))
}
