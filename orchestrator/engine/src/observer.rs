//! Observers of decisions as they are committed: the terminal of `saga dev`, the benchmark.

use saga_core::{event::SagaDecision, id::SagaId, state::SagaPlan, state::SagaState};
use std::sync::Arc;

/// Watches commits. Called by the shard's task after the commit, so it must return at once.
pub trait CommitObserver: Send + Sync {
    /// `decision` of `saga` is in the store; `state` is what the saga is now.
    fn committed(&self, saga: SagaId, plan: &SagaPlan, state: &SagaState, decision: &SagaDecision);

    /// A shard's new owner has looked at everything that was open, so many sagas.
    fn taken_over(&self, _sagas: usize) {}
}

/// The handle to an observer of commits, if there is one.
#[derive(Clone, Default)]
pub struct ObserverHandle(Option<Arc<dyn CommitObserver>>);

impl ObserverHandle {
    /// Calls `watcher` for every commit.
    #[must_use]
    pub fn new(watcher: Arc<dyn CommitObserver>) -> ObserverHandle {
        ObserverHandle(Some(watcher))
    }

    pub(super) fn committed(&self, saga: SagaId, plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) {
        if let Some(watcher) = &self.0 {
            watcher.committed(saga, plan, state, decision);
        }
    }

    pub(super) fn taken_over(&self, sagas: usize) {
        if let Some(watcher) = &self.0 {
            watcher.taken_over(sagas);
        }
    }
}

impl std::fmt::Debug for ObserverHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "ObserverHandle(set)" } else { "ObserverHandle(none)" })
    }
}
