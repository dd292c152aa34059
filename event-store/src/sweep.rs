//! Keys that are forgotten.

use crate::{Error, MAX_PAGE, limits::check_texts};

/// Which keys may be forgotten: a page of one category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Of this category.
    pub category: String,
    /// Only keys whose stream is not open, and whose row has not changed since this time. Milliseconds since the epoch.
    pub ended_before_ms: i64,
    /// Only keys after this one: [`Swept::next`] of the page before; `None`: from the first.
    pub after: Option<String>,
    /// How many keys to look at, at most [`MAX_PAGE`]. It bounds the work of one call, however many of them stay.
    pub limit: u32,
}

/// What became of a [`Sweep`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How many keys were forgotten.
    pub forgotten: u64,
    /// Where the next page begins; `None`: this was the last one.
    pub next: Option<String>,
}

impl Swept {
    /// A page on which `looked_at` keys were found, the last of which is `last`.
    pub(crate) fn page(forgotten: u64, looked_at: i64, last: Option<String>, limit: u32) -> Swept {
        Swept { forgotten, next: last.filter(|_| looked_at >= i64::from(limit)) }
    }
}

/// How many keys a sweep looks at.
///
/// # Errors
/// When it names none or too many, or a text that cannot be kept.
pub(crate) fn check_sweep(sweep: &Sweep) -> Result<u32, Error> {
    if !(1..=MAX_PAGE).contains(&sweep.limit) {
        return Err(Error::Limit(format!("a sweep looks at {} keys, expected 1 to {MAX_PAGE}", sweep.limit)));
    }
    check_texts([sweep.category.as_str()])?;
    check_texts(sweep.after.as_deref())?;
    Ok(sweep.limit)
}
