//! What a configuration says that works, and that somebody should look at: secrets in the file itself, and a database
//! whose identity nobody checks.

use super::{ConfigFileProblem, ConfigValidator, EngineConfig};
use saga_base::secrets;

/// Hosts of databases that only this machine reaches.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl ConfigValidator<'_> {
    /// For the log of the start.
    pub(super) fn warnings(&self, config: &EngineConfig) -> Vec<String> {
        let literal = self.literal_secrets().into_iter().map(|told| format!("{}: {told}", self.layers.file));
        let unverified = config.store.unverified_host().map(|host| {
            format!(
                "`store`: the connection to {host} is not verified, so another server could be in its place: add \
                 ?sslmode=verify-full&sslrootcert=FILE to the address"
            )
        });
        literal.chain(unverified).collect()
    }

    /// Places of the file at which a secret stands, and what to write there.
    fn literal_secrets(&self) -> Vec<String> {
        let properties = self.layers.literal_properties.iter().filter(|name| saga_kafka::settings::is_secret(name));
        let properties = properties.map(|name| {
            format!("`kafka.properties.{name}` has a secret in the file itself: write `${{ env.NAME }}` in its place")
        });
        let store = self.layers.get("store").filter(|setting| setting.source == self.layers.file);
        let store = store.filter(|setting| has_password(&setting.value)).map(|_| {
            "`store` has a password in the file itself: leave the key out, and set the environment variable \
             `SAGA_STORE`"
                .to_owned()
        });
        properties.chain(store).collect()
    }
}

/// Secrets that stand in the file.
#[must_use]
pub(super) fn literal_in_file(check: &ConfigValidator<'_>) -> Vec<ConfigFileProblem> {
    let problem = |message| ConfigFileProblem { file: check.layers.file.clone(), message, is_named: false };
    check.literal_secrets().into_iter().map(problem).collect()
}

/// Whether somebody else could use a password of this address.
fn has_password(address: &str) -> bool {
    let place = secrets::address_shown(address);
    let host = place.rsplit_once('@').map_or("", |(_, host)| host);
    let is_local = LOCAL_HOSTS.iter().any(|local| host.strip_prefix(local).is_some_and(|rest| !rest.starts_with('.')));
    !is_local && !secrets::of_url(address).is_empty()
}
