//! Traces of sagas: what is told of each commit, of which sagas, and under which ids.
//!
//! A saga that the sampling takes is told of live: each span when it ends. Of the others nothing is told, unless they
//! fail or are slow: then their spans up to that row come from the journal ([`tail`]), and the later ones live. Whether
//! a saga is told of is a function of its state, so that another owner goes on in the same way.

mod sampling;
mod tail;

pub use sampling::TraceSampling;
pub(crate) use tail::TailReader;

use saga_core::{
    event::SagaDecision,
    spans::{self, SagaSpan, SpanMarks, SpanScene},
    state::{SagaPhase, SagaPlan, SagaState},
    time::Timestamp,
    trace::{SpanKey, TraceId},
};
use saga_resilience::registry::GuardRegistry;
use std::sync::Arc;
use tail::{TailQueue, TailRequest};

/// Takes the spans of sagas. Called by the shards' tasks, so it must return at once.
pub trait SpanSink: std::fmt::Debug + Send + Sync {
    /// These spans of a saga have ended. The same span may come twice: after a crash, or when another engine tells of
    /// the saga.
    fn take(&self, trace: TraceId, spans: Vec<SagaSpan>);
}

/// Where spans go, and of which sagas they are told.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// Takes them.
    pub sink: Arc<dyn SpanSink>,
    /// Of which sagas.
    pub sampling: TraceSampling,
}

/// Tells of commits. A cheap handle; without settings it does nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct SagaTraces(Option<Arc<TraceTeller>>);

#[derive(Debug)]
struct TraceTeller {
    settings: TraceSettings,
    guards: Arc<GuardRegistry>,
    tail: TailQueue,
}

/// What has to be known of a saga from before a decision, to tell of the decision once it is committed.
#[derive(Debug, Default)]
pub(crate) enum TraceMark {
    /// Nothing is told of any saga.
    #[default]
    Off,
    /// Nothing is told of this saga yet.
    Untold,
    /// It is told of.
    Told(SpanMarks),
}

impl SagaTraces {
    /// With the reader of journals that has to run beside it.
    pub(crate) fn new(
        settings: Option<TraceSettings>,
        guards: &Arc<GuardRegistry>,
    ) -> (SagaTraces, Option<TailReader>) {
        let Some(settings) = settings else { return (SagaTraces::default(), None) };
        let (tail, reader) = tail::queue(Arc::clone(&settings.sink), Arc::clone(guards));
        (SagaTraces(Some(Arc::new(TraceTeller { settings, guards: Arc::clone(guards), tail }))), Some(reader))
    }

    /// Before a decision on a saga that is there.
    pub(crate) fn mark(&self, state: &SagaState) -> TraceMark {
        let Some(teller) = &self.0 else { return TraceMark::Off };
        if teller.settings.sampling.takes(state.trace()) || spans::is_kept(state) {
            TraceMark::Told(SpanMarks::of(state))
        } else {
            TraceMark::Untold
        }
    }

    /// Before the first decision, which led to `state`.
    pub(crate) fn mark_start(&self, state: &SagaState) -> TraceMark {
        match &self.0 {
            None => TraceMark::Off,
            Some(teller) if teller.settings.sampling.takes(state.trace()) => TraceMark::Told(SpanMarks::default()),
            Some(_) => TraceMark::Untold,
        }
    }

    /// `decision` is in the store.
    pub(crate) fn committed(
        &self,
        mark: &TraceMark,
        (plan, state): (&SagaPlan, &SagaState),
        decision: &SagaDecision,
        now: Timestamp,
    ) {
        let Some(teller) = &self.0 else { return };
        match mark {
            TraceMark::Off => {}
            TraceMark::Untold if teller.is_wanted(state) => {
                teller.tail.ask(TailRequest { saga: state.id, version: decision.version });
            }
            TraceMark::Untold => {}
            TraceMark::Told(before) => {
                let scene = SpanScene { plan, destination_of: &|participant| teller.guards.destination(participant) };
                let mut ended = spans::ended(scene, before, state, decision);
                ended.push(spans::commit(state, decision, now));
                teller.settings.sink.take(state.trace().trace, ended);
            }
        }
    }

    /// The `traceparent` of what is sent in the span `within` of the saga. Without traces it is that of the trigger: a
    /// span that nobody is told of must not be named as a parent.
    pub(crate) fn traceparent(&self, state: &SagaState, within: &SpanKey<'_>) -> String {
        let Some(teller) = &self.0 else { return state.traceparent.clone() };
        let context = state.trace();
        let is_sampled = teller.settings.sampling.takes(context) || spans::is_kept(state);
        context.child(within.id(state.id), is_sampled)
    }
}

impl TraceTeller {
    /// Whether a saga of which nothing was told is to be told of now.
    fn is_wanted(&self, state: &SagaState) -> bool {
        spans::is_kept(state) || (is_ended(state) && self.settings.sampling.is_slow(lasted_ms(state)))
    }
}

fn is_ended(state: &SagaState) -> bool {
    matches!(state.course, SagaPhase::Ended(_))
}

fn lasted_ms(state: &SagaState) -> i64 {
    state.last_at.0.saturating_sub(state.started_at.0)
}

#[cfg(test)]
mod tests;
