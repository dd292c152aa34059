//! What was read, with the place where it stands.

use super::diagnostic::TextSpan;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpannedValue<T> {
    pub(crate) value: T,
    pub(crate) span: TextSpan,
}
