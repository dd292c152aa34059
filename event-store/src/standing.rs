//! How streams stand: how many are where, how old they are, and what people should look at.

use crate::limits::has_nul;
use std::collections::BTreeMap;

/// Around each of several flags.
const AROUND: char = ',';

/// The open streams of one category that have one status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Their category.
    pub category: String,
    /// A word.
    pub status: String,
    /// How many there are.
    pub streams: i64,
    /// When the oldest of them started. Milliseconds since the epoch.
    pub oldest_started_ms: i64,
    /// When the one changed whose row in the read model has stayed the same for longest. Milliseconds since the epoch.
    pub oldest_changed_ms: i64,
}

/// The streams that have one flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flagged {
    /// A word.
    pub flag: String,
    /// Whether these go on or have ended.
    pub open: bool,
    /// How many there are.
    pub streams: i64,
}

/// Connections of this process to the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// As many as there can be at once.
    pub most: u64,
    /// Of them in use at this moment.
    pub in_use: u64,
}

/// Whether a flag can be kept and found again.
pub(crate) fn is_flag(flag: &str) -> bool {
    !flag.is_empty() && !flag.contains(AROUND) && !has_nul(flag)
}

/// As flags are kept; `None`: there are none.
pub(crate) fn stored(flags: &[String]) -> Option<String> {
    (!flags.is_empty()).then(|| flags.iter().fold(AROUND.to_string(), |text, flag| text + flag + &AROUND.to_string()))
}

pub(crate) fn read(stored: Option<String>) -> Vec<String> {
    let text = stored.unwrap_or_default();
    text.split(AROUND).filter(|flag| !flag.is_empty()).map(str::to_owned).collect()
}

/// What the kept text of a stream with this flag contains.
pub(crate) fn part(flag: &str) -> String {
    format!("{AROUND}{flag}{AROUND}")
}

/// By each flag, those that go on before those that have ended.
pub(crate) fn counted(stored: Vec<(String, bool, i64)>) -> Vec<Flagged> {
    let mut counts = BTreeMap::new();
    for (text, open, streams) in stored {
        for flag in read(Some(text)) {
            *counts.entry((flag, !open)).or_default() += streams;
        }
    }
    counts.into_iter().map(|((flag, ended), streams)| Flagged { flag, open: !ended, streams }).collect()
}
