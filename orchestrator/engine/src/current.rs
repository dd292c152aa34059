//! What new sagas start by: the definitions with the policies that participants.yaml gives them. Replaced whole.

use super::catalog::Catalog;
use arc_swap::{ArcSwap, Guard};
use saga_core::definition::Participants;
use std::sync::Arc;

/// The definitions and participants of one moment, which belong together.
#[derive(Debug)]
pub struct Live {
    /// What may start, with the policies that a saga started now is pinned to.
    pub catalog: Catalog,
    /// Who performs the calls.
    pub participants: Arc<Participants>,
}

/// What is live now.
#[derive(Debug)]
pub struct Current(ArcSwap<Live>);

impl Current {
    pub(crate) fn new(live: Live) -> Current {
        Current(ArcSwap::from_pointee(live))
    }

    /// For a short look; what is held does not change.
    pub(crate) fn load(&self) -> Guard<Arc<Live>> {
        self.0.load()
    }

    /// To keep.
    pub fn keep(&self) -> Arc<Live> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, live: Live) {
        self.0.store(Arc::new(live));
    }
}
