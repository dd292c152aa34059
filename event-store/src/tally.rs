//! Streams counted by what the read model says of them.

use crate::{Filter, WaitsOn};

/// What streams are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Their category.
    Category,
    /// Their status.
    Status,
    /// Where they are.
    Step,
    /// What failed.
    Code,
    /// What holds them.
    WaitsOn,
    /// The document that they go by.
    Document,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Dimension; 6] = [
        Dimension::Category,
        Dimension::Status,
        Dimension::Step,
        Dimension::Code,
        Dimension::WaitsOn,
        Dimension::Document,
    ];
}

/// The streams that agree in what was asked for; the rest is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Their category.
    pub category: Option<String>,
    /// Their status.
    pub status: Option<String>,
    /// Where they are.
    pub step: Option<String>,
    /// What failed.
    pub code: Option<String>,
    /// What holds them.
    pub waits_on: Vec<WaitsOn>,
    /// Hash of the document that they go by.
    pub document: Option<String>,
    /// How many there are.
    pub streams: i64,
    /// When the oldest of them started. Milliseconds since the epoch.
    pub oldest_started_ms: i64,
    /// When the one changed whose row in the read model has stayed the same for longest. Milliseconds since the epoch.
    pub oldest_changed_ms: i64,
}

/// Among which streams those of a filter are looked for: the narrowest of which an index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    /// All, newest first.
    All,
    /// Those that go on.
    Open,
    /// Those with a code.
    Failed,
    /// Those that wait.
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
