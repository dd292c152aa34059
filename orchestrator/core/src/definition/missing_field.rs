//! What a schema says of a field: that it does not have it, or in which forms an expression sees it.

use std::collections::BTreeSet;

/// Forms in which an expression may see a value, in words.
pub(crate) type ValueForms = BTreeSet<&'static str>;

/// Where a path leaves the schema of an event.
pub(crate) struct MissingField<'a> {
    /// How many segments of the path are left, the missing one included.
    pub(crate) depth: usize,
    /// The fields that are there.
    pub(crate) known: Vec<&'a str>,
    /// Whether the schema says that there are no others.
    pub(crate) is_certain: bool,
}
