//! Where an effect comes from: its saga, and its place in the saga's trace.

use super::{committed_state::CommittedState, traces::SagaTraces};
use saga_core::{
    command::CommandRef,
    id::SagaId,
    input::PublicationRef,
    react::{CallEffect, PublishEffect},
    state::SagaPlan,
    trace::{self, SpanKey},
};

/// The saga that an effect is of, as headers name it.
#[derive(Debug)]
pub(crate) struct EffectOrigin {
    pub(crate) saga: SagaId,
    /// Name of its definition.
    pub(crate) name: String,
    /// W3C `traceparent` of the effect.
    pub(crate) traceparent: String,
    /// Headers of the trigger that go with everything.
    pub(crate) passed_on: Vec<(&'static str, String)>,
}

impl EffectOrigin {
    /// A call is part of its attempt.
    pub(crate) fn of_call(
        traces: &SagaTraces,
        (plan, state): (&SagaPlan, &CommittedState<'_>),
        call: &CallEffect,
    ) -> EffectOrigin {
        let step = plan.definition.step(call.command.step).name.as_str();
        let within = SpanKey::Attempt { step, direction: call.command.direction, attempt: call.attempt };
        EffectOrigin::within(traces, (plan, state), &within)
    }

    /// An event is part of its step, or is the outcome event: every try of it has the same bytes.
    pub(crate) fn of_event(
        traces: &SagaTraces,
        (plan, state): (&SagaPlan, &CommittedState<'_>),
        event: &PublishEffect,
    ) -> EffectOrigin {
        let PublicationRef::Step(CommandRef { step, direction }) = event.publication else {
            return EffectOrigin::within(traces, (plan, state), &SpanKey::Outcome);
        };
        let granted = state.command(CommandRef { step, direction }).fresh_from;
        let step = plan.definition.step(step).name.as_str();
        EffectOrigin::within(traces, (plan, state), &SpanKey::Command { step, direction, granted })
    }

    fn within(
        traces: &SagaTraces,
        (plan, state): (&SagaPlan, &CommittedState<'_>),
        span: &SpanKey<'_>,
    ) -> EffectOrigin {
        EffectOrigin {
            saga: state.id,
            name: plan.definition.name.clone(),
            traceparent: traces.traceparent(state, span),
            passed_on: trace::passed_on(&state.trigger.headers),
        }
    }
}
