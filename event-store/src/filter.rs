//! Conditions for lists and counts.

use crate::{WaitFilter, nul::has_nul, standing::is_flag};
use uuid::Uuid;

/// Conditions that listed and counted streams meet, all of them. The default has no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFilter {
    /// The stream has one of these statuses, which have no commas; empty: any status.
    pub statuses: Vec<String>,
    /// The stream has this category.
    pub category: Option<String>,
    /// The stream has this key.
    pub key: Option<String>,
    /// The stream continues. With this condition the store does not read the streams that have ended.
    pub only_open: bool,
    /// The stream has this flag.
    pub flag: Option<String>,
    /// The stream waits for something that matches this.
    pub waiting: Option<WaitFilter>,
    /// The stream has any flag.
    pub flagged: bool,
    /// The stream is at this step.
    pub step: Option<String>,
    /// The stream has this code. Streams with a code have an index of their own.
    pub code: Option<String>,
    /// The hash of the stream's document begins with this text.
    pub document: Option<String>,
    /// The stream's row changed last before this time, in milliseconds since the Unix epoch.
    pub unchanged_since_ms: Option<i64>,
    /// The stream has ended, and its row changed last at this time or later, in milliseconds since the Unix epoch.
    pub ended_from_ms: Option<i64>,
    /// The stream has ended, and its row changed last before this time.
    pub ended_before_ms: Option<i64>,
    /// The stream's reason has this text in it.
    pub reason: Option<String>,
    /// The stream's key, category, step, code or reason has this text in it.
    pub text: Option<String>,
    /// The stream's id is this one or greater.
    pub from: Option<Uuid>,
    /// The stream's id is less than this one: the last id of the page before.
    pub before: Option<Uuid>,
    /// The largest number of results, at most [`crate::MAX_PAGE`].
    pub limit: u32,
}

impl StreamFilter {
    /// Whether it has a condition that no stored stream can meet.
    pub(crate) fn finds_nothing(&self) -> bool {
        let (category, key) = (self.category.as_deref(), self.key.as_deref());
        let only_unknown_statuses = !self.statuses.is_empty() && self.statuses.iter().all(|status| has_nul(status));
        let waits_on_nothing = self.waiting.as_ref().is_some_and(WaitFilter::finds_nothing);
        let has_no_flag = self.flag.as_deref().is_some_and(|flag| !is_flag(flag));
        let parts = [self.reason.as_deref(), self.text.as_deref()];
        let texts = [category, key, self.step.as_deref(), self.code.as_deref(), self.document.as_deref()];
        let texts = texts.into_iter().chain(parts);
        has_no_flag || waits_on_nothing || only_unknown_statuses || texts.flatten().any(has_nul)
    }

    /// The statuses that a store can have, separated by commas; `None`: any status.
    pub(crate) fn statuses_as_text(&self) -> Option<String> {
        let known = self.statuses.iter().map(String::as_str).filter(|status| !has_nul(status));
        (!self.statuses.is_empty()).then(|| known.collect::<Vec<_>>().join(","))
    }
}
