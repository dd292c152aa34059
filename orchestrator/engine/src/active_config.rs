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
    /// Who performs the calls.
    pub participants: Arc<ParticipantCatalog>,
}

/// What is live now.
#[derive(Debug)]
pub(crate) struct ActiveConfigCell(ArcSwap<ActiveConfig>);

impl ActiveConfigCell {
    pub(crate) fn new(live: ActiveConfig) -> ActiveConfigCell {
        ActiveConfigCell(ArcSwap::from_pointee(live))
    }

    /// For a short look; what is held does not change.
    pub(crate) fn load(&self) -> Guard<Arc<ActiveConfig>> {
        self.0.load()
    }

    /// To keep.
    pub(crate) fn keep(&self) -> Arc<ActiveConfig> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, live: ActiveConfig) {
        self.0.store(Arc::new(live));
    }
}
