//! What streams wait on.

use crate::{StoreError, stream::has_nul};
use std::{collections::BTreeMap, fmt};

/// Between a kind and a name.
const INNER: char = ':';
/// Around each of several.
const OUTER: char = ',';

/// Something that holds a stream: a word for its kind, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitTarget {
    kind: String,
    name: String,
}

impl WaitTarget {
    /// # Errors
    /// [`StoreError::Limit`] when one is empty or has a comma, a colon or a NUL character.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Result<WaitTarget, StoreError> {
        let (kind, name) = (kind.into(), name.into());
        if is_word(&kind) && is_word(&name) {
            return Ok(WaitTarget { kind, name });
        }
        Err(StoreError::Limit(format!("`{kind}{INNER}{name}` is not what a stream can wait on")))
    }

    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Which of its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// `kind:name`
impl fmt::Display for WaitTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{INNER}{}", self.kind, self.name)
    }
}

/// Which of the streams that wait on something: those of a kind, of a name, of both, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitFilter {
    /// On something of this kind; `None`: of any.
    pub kind: Option<String>,
    /// On something with this name; `None`: with any.
    pub name: Option<String>,
}

impl WaitFilter {
    /// What the stored text of such a stream contains.
    pub(crate) fn part(&self) -> String {
        let kind = self.kind.as_ref().map(|kind| format!("{OUTER}{kind}")).unwrap_or_default();
        let name = self.name.as_ref().map(|name| format!("{name}{OUTER}")).unwrap_or_default();
        format!("{kind}{INNER}{name}")
    }

    /// Whether it asks for what no stream can wait on.
    pub(crate) fn finds_nothing(&self) -> bool {
        [&self.kind, &self.name].into_iter().flatten().any(|text| !is_word(text))
    }
}

/// The same for all databases.
pub(crate) const COUNTS: &str =
    "SELECT waits_on, count(*) AS streams FROM streams WHERE waits_on IS NOT NULL GROUP BY waits_on";

/// What [`COUNTS`] finds, by each thing that is waited on.
pub(crate) fn counted(stored: Vec<(String, i64)>) -> Vec<(WaitTarget, i64)> {
    let mut counts = BTreeMap::new();
    for (text, streams) in stored {
        for waits_on in read(Some(text)) {
            *counts.entry(waits_on).or_default() += streams;
        }
    }
    counts.into_iter().collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains([INNER, OUTER]) && !has_nul(text)
}

/// As it is kept; `None`: on nothing.
pub(crate) fn stored(waits_on: &[WaitTarget]) -> Option<String> {
    let words = waits_on.iter().map(|it| format!("{it}{OUTER}")).collect::<String>();
    (!words.is_empty()).then(|| format!("{OUTER}{words}"))
}

pub(crate) fn read(stored: Option<String>) -> Vec<WaitTarget> {
    let text = stored.unwrap_or_default();
    let words = text.split(OUTER).filter_map(|word| word.split_once(INNER));
    words.filter_map(|(kind, name)| WaitTarget::new(kind, name).ok()).collect()
}
