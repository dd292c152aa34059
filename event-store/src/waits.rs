//! What streams wait for.

use crate::{StoreError, nul::has_nul};
use std::fmt;

/// Separates kind and name.
const INNER: char = ':';
/// Separates several of them.
const OUTER: char = ',';

/// Something that a stream waits for, for example a breaker of one participant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitTarget {
    kind: String,
    name: String,
}

impl WaitTarget {
    /// # Errors
    /// [`StoreError::Limit`] when one of the words is empty or has a comma, a colon or a NUL character.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Result<WaitTarget, StoreError> {
        let (kind, name) = (kind.into(), name.into());
        if is_word(&kind) && is_word(&name) {
            return Ok(WaitTarget { kind, name });
        }
        Err(StoreError::Limit(format!("`{kind}{INNER}{name}` is not a kind and a name that a stream can wait for")))
    }

    /// The word for its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its name among those of its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Writes the target as `kind:name`.
impl fmt::Display for WaitTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{INNER}{}", self.kind, self.name)
    }
}

/// A condition for streams that wait. Without kind and name it holds for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitFilter {
    /// The stream waits for something of this kind; `None`: of any kind.
    pub kind: Option<String>,
    /// The stream waits for something with this name; `None`: with any name.
    pub name: Option<String>,
}

impl WaitFilter {
    /// The term that a store compares with its own: `kind:name`, `kind:` or `:name`; `None`: the stream waits for
    /// anything.
    pub(crate) fn term(&self) -> Option<String> {
        let given = |text: &Option<String>| text.clone().unwrap_or_default();
        let is_given = self.kind.is_some() || self.name.is_some();
        is_given.then(|| format!("{}{INNER}{}", given(&self.kind), given(&self.name)))
    }

    /// Whether no stream can wait for this.
    pub(crate) fn finds_nothing(&self) -> bool {
        [&self.kind, &self.name].into_iter().flatten().any(|text| !is_word(text))
    }
}

/// Reads counted words. Databases order texts differently, so the order is made here.
pub(crate) fn counted(stored: Vec<(String, i64)>) -> Vec<(WaitTarget, i64)> {
    let mut counts: Vec<_> = stored.into_iter().filter_map(|(word, n)| Some((parsed(&word)?, n))).collect();
    counts.sort_unstable();
    counts
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains([INNER, OUTER]) && !has_nul(text)
}

/// Returns each once, ascending.
pub(crate) fn in_order(waits_on: &[WaitTarget]) -> Vec<WaitTarget> {
    let mut sorted = waits_on.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// One text for all of them, because a statement takes no list of lists; `None`: nothing.
pub(crate) fn stored(waits_on: &[WaitTarget]) -> Option<String> {
    let words: Vec<String> = in_order(waits_on).iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join(&OUTER.to_string()))
}

/// Reads what [`stored`] returned.
pub(crate) fn read(stored: Option<String>) -> Vec<WaitTarget> {
    let text = stored.unwrap_or_default();
    text.split(OUTER).filter_map(parsed).collect()
}

fn parsed(word: &str) -> Option<WaitTarget> {
    let (kind, name) = word.split_once(INNER)?;
    WaitTarget::new(kind, name).ok()
}
