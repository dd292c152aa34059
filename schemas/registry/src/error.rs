//! What a failed request means to the one who asked.

/// Why the registry did not give what was asked for. No message contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No address answers, or what answers is in trouble: ask again later. Says nothing about the schema.
    #[error("the schema registry is unavailable: {reason}")]
    Unavailable {
        /// What the last address that was tried did.
        reason: String,
    },
    /// The registry answers, and does not know the schema, the subject or the version.
    #[error("the schema registry does not know {what}")]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// The registry answers, and refuses: the credentials, the address, or what is to be registered.
    #[error("the schema registry refuses ({status}): {reason}")]
    Refused {
        /// Status of HTTP.
        status: u16,
        /// Code and message of the registry.
        reason: String,
    },
    /// The registry knows the schema, and it cannot be used here.
    #[error("{what} cannot be used: {reason}")]
    Unusable {
        /// Which schema.
        what: String,
        /// Why.
        reason: String,
    },
}

impl RegistryError {
    /// Whether asking again later may help without any change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, RegistryError::Unavailable { .. })
    }
}
