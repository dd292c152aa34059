//! How long ended sagas stay.

use std::time::Duration;

/// When an ended saga leaves the event store, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// How long after its last change.
    pub after: Duration,
    /// Where it goes.
    pub to: RetentionTarget,
}

/// Where a saga goes that leaves the event store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetentionTarget {
    /// To a file, from which it can be read.
    #[default]
    Archive,
    /// Nowhere: it is deleted.
    Drop,
}
