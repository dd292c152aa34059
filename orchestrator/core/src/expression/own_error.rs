//! Errors of an evaluation whose words are ours.

use cel::ExecutionError;

/// Stands in place of a function's name where the message is ours.
pub(super) const OURS: &str = "@ours";

/// An error whose message is shown as it is.
pub(super) fn in_our_words(message: String) -> ExecutionError {
    ExecutionError::FunctionError { function: OURS.to_owned(), message }
}
