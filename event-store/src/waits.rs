//! What streams wait on.

use crate::{Error, limits::has_nul};
use std::fmt;

/// Between a kind and a name.
const INNER: char = ':';
/// Between two of several.
const OUTER: char = ',';

/// Something that holds a stream: a word for its kind, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitsOn {
    kind: String,
    name: String,
}

impl WaitsOn {
    /// # Errors
    /// [`Error::Limit`] when one is empty or has a comma, a colon or a NUL character.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Result<WaitsOn, Error> {
        let (kind, name) = (kind.into(), name.into());
        if is_word(&kind) && is_word(&name) {
            return Ok(WaitsOn { kind, name });
        }
        Err(Error::Limit(format!("`{kind}{INNER}{name}` is not what a stream can wait on")))
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
impl fmt::Display for WaitsOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{INNER}{}", self.kind, self.name)
    }
}

/// Which of the streams that wait on something: those of a kind, of a name, of both, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// On something of this kind; `None`: of any.
    pub kind: Option<String>,
    /// On something with this name; `None`: with any.
    pub name: Option<String>,
}

impl Waiting {
    /// What is looked for, as a store compares it: `kind:name`, `kind:`, `:name`; `None`: whatever they wait on.
    pub(crate) fn term(&self) -> Option<String> {
        let given = |text: &Option<String>| text.clone().unwrap_or_default();
        let is_given = self.kind.is_some() || self.name.is_some();
        is_given.then(|| format!("{}{INNER}{}", given(&self.kind), given(&self.name)))
    }

    /// Whether it asks for what no stream can wait on.
    pub(crate) fn finds_nothing(&self) -> bool {
        [&self.kind, &self.name].into_iter().flatten().any(|text| !is_word(text))
    }
}

/// Ascending, whatever order a database has.
pub(crate) fn counted(stored: Vec<(String, i64)>) -> Vec<(WaitsOn, i64)> {
    let mut counts: Vec<_> = stored.into_iter().filter_map(|(word, n)| Some((parsed(&word)?, n))).collect();
    counts.sort_unstable();
    counts
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains([INNER, OUTER]) && !has_nul(text)
}

/// Each once, ascending: what is waited on is a set.
pub(crate) fn in_order(waits_on: &[WaitsOn]) -> Vec<WaitsOn> {
    let mut sorted = waits_on.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// As one text, for a statement that takes no list of lists; `None`: on nothing.
pub(crate) fn stored(waits_on: &[WaitsOn]) -> Option<String> {
    let words: Vec<String> = in_order(waits_on).iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join(&OUTER.to_string()))
}

/// What [`stored`] made.
pub(crate) fn read(stored: Option<String>) -> Vec<WaitsOn> {
    let text = stored.unwrap_or_default();
    text.split(OUTER).filter_map(parsed).collect()
}

fn parsed(word: &str) -> Option<WaitsOn> {
    let (kind, name) = word.split_once(INNER)?;
    WaitsOn::new(kind, name).ok()
}
