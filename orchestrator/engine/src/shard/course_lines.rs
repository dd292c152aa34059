//! What a saga records, as log lines of the level `debug` under the target [`TARGET`]: for a search by key, by trace or
//! by the ids of the request that started it. The journal has the same for ever; the lines cost nothing unless somebody
//! asks for them.

use crate::journal::history::{SendStatus, describe};
use saga_core::{
    event::SagaDecision,
    evolve::step_of,
    state::{SagaPlan, SagaState},
    trace::{CORRELATION_ID, REQUEST_ID, passed_on},
};
use tracing::{Level, debug, enabled};

/// The target of the lines, as `SAGA_LOG` names it.
const TARGET: &str = "saga_engine::course";

/// Writes a line for each event of `decision`; `state` is the saga after it.
pub(super) fn tell(plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) {
    if !enabled!(target: TARGET, Level::DEBUG) {
        return;
    }
    let passed = passed_on(&state.trigger.headers);
    let given = |wanted: &str| passed.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text.as_str());
    for (index, event) in decision.events.iter().enumerate() {
        debug!(
            target: TARGET,
            saga = %state.id,
            key = state.key,
            trace_id = %state.trace().trace,
            request_id = given(REQUEST_ID),
            correlation_id = given(CORRELATION_ID),
            definition = plan.definition.name,
            step = step_of(event).map(|step| plan.definition.step(step).name.as_str()),
            event = %format_args!("{}.{index}", decision.version),
            what = describe(plan, event, SendStatus::Yes),
            "the saga recorded an event"
        );
    }
}
