//! Pages of keys that the store may forget.

use crate::{MAX_PAGE, StoreError, limits::check_texts};

/// A page of keys in one category, of which the store forgets those whose stream ended long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySweep {
    /// The store looks at keys of this category only.
    pub category: String,
    /// The store forgets a key if its stream is not open and the stream's row changed last before this time, in
    /// milliseconds since the Unix epoch.
    pub ended_before_ms: i64,
    /// The page begins after this key: [`KeySweepOutcome::next`] of the page before; `None`: at the first key.
    pub after: Option<String>,
    /// How many keys the store looks at, from 1 to [`MAX_PAGE`]. It bounds the work of one call.
    pub limit: u32,
}

/// The result of a [`KeySweep`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySweepOutcome {
    /// Number of keys that the store forgot.
    pub forgotten: u64,
    /// [`KeySweep::after`] of the next page; `None`: this page was the last one.
    pub next: Option<String>,
}

impl KeySweepOutcome {
    /// The result for a page of `looked_at` keys, the last of which is `last`.
    pub(crate) fn page(forgotten: u64, looked_at: i64, last: Option<String>, limit: u32) -> KeySweepOutcome {
        KeySweepOutcome { forgotten, next: last.filter(|_| looked_at >= i64::from(limit)) }
    }
}

/// Returns how many keys the sweep looks at.
///
/// # Errors
/// [`StoreError::Limit`] when it asks for no keys or too many, or has a text that a database cannot store.
pub(crate) fn check_sweep(sweep: &KeySweep) -> Result<u32, StoreError> {
    if !(1..=MAX_PAGE).contains(&sweep.limit) {
        return Err(StoreError::Limit(format!("a sweep looks at {} keys, expected 1 to {MAX_PAGE}", sweep.limit)));
    }
    check_texts([sweep.category.as_str()])?;
    check_texts(sweep.after.as_deref())?;
    Ok(sweep.limit)
}
