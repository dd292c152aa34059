//! What an error of the driver says about the sessions.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What goes on after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlives {
    /// The session: the error is the statement's.
    Session,
    /// The other sessions.
    Others,
    /// No session: the server ends, takes no more writes, or cannot be reached.
    Nothing,
}

pub(super) fn outlives(error: &sqlx::Error) -> Outlives {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let is_fatal = database
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic));
            // Read-only: the server was demoted, and every session with it. 57P: it ends, or begins.
            if is_fatal || code == "25006" || code.starts_with("57P") || code.starts_with("08") {
                Outlives::Nothing
            } else {
                Outlives::Session
            }
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Outlives::Nothing,
        // The driver's own trouble with what was asked or answered: where it broke off is not known.
        _ => Outlives::Others,
    }
}
