//! Which streams are looked for.

use crate::{Waiting, limits::has_nul, standing::is_flag};
use uuid::Uuid;

/// Which streams to list; an empty filter lists all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these words, which have no commas; empty: any.
    pub statuses: Vec<String>,
    /// This one.
    pub category: Option<String>,
    /// This one.
    pub key: Option<String>,
    /// Only streams that go on. Where only such are wanted it is to be said: they are found without passing by all that have ended.
    pub only_open: bool,
    /// Only streams with this flag.
    pub flag: Option<String>,
    /// Only streams that wait on something, and on what; `None`: any.
    pub waiting: Option<Waiting>,
    /// Only streams that have any flag.
    pub flagged: bool,
    /// Only streams that are there.
    pub step: Option<String>,
    /// Only streams with this code. They have an index of their own.
    pub code: Option<String>,
    /// Only streams that go by a document whose hash begins so.
    pub document: Option<String>,
    /// Only streams whose row has not changed since this time. Milliseconds since the epoch.
    pub unchanged_since_ms: Option<i64>,
    /// Only this stream and later ones.
    pub from: Option<Uuid>,
    /// Only streams before this one: the last of the page before.
    pub before: Option<Uuid>,
    /// How many, at most [`MAX_PAGE`].
    pub limit: u32,
}

impl Filter {
    /// Whether it asks for a text that no store can have.
    pub(crate) fn finds_nothing(&self) -> bool {
        let (category, key) = (self.category.as_deref(), self.key.as_deref());
        let only_unknown_statuses = !self.statuses.is_empty() && self.statuses.iter().all(|status| has_nul(status));
        let waits_on_nothing = self.waiting.as_ref().is_some_and(Waiting::finds_nothing);
        let has_no_flag = self.flag.as_deref().is_some_and(|flag| !is_flag(flag));
        let texts = [category, key, self.step.as_deref(), self.code.as_deref(), self.document.as_deref()];
        has_no_flag || waits_on_nothing || only_unknown_statuses || texts.into_iter().flatten().any(has_nul)
    }

    /// The statuses that a store can have, with a comma between two; `None`: any.
    pub(crate) fn statuses_as_text(&self) -> Option<String> {
        let known = self.statuses.iter().map(String::as_str).filter(|status| !has_nul(status));
        (!self.statuses.is_empty()).then(|| known.collect::<Vec<_>>().join(","))
    }
}
