//! What the last request to the collector brought, for each signal: for `/health/deep`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// One signal, by OpenTelemetry's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SentSignal {
    /// Numbers.
    Metrics,
    /// Spans.
    Traces,
}

impl SentSignal {
    /// OpenTelemetry's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            SentSignal::Metrics => "metrics",
            SentSignal::Traces => "traces",
        }
    }
}

/// How the last request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LastRequest {
    /// The engine has sent nothing yet.
    None,
    /// The collector took it, in this time.
    Taken(Duration),
    /// It did not, and why.
    Refused(String),
}

static STANDINGS: Mutex<BTreeMap<SentSignal, LastRequest>> = Mutex::new(BTreeMap::new());

/// Remembers how the last request with this signal ended.
pub(super) fn remember(signal: SentSignal, last: LastRequest) {
    STANDINGS.lock().unwrap_or_else(PoisonError::into_inner).insert(signal, last);
}

/// The signals that this process sends.
pub(crate) fn standings() -> Vec<(SentSignal, LastRequest)> {
    let standings = STANDINGS.lock().unwrap_or_else(PoisonError::into_inner);
    standings.iter().map(|(signal, last)| (*signal, last.clone())).collect()
}
