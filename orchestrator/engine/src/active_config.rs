//! What new sagas start by: the definitions with the policies that participants.yaml gives them. Replaced whole.

use super::catalog::DefinitionCatalog;
use arc_swap::{ArcSwap, Guard};
use saga_core::definition::ParticipantCatalog;
use std::sync::Arc;

/// The definitions and participants of one moment, which belong together.
#[derive(Debug)]
pub struct ActiveConfig {
    /// What may start, with the policies that a saga started now is pinned to.
    pub catalog: DefinitionCatalog,
    /// The participants that perform the calls.
    pub participants: Arc<ParticipantCatalog>,
}

/// The configuration that is active now.
#[derive(Debug)]
pub(crate) struct ActiveConfigCell(ArcSwap<ActiveConfig>);

impl ActiveConfigCell {
    pub(crate) fn new(live: ActiveConfig) -> ActiveConfigCell {
        ActiveConfigCell(ArcSwap::from_pointee(live))
    }

    /// Borrows the active configuration for a short look; the borrowed value does not change.
    pub(crate) fn load(&self) -> Guard<Arc<ActiveConfig>> {
        self.0.load()
    }

    /// Returns the active configuration for a longer use; a later replacement does not change the returned value.
    pub(crate) fn keep(&self) -> Arc<ActiveConfig> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, live: ActiveConfig) {
        self.0.store(Arc::new(live));
    }
}
