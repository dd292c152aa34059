//! Texts as YAML reads them.

/// A text as YAML reads it everywhere: expressions hold `: ` and ` #`, which end an unquoted text.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
}
