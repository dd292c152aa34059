//! A participants.yaml as it may be shown: secrets may stand in it.

use super::{diagnostic, keys::PARTICIPANTS};

/// The text with everything covered but the values of known and harmless keys, byte for byte as long.
pub(crate) fn with_secrets_covered(text: &str) -> String {
    diagnostic::covered(text, &|key| PARTICIPANTS.knows(key))
}
