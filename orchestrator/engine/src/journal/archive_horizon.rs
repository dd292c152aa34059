//! Up to where sagas may have left the store.

use saga_core::id::SagaId;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// The end of the newest archive. A saga that started before it and is not in the store has ended and left, as far as
/// anybody can tell. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArchiveHorizon(Arc<AtomicI64>);

impl ArchiveHorizon {
    /// Learns of an archive; the horizon only moves on.
    pub(crate) fn reach(&self, to_ms: i64) {
        self.0.fetch_max(to_ms, Ordering::Relaxed);
    }

    /// Whether a saga that the store does not have may be in an archive.
    pub(crate) fn may_have_left(&self, saga: SagaId) -> bool {
        saga.started_at().0 < self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{id::ShardId, time::Timestamp};

    #[test]
    fn only_sagas_before_the_newest_archive_may_have_left() {
        let horizon = ArchiveHorizon::default();
        let saga = SagaId::new(Timestamp(5_000), ShardId(1), 7);
        assert!(!horizon.may_have_left(saga));
        horizon.reach(5_001);
        horizon.reach(4_000);
        assert!(horizon.may_have_left(saga));
        assert!(!horizon.may_have_left(SagaId::new(Timestamp(5_001), ShardId(1), 7)));
    }
}
