//! Elements of lists in paths: `[0]`, or `[]` for any.

/// Stands in a path for any element of a list.
pub(crate) const ANY_ELEMENT: &str = "[]";

/// Whether a name of a path stands for an element of a list: `[0]`, or any.
pub(crate) fn is_element(name: &str) -> bool {
    element(name).is_some()
}

/// Which element of a list a name of a path stands for: `Some(None)` for any, `None` for a field.
pub(crate) fn element(name: &str) -> Option<Option<usize>> {
    let inside = name.strip_prefix('[')?.strip_suffix(']')?;
    if inside.is_empty() { Some(None) } else { inside.parse().ok().map(Some) }
}
