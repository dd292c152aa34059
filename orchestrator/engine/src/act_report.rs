//! The line of the log for an operator's act that takes effect, on a saga or on guards.

use saga_core::{
    event::{OperatorAction, SagaDecision, SagaEvent},
    id::SagaId,
};
use saga_resilience::overrides::OverrideRequest;
use tracing::info;

/// What an act is on.
#[derive(Clone, Copy, Debug)]
enum ActSubject<'a> {
    Saga(SagaId),
    Guards(&'a str),
}

/// An act on guards is in effect here.
pub(crate) fn guards(act: &OverrideRequest) {
    report(ActSubject::Guards(&act.participant), act.action.as_str(), &act.who, &act.reason);
}

/// A decision is committed: says so of the act in it, if it has one.
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
