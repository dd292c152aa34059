//! Groups of streams, counted by columns of the read model.

use crate::{StreamFilter, WaitTarget};

/// A column of the read model by which streams are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamDimension {
    /// Groups by category: [`crate::StreamAppend::category`].
    Category,
    /// Groups by status: [`crate::SummaryUpdate::status`].
    Status,
    /// Groups by step: [`crate::SummaryUpdate::step`].
    Step,
    /// Groups by code: [`crate::SummaryUpdate::code`].
    Code,
    /// [`crate::SummaryUpdate::waits_on`]: streams that wait for the same set are one group.
    WaitsOn,
    /// Groups by document: [`crate::SummaryUpdate::document`].
    Document,
}

impl StreamDimension {
    /// Every dimension, in the order of the parameters of the statements.
    pub const ALL: [StreamDimension; 6] = [
        StreamDimension::Category,
        StreamDimension::Status,
        StreamDimension::Step,
        StreamDimension::Code,
        StreamDimension::WaitsOn,
        StreamDimension::Document,
    ];
}

/// One group. A dimension by which the call does not group is `None` or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamGroup {
    /// The category of all streams in the group: [`StreamDimension::Category`].
    pub category: Option<String>,
    /// The status of all streams in the group: [`StreamDimension::Status`].
    pub status: Option<String>,
    /// The step of all streams in the group: [`StreamDimension::Step`].
    pub step: Option<String>,
    /// The code of all streams in the group: [`StreamDimension::Code`].
    pub code: Option<String>,
    /// The common [`StreamDimension::WaitsOn`], ascending.
    pub waits_on: Vec<WaitTarget>,
    /// The document of all streams in the group: [`StreamDimension::Document`].
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
pub(crate) enum IndexScope {
    /// All streams.
    All,
    /// The open streams.
    Open,
    /// The streams with a code.
    Failed,
    /// The streams that wait.
    Waiting,
}

impl IndexScope {
    pub(crate) fn of(filter: &StreamFilter) -> IndexScope {
        match filter {
            StreamFilter { waiting: Some(_), .. } => IndexScope::Waiting,
            StreamFilter { code: Some(_), .. } => IndexScope::Failed,
            StreamFilter { only_open: true, .. } => IndexScope::Open,
            StreamFilter { .. } => IndexScope::All,
        }
    }
}
