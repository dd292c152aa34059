//! The schema registry: the configuration says where its credentials are, never what they are.

use super::ConfigValidator;
use saga_base::secrets;
use saga_registry::{RegistryCredentials, RegistrySecret, RegistrySettings};

/// The addresses of the registry.
pub(super) const URL: &str = "schemaRegistry.url";
/// The user of its basic authentication.
pub(super) const USER: &str = "schemaRegistry.user";
/// The place of this user's password.
pub(super) const PASSWORD: &str = "schemaRegistry.password";
/// The place of a token.
pub(super) const TOKEN: &str = "schemaRegistry.token";

/// How to reach the schema registry.
#[derive(Clone, Debug)]
pub(crate) struct RegistryConfig {
    /// Its addresses without credentials, for logs and the API.
    pub name: String,
    /// For its client.
    pub settings: RegistrySettings,
}

impl ConfigValidator<'_> {
    /// The registry that the configuration names. Its secrets are remembered.
    pub(super) fn schema_registry(&mut self) -> Option<RegistryConfig> {
        let credentials = self.registry_credentials();
        let Some(value) = self.layers.get(URL).map(|it| it.value.clone()) else {
            let layers = self.layers;
            for key in [USER, PASSWORD, TOKEN].into_iter().filter(|key| layers.get(key).is_some()) {
                self.wrong(key, &format!("expected `{URL}`, too: the address of the schema registry"));
            }
            return None;
        };
        let addresses: Vec<&str> = value.split(',').map(str::trim).collect();
        secrets::remember(addresses.iter().flat_map(|address| secrets::of_url(address)));
        match RegistrySettings::new(&addresses, credentials?) {
            Ok(settings) => Some(RegistryConfig { name: settings.shown(), settings }),
            Err(error) => {
                self.wrong(URL, &error.to_string());
                None
            }
        }
    }

    /// `None`: they are wrong.
    fn registry_credentials(&mut self) -> Option<RegistryCredentials> {
        let user = self.layers.get(USER).map(|it| it.value.clone());
        let is_given = |key| self.layers.get(key).is_some();
        match (user, is_given(PASSWORD), is_given(TOKEN)) {
            (None, false, false) => Some(RegistryCredentials::None),
            (Some(user), true, false) => {
                self.registry_secret(PASSWORD).map(|password| RegistryCredentials::Basic { user, password })
            }
            (None, false, true) => self.registry_secret(TOKEN).map(RegistryCredentials::Bearer),
            (Some(_), false, false) => self.refused(USER, PASSWORD),
            (None, true, false) => self.refused(PASSWORD, USER),
            (_, _, true) => {
                self.wrong(TOKEN, &format!("expected either a token, or `{USER}` and `{PASSWORD}`"));
                None
            }
        }
    }

    fn refused(&mut self, given: &str, missing: &str) -> Option<RegistryCredentials> {
        self.wrong(given, &format!("expected `{missing}`, too"));
        None
    }

    fn registry_secret(&mut self, key: &str) -> Option<RegistrySecret> {
        let written = self.layers.get(key)?.value.clone();
        let (place, text) = self.secret_at(key, &written, "secret")?;
        if text.is_empty() {
            self.wrong(key, &format!("{} is empty", place.shown()));
        }
        Some(RegistrySecret::new(text))
    }
}
