//! Where a store is, and what it is opened for.

use crate::StoreError;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

/// Address schemes of Postgres.
const POSTGRES: [&str; 2] = ["postgres://", "postgresql://"];
/// Address scheme of SQLite.
const SQLITE: &str = "sqlite:";

/// Where a store is, read from its address: `postgres://…`, `postgresql://…` or `sqlite:PATH`.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// A database on a server, which all engines of an installation share.
    Postgres {
        /// The connection string, with the password if it has one.
        address: String,
    },
    /// A file on this machine, which one engine uses at a time.
    Sqlite {
        /// The file. A relative path starts at the working directory of the process.
        path: PathBuf,
    },
}

impl StoreConfig {
    /// Whether several engines can work on the store at the same time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match self {
            StoreConfig::Postgres { .. } => true,
            StoreConfig::Sqlite { .. } => false,
        }
    }

    /// The place of the store for people: `postgres at host:port` or `sqlite file path`. It has no user, password or
    /// parameters.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            StoreConfig::Postgres { address } => match address.parse::<PgConnectOptions>() {
                Ok(server) => format!("postgres at {}:{}", server.get_host(), server.get_port()),
                Err(_) => without_secret(address),
            },
            StoreConfig::Sqlite { path } => format!("sqlite file {}", path.display()),
        }
    }

    /// The host of a server on another machine whose identity is not verified: whoever is between can be it. `None`:
    /// it is verified, or on this machine.
    #[must_use]
    pub fn unverified_host(&self) -> Option<String> {
        let StoreConfig::Postgres { address } = self else { return None };
        let server = address.parse::<PgConnectOptions>().ok()?;
        let is_here = server.get_socket().is_some() || is_loopback(server.get_host());
        match server.get_ssl_mode() {
            PgSslMode::VerifyCa | PgSslMode::VerifyFull => None,
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer | PgSslMode::Require => {
                (!is_here).then(|| server.get_host().to_owned())
            }
        }
    }

    /// The address, which can be parsed again. It has the password.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            StoreConfig::Postgres { address } => address.clone(),
            StoreConfig::Sqlite { path } => format!("{SQLITE}{}", path.display()),
        }
    }
}

impl FromStr for StoreConfig {
    type Err = StoreError;

    fn from_str(address: &str) -> Result<StoreConfig, StoreError> {
        let parsed = match address.strip_prefix(SQLITE) {
            Some(path) => sqlite(path.strip_prefix("//").unwrap_or(path)),
            None => postgres(address),
        };
        parsed.ok_or_else(|| StoreError::Address(without_secret(address)))
    }
}

/// SQLite knows more kinds of address: a database in memory, and parameters. No store in these would remain.
fn sqlite(path: &str) -> Option<StoreConfig> {
    let is_file = !path.is_empty() && !path.starts_with(':') && !path.contains('?');
    is_file.then(|| StoreConfig::Sqlite { path: path.into() })
}

fn postgres(address: &str) -> Option<StoreConfig> {
    let server = POSTGRES.iter().find_map(|scheme| address.strip_prefix(scheme))?;
    let is_server = !server.is_empty() && address.parse::<PgConnectOptions>().is_ok();
    is_server.then(|| StoreConfig::Postgres { address: address.to_owned() })
}

/// Shows [`StoreConfig::place`], which has no password.
impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreConfig").field(&self.place()).finish()
    }
}

/// An address as it can be shown and logged: without user, password and parameters.
pub(crate) fn without_secret(address: &str) -> String {
    let address = address.split_once('?').map_or(address, |(address, _)| address);
    match address.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => address.to_owned(),
    }
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAccess {
    /// To write. Opening migrates the schema, and creates the store if it is new.
    Write {
        /// The number of shards from the configuration. It has to be the number that the store was created with.
        shards: u16,
    },
    /// To read only. Opening changes nothing and works beside an engine.
    Read,
}

impl StoreAccess {
    /// # Errors
    /// [`StoreError::Refused`] when the store was opened to read.
    pub(crate) fn check_writable(self) -> Result<(), StoreError> {
        match self {
            StoreAccess::Write { .. } => Ok(()),
            StoreAccess::Read => Err(StoreError::Refused("the store was opened to read".into())),
        }
    }
}

/// Whether `host` is this machine; a folder is that of a socket.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.starts_with('/') || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(address: &str) -> StoreConfig {
        address.parse().unwrap()
    }

    #[test]
    fn a_place_names_host_and_port_and_no_secret() {
        for (address, place) in [
            ("postgres://u:secret@db/saga?sslmode=require", "postgres at db:5432"),
            ("postgresql://u:secret@db:6543/saga", "postgres at db:6543"),
            ("sqlite:./saga.db", "sqlite file ./saga.db"),
        ] {
            assert_eq!(parsed(address).place(), place);
            assert!(!format!("{:?}", parsed(address)).contains("secret"));
        }
    }

    #[test]
    fn only_a_server_is_shared() {
        assert!(parsed("postgresql://db/saga").is_shared());
        assert!(!parsed("sqlite:saga.db").is_shared());
    }

    #[test]
    fn a_file_is_named_with_and_without_slashes() {
        assert_eq!(parsed("sqlite://./saga.db"), parsed("sqlite:./saga.db"));
        assert_eq!(parsed("sqlite:///data/saga.db").address(), "sqlite:/data/saga.db");
    }

    #[test]
    fn an_address_of_another_kind_is_refused_with_what_was_expected() {
        for bad in [
            "mysql://u:secret@db/saga",
            "postgres://",
            "postgres://h:port/d",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a?b",
        ] {
            let error = bad.parse::<StoreConfig>().unwrap_err().to_string();
            assert!(error.contains("expected `postgres://user:password@host:port/database` or `sqlite:"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
