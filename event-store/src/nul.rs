//! The one character that Postgres takes in no text.

pub(crate) fn has_nul(text: &str) -> bool {
    text.contains('\0')
}
