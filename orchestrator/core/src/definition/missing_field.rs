//! What a schema says of a field that it does not have.

/// Where a path leaves the schema of an event.
pub(crate) struct MissingField<'a> {
    /// How many segments of the path are left, the missing one included.
    pub(crate) depth: usize,
    /// The fields that are there.
    pub(crate) known: Vec<&'a str>,
    /// Whether the schema says that there are no others.
    pub(crate) is_certain: bool,
}
