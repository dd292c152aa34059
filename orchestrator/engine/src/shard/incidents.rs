//! Reports incidents when they are recorded: in the log, and as a counter.

use saga_core::{
    event::{SagaDecision, SagaEvent},
    incident::IncidentKind,
    state::{SagaPlan, SagaState},
    words,
};
use tracing::warn;

/// Tells of the incidents that `decision` opened.
pub(super) fn tell(plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) {
    let (saga, trace_id) = (state.id, state.trace().trace);
    for event in &decision.events {
        if let SagaEvent::IncidentOpened { step, direction, failure } = event {
            let kind = IncidentKind::of(*direction, failure);
            let step = step.map(|step| plan.definition.step(step).name.as_str());
            let what = words::incident(step, *direction, failure);
            warn!(
                %saga, key = state.key, %trace_id, definition = plan.definition.name, step, kind = kind.as_str(), what,
                "incident: a person should look at the saga"
            );
            count(kind);
        }
    }
}

/// Adds one to the metric of incidents of this kind.
pub(super) fn count(kind: IncidentKind) {
    metrics::counter!("saga_incidents_total", "kind" => kind.as_str()).increment(1);
}
