//! What can go wrong between a caller and the database.

/// The store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or not in time. Of an append it is not known whether it was committed: repeat the same bytes.
    #[error("the database did not answer: {0}")]
    Unavailable(String),
    /// The database answered with something that repeating will not change.
    #[error("the database refuses: {0}")]
    Refused(String),
    /// The request breaks a limit of the store; nothing was sent.
    #[error("{0}")]
    Limit(String),
    /// The schema is not one that this build can work with.
    #[error("{0}")]
    Schema(String),
    /// The store was created for another number of shards.
    #[error(
        "the store was created with {stored} shards, the configuration says {configured}: set `shards: {stored}`, or use another store"
    )]
    Shards {
        /// In the store.
        stored: u16,
        /// In the configuration.
        configured: u16,
    },
    /// Another engine has the file.
    #[error("{path} is in use by another engine ({holder}); stop it, or use Postgres to run several")]
    Locked {
        /// The file.
        path: String,
        /// What the lock file says of who has it.
        holder: String,
    },
    /// The address is not one of a store.
    #[error(
        "`{0}` is not the address of a store: expected `postgres://user:password@host:port/database` or `sqlite:./file.db`"
    )]
    Address(String),
}

impl Error {
    /// Whether the same call may succeed later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unavailable(_) => true,
            Error::Refused(_)
            | Error::Limit(_)
            | Error::Schema(_)
            | Error::Shards { .. }
            | Error::Locked { .. }
            | Error::Address(_) => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        match &error {
            sqlx::Error::Database(database) if !passes(database.code().as_deref().unwrap_or_default()) => {
                Error::Refused(error.to_string())
            }
            sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::Configuration(_)
            | sqlx::Error::InvalidArgument(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::RowNotFound => Error::Refused(error.to_string()),
            // Everything else is the connection's or the pool's doing.
            _ => Error::Unavailable(error.to_string()),
        }
    }
}

/// Whether a database error goes away by itself. Postgres: connection (08), rollback (40), resources (53), lock not available (55P03),
/// operator intervention and timeouts (57), system errors (58), read-only transaction on a server that is being switched (25006), plans
/// that a migration made stale (0A000). SQLite: busy, locked, and no space left.
fn passes(code: &str) -> bool {
    let classes = ["08", "40", "53", "57", "58"];
    let codes = ["55P03", "25006", "0A000", "5", "6", "13", "261", "262", "517", "773"];
    (code.len() == 5 && classes.iter().any(|class| code.starts_with(class))) || codes.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn what_goes_away_by_itself_passes() {
        let postgres =
            ["08006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P03", "58030", "25006"];
        let sqlite = ["5", "6", "13", "261", "517"];
        for code in postgres.into_iter().chain(sqlite) {
            assert!(passes(code), "{code}");
        }
    }

    #[test]
    fn what_stays_does_not_pass() {
        // No such database, password, syntax, constraint, out of range, a file that is no database, SQLite's constraint and disk faults.
        for code in ["3D000", "28P01", "42601", "23514", "22003", "26", "19", "10", "", "53", "8"] {
            assert!(!passes(code), "{code}");
        }
    }
}
