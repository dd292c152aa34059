//! Groups of streams, counted by columns of the read model.

use crate::{Filter, WaitsOn};

/// A column of the read model by which streams are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// [`crate::Append::category`].
    Category,
    /// [`crate::Summary::status`].
    Status,
    /// [`crate::Summary::step`].
    Step,
    /// [`crate::Summary::code`].
    Code,
    /// [`crate::Summary::waits_on`]: streams that wait for the same set are one group.
    WaitsOn,
    /// [`crate::Summary::document`].
    Document,
}

impl Dimension {
    /// Every dimension, in the order of the parameters of the statements.
    pub const ALL: [Dimension; 6] = [
        Dimension::Category,
        Dimension::Status,
        Dimension::Step,
        Dimension::Code,
        Dimension::WaitsOn,
        Dimension::Document,
    ];
}

/// One group. A dimension by which the call does not group is `None` or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The common [`Dimension::Category`].
    pub category: Option<String>,
    /// The common [`Dimension::Status`].
    pub status: Option<String>,
    /// The common [`Dimension::Step`].
    pub step: Option<String>,
    /// The common [`Dimension::Code`].
    pub code: Option<String>,
    /// The common [`Dimension::WaitsOn`], ascending.
    pub waits_on: Vec<WaitsOn>,
    /// The common [`Dimension::Document`].
    pub document: Option<String>,
    /// Number of streams in the group.
    pub streams: i64,
    /// When the oldest of them started, in milliseconds since the Unix epoch.
    pub oldest_started_ms: i64,
    /// The oldest last change among their rows in the read model, in milliseconds since the Unix epoch.
    pub oldest_changed_ms: i64,
}

/// The smallest set of streams, among those that an index holds, that has all streams of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    /// All streams.
    All,
    /// The open streams.
    Open,
    /// The streams with a code.
    Failed,
    /// The streams that wait.
    Waiting,
}

impl Among {
    pub(crate) fn of(filter: &Filter) -> Among {
        match filter {
            Filter { waiting: Some(_), .. } => Among::Waiting,
            Filter { code: Some(_), .. } => Among::Failed,
            Filter { only_open: true, .. } => Among::Open,
            Filter { .. } => Among::All,
        }
    }
}
