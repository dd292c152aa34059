//! Where registries are, and what limits requests to them.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fmt, time::Duration};
use url::Url;

/// A value that no text shows.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistrySecret(String);

/// How the client says who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RegistryCredentials {
    /// Not at all.
    #[default]
    None,
    /// By user and password, as API keys of Confluent Cloud are used, too.
    Basic {
        /// The user, or the key.
        user: String,
        /// The password, or the key's secret.
        password: RegistrySecret,
    },
    /// By a token.
    Bearer(RegistrySecret),
}

/// Where registries are, and what limits requests to them.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Addresses of one registry, without credentials; each is tried where the one before it fails.
    pub(crate) addresses: Vec<Url>,
    /// How the client says who it is, at all addresses.
    pub(crate) credentials: RegistryCredentials,
    /// Longest time for one request to one address, from its beginning to the end of the answer.
    pub timeout: Duration,
    /// Longest time for a connection.
    pub connect_timeout: Duration,
    /// Largest answer.
    pub max_answer_bytes: usize,
    /// Most schemas that are kept.
    pub max_schemas: usize,
    /// Most bytes of the texts of kept schemas. In memory a schema takes some times its text.
    pub max_schema_bytes: usize,
    /// For how long a schema that the registry does not know is not asked for again. A producer registers its schema
    /// before it sends the first record, but a registry of several nodes may know it a moment later.
    pub unknown_for: Duration,
}

/// Why addresses and credentials make no settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrySettingsError {
    /// There is no address.
    #[error("no address of a schema registry; write one such as http://localhost:8081")]
    NoAddress,
    /// An address is no URL of HTTP. Its text may hold a password, so it is not shown.
    #[error("address {number} of the schema registry is no URL; write one such as http://localhost:8081")]
    BadAddress {
        /// Which one, from 1.
        number: usize,
    },
    /// Credentials in an address and beside it.
    #[error("the schema registry has credentials in its address and beside it; write them once")]
    CredentialsTwice,
}

impl RegistrySettings {
    /// Settings with the default limits: 5 s for a request, 2 s for a connection, answers of up to 2 MiB, 1,000 schemas
    /// of together 16 MiB, and 10 s before an unknown schema is asked for again. User and password in an address count
    /// as [`RegistryCredentials::Basic`], for all addresses.
    ///
    /// # Errors
    /// An address is none, or credentials are given twice.
    pub fn new(
        addresses: &[&str],
        credentials: RegistryCredentials,
    ) -> Result<RegistrySettings, RegistrySettingsError> {
        let mut credentials = credentials;
        let mut parsed = Vec::with_capacity(addresses.len());
        for (at, address) in addresses.iter().enumerate() {
            let (address, inner) = parse(address).ok_or(RegistrySettingsError::BadAddress { number: at + 1 })?;
            credentials = merged(credentials, inner)?;
            parsed.push(address);
        }
        if parsed.is_empty() {
            return Err(RegistrySettingsError::NoAddress);
        }
        Ok(RegistrySettings {
            addresses: parsed,
            credentials,
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            max_answer_bytes: 2 * 1024 * 1024,
            max_schemas: 1_000,
            max_schema_bytes: 16 * 1024 * 1024,
            unknown_for: Duration::from_secs(10),
        })
    }
}

impl RegistrySettings {
    /// The addresses, without credentials, as a text.
    #[must_use]
    pub fn shown(&self) -> String {
        let addresses: Vec<&str> = self.addresses.iter().map(Url::as_str).collect();
        addresses.join(", ")
    }

    /// How the client says who it is.
    #[must_use]
    pub fn credentials(&self) -> &RegistryCredentials {
        &self.credentials
    }
}

impl RegistrySecret {
    /// Takes a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> RegistrySecret {
        RegistrySecret(secret.into())
    }
}

impl fmt::Debug for RegistrySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl RegistryCredentials {
    /// The value of the header `Authorization`.
    pub(crate) fn header(&self) -> Option<String> {
        match self {
            RegistryCredentials::None => None,
            RegistryCredentials::Basic { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.0))))
            }
            RegistryCredentials::Bearer(token) => Some(format!("Bearer {}", token.0)),
        }
    }
}

/// The address without its credentials, and these.
fn parse(address: &str) -> Option<(Url, RegistryCredentials)> {
    let mut url = Url::parse(address).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let credentials = match (url.username(), url.password()) {
        ("", None) => RegistryCredentials::None,
        (user, password) => RegistryCredentials::Basic {
            user: decoded(user),
            password: RegistrySecret(decoded(password.unwrap_or_default())),
        },
    };
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some((url, credentials))
}

fn merged(one: RegistryCredentials, other: RegistryCredentials) -> Result<RegistryCredentials, RegistrySettingsError> {
    match (one, other) {
        (one, RegistryCredentials::None) => Ok(one),
        (RegistryCredentials::None, other) => Ok(other),
        (one, other) if one == other => Ok(one),
        _ => Err(RegistrySettingsError::CredentialsTwice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_shows_a_secret() {
        let settings = RegistrySettings::new(&["https://key:s3cr3t@registry/api"], RegistryCredentials::None);
        let settings = settings.expect("settings");
        assert!(!format!("{settings:?}").contains("s3cr3t"));
        assert_eq!(settings.addresses[0].as_str(), "https://registry/api");
        assert_eq!(settings.credentials.header().as_deref(), Some("Basic a2V5OnMzY3IzdA=="));
        let bearer = RegistryCredentials::Bearer(RegistrySecret::new("t0k3n"));
        assert!(!format!("{bearer:?}").contains("t0k3n"));
        let error = RegistrySettings::new(&["htp://key:s3cr3t@registry"], RegistryCredentials::None);
        assert_eq!(error.expect_err("no URL"), RegistrySettingsError::BadAddress { number: 1 });
    }

    #[test]
    fn credentials_are_given_once() {
        let bearer = || RegistryCredentials::Bearer(RegistrySecret::new("t0k3n"));
        let error = RegistrySettings::new(&["http://u:p@one"], bearer()).expect_err("twice");
        assert_eq!(error, RegistrySettingsError::CredentialsTwice);
        assert!(RegistrySettings::new(&["http://u:p@one", "http://u:p@two"], RegistryCredentials::None).is_ok());
        assert_eq!(RegistrySettings::new(&[], bearer()).expect_err("none"), RegistrySettingsError::NoAddress);
    }
}
