//! Words of participants.yaml of which a key takes one of several.

/// Kinds of integration, each with values of its own for what a participant does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegrationKind {
    /// A database behind a service.
    Database,
    /// A model that takes long for each request.
    AiService,
    /// Prices, which have no value when they come late.
    MarketData,
    /// A fast store; its callers do not wait long for it.
    Cache,
    /// A service of another organisation, which the operator cannot repair.
    ExternalApi,
}

impl IntegrationKind {
    /// All kinds, in the order of the variants.
    pub const ALL: [IntegrationKind; 5] = [
        IntegrationKind::Database,
        IntegrationKind::AiService,
        IntegrationKind::MarketData,
        IntegrationKind::Cache,
        IntegrationKind::ExternalApi,
    ];
    /// Their names in participants.yaml, in the order of [`IntegrationKind::ALL`].
    pub const NAMES: &'static [&'static str] = &["database", "ai_service", "market_data", "cache", "external_api"];

    /// The kind's name in participants.yaml.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            IntegrationKind::Database => "database",
            IntegrationKind::AiService => "ai_service",
            IntegrationKind::MarketData => "market_data",
            IntegrationKind::Cache => "cache",
            IntegrationKind::ExternalApi => "external_api",
        }
    }

    /// The kind of this name; `None` if there is no such kind.
    #[must_use]
    pub fn parse(name: &str) -> Option<IntegrationKind> {
        IntegrationKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a 202 over HTTP says of the outcome, if it names no place where that can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceptedMeaning {
    /// Nothing: it was accepted, and may be declined yet.
    #[default]
    Unknown,
    /// That it was done: the participant does what it has accepted.
    Succeeded,
}

impl AcceptedMeaning {
    /// Their words, in the order of the variants.
    pub(crate) const NAMES: &[&str] = &["unknown", "succeeded"];

    /// The meaning of this word; `None` if there is no such word.
    pub(crate) fn parse(word: &str) -> Option<AcceptedMeaning> {
        let found = AcceptedMeaning::NAMES.iter().position(|name| *name == word)?;
        [AcceptedMeaning::Unknown, AcceptedMeaning::Succeeded].get(found).copied()
    }
}

/// Where a client of OAuth 2.0 sends its secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialPlace {
    /// In the header `Authorization`, as `Basic`.
    #[default]
    Header,
    /// In the body, as `client_secret`.
    Body,
}

impl CredentialPlace {
    /// Their words, in the order of the variants.
    pub(crate) const NAMES: &[&str] = &["header", "body"];

    /// The place of this word; `None` if there is no such word.
    pub(crate) fn parse(word: &str) -> Option<CredentialPlace> {
        let found = CredentialPlace::NAMES.iter().position(|name| *name == word)?;
        [CredentialPlace::Header, CredentialPlace::Body].get(found).copied()
    }
}

/// How the idempotency key of a request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdempotencyKeyFormat {
    /// The key is the command id itself.
    #[default]
    CommandId,
    /// As a UUID that is derived from it, for services that take letters, digits and hyphens only.
    Uuid,
}

impl IdempotencyKeyFormat {
    /// Their words, in the order of the variants.
    pub(crate) const NAMES: &[&str] = &["command-id", "uuid"];

    /// The format of this word; `None` if there is no such word.
    pub(crate) fn parse(word: &str) -> Option<IdempotencyKeyFormat> {
        let found = IdempotencyKeyFormat::NAMES.iter().position(|name| *name == word)?;
        [IdempotencyKeyFormat::CommandId, IdempotencyKeyFormat::Uuid].get(found).copied()
    }
}
