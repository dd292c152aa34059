//! Counts of streams for metrics, with their age.

use crate::nul::has_nul;
use std::collections::BTreeMap;

/// Stands before, between and after stored flags, so that a search finds whole flags only.
const AROUND: char = ',';

/// The open streams with one category and one status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatusCount {
    /// The category of all counted streams: [`crate::StreamAppend::category`].
    pub category: String,
    /// The status of all counted streams: [`crate::SummaryUpdate::status`].
    pub status: String,
    /// Number of these streams.
    pub streams: i64,
    /// When the oldest of them started, in milliseconds since the Unix epoch.
    pub oldest_started_ms: i64,
    /// The oldest last change among their rows in the read model, in milliseconds since the Unix epoch.
    pub oldest_changed_ms: i64,
}

/// The streams with one flag, open or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFlagCount {
    /// The flag of all counted streams: one of [`crate::SummaryUpdate::flags`].
    pub flag: String,
    /// Whether the counted streams are open.
    pub open: bool,
    /// Number of these streams.
    pub streams: i64,
}

/// Use of this process's connections to the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionUsage {
    /// The most connections that the store opens.
    pub most: u64,
    /// Connections that calls use at this moment.
    pub in_use: u64,
}

/// Whether a search can find the flag in its stored form.
pub(crate) fn is_flag(flag: &str) -> bool {
    !flag.is_empty() && !flag.contains(AROUND) && !has_nul(flag)
}

/// The stored form of flags; `None`: there are none.
pub(crate) fn stored(flags: &[String]) -> Option<String> {
    (!flags.is_empty()).then(|| flags.iter().fold(AROUND.to_string(), |text, flag| text + flag + &AROUND.to_string()))
}

pub(crate) fn read(stored: Option<String>) -> Vec<String> {
    let text = stored.unwrap_or_default();
    text.split(AROUND).filter(|flag| !flag.is_empty()).map(str::to_owned).collect()
}

/// The part that the stored form of a stream with this flag contains.
pub(crate) fn part(flag: &str) -> String {
    format!("{AROUND}{flag}{AROUND}")
}

/// Adds up the streams of each flag. Of one flag the open streams come first.
pub(crate) fn counted(stored: Vec<(String, bool, i64)>) -> Vec<StreamFlagCount> {
    let mut counts = BTreeMap::new();
    for (text, open, streams) in stored {
        for flag in read(Some(text)) {
            *counts.entry((flag, !open)).or_default() += streams;
        }
    }
    counts.into_iter().map(|((flag, ended), streams)| StreamFlagCount { flag, open: !ended, streams }).collect()
}
