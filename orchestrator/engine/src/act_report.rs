//! The line of the log for an operator's act that takes effect, on a saga or on guards.

use saga_core::{
    event::{OperatorAction, SagaDecision, SagaEvent},
    id::SagaId,
};
use saga_resilience::overrides::OverrideRequest;
use tracing::info;

/// The subject of an act: a saga, or the guards of a participant.
#[derive(Clone, Copy, Debug)]
enum ActSubject<'a> {
    Saga(SagaId),
    Guards(&'a str),
}

/// Logs an act on guards that is in effect in this engine.
pub(crate) fn guards(act: &OverrideRequest) {
    report(ActSubject::Guards(&act.participant), act.action.as_str(), &act.who, &act.reason);
}

/// Logs the operator's act in a committed decision, if the decision has one.
pub(crate) fn saga(saga: SagaId, decision: &SagaDecision) {
    for (action, who, reason) in decision.events.iter().filter_map(act) {
        report(ActSubject::Saga(saga), action.as_str(), who, reason);
    }
}

fn act(event: &SagaEvent) -> Option<(OperatorAction, &str, &str)> {
    let SagaEvent::OperatorActed { action, who, reason, .. } = event else { return None };
    Some((*action, who, reason))
}

fn report(subject: ActSubject<'_>, action: &str, who: &str, reason: &str) {
    match subject {
        ActSubject::Saga(saga) => info!(%saga, action, who, reason, "an act on a saga is in effect"),
        ActSubject::Guards(participant) => info!(participant, action, who, reason, "an act on guards is in effect"),
    }
}
