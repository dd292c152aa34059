//! TLS of the API: `api.tls`, and whose certificates are a login.

use super::{ConfigValidator, login::grants_of};
use crate::login::RoleGrant;
use std::{collections::BTreeMap, path::PathBuf};

/// The file with the certificate of the API, and those between it and its authority.
pub(super) const CERTIFICATE: &str = "api.tls.certificate";
/// The file with its key.
pub(super) const KEY: &str = "api.tls.key";
/// The file with the authorities of clients.
pub(super) const CLIENT_CA: &str = "api.tls.clientCa";
/// What names in certificates of clients allow; a map whose names may have dots.
pub(super) const CLIENTS: &str = "api.tls.clients";

/// The files of the API's TLS. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiTlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Authorities of clients; `None`: no certificate of a client is asked for.
    pub(crate) client_ca: Option<PathBuf>,
}

impl ConfigValidator<'_> {
    /// Reads `api.tls` but its clients.
    pub(super) fn api_tls(&mut self) -> Option<ApiTlsFiles> {
        let [certificate, key, client_ca] = [CERTIFICATE, KEY, CLIENT_CA].map(|key| self.layers.get(key).is_some());
        if certificate && key {
            return Some(ApiTlsFiles {
                certificate: self.path(CERTIFICATE, "./tls.crt"),
                key: self.path(KEY, "./tls.key"),
                client_ca: client_ca.then(|| self.path(CLIENT_CA, "./clients.crt")),
            });
        }
        if certificate || key || client_ca || self.layers.clients.is_some() {
            let missing = if certificate { KEY } else { CERTIFICATE };
            self.wrong_in_file(
                missing,
                "TLS needs `certificate` and `key` below `api.tls`, each the path of a PEM file",
            );
        }
        None
    }

    /// What certificates of clients allow, by their names; empty: they are no login.
    pub(super) fn certificate_clients(&mut self) -> BTreeMap<String, RoleGrant> {
        let has_ca = self.layers.get(CLIENT_CA).is_some();
        let clients = match (&self.layers.clients, has_ca) {
            (None, false) => return BTreeMap::new(),
            (Some(written), true) => grants_of(written),
            (None, true) | (Some(_), false) => {
                let (missing, why) = if has_ca {
                    (CLIENTS, "expected what names in certificates allow, like `ci.example.com: operator`")
                } else {
                    (CLIENT_CA, "expected the PEM file of the authorities of `clients`")
                };
                self.wrong_in_file(missing, why);
                return BTreeMap::new();
            }
        };
        match clients {
            // A name of DNS is the same in capitals.
            Ok(clients) => clients.into_iter().map(|(name, grant)| (san_text(&name), grant)).collect(),
            Err(wrong) => {
                for name in wrong {
                    let expected = "expected viewer, operator, admin, or {role: ROLE, payloads: true or false}";
                    self.wrong_in_file(&format!("{CLIENTS}.{name}"), expected);
                }
                BTreeMap::new()
            }
        }
    }
}

/// A URI as it is, a name of DNS in small letters.
fn san_text(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { name.to_ascii_lowercase() }
}
