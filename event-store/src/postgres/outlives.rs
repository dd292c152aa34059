//! Which sessions can be used after an error.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// The sessions that can be used after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SurvivingSessions {
    /// All sessions: the error concerns the statement only.
    Session,
    /// All but the session of the error.
    Others,
    /// No session: the server stops, takes no writes any more, or cannot be reached.
    Nothing,
}

pub(super) fn outlives(error: &sqlx::Error) -> SurvivingSessions {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let is_fatal = database
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic));
            // 25006: the server is read-only since it was demoted, in every session. 57P: the server stops or starts.
            // 08: the connection is lost.
            if is_fatal || code == "25006" || code.starts_with("57P") || code.starts_with("08") {
                SurvivingSessions::Nothing
            } else {
                SurvivingSessions::Session
            }
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => SurvivingSessions::Nothing,
        // The driver failed on a request or an answer. The state of the connection is not known.
        _ => SurvivingSessions::Others,
    }
}
