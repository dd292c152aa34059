//! Kinds of failures, and what each is worth to the retries and to the guards.

use serde::{Deserialize, Serialize};

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// No connection, or a broken one.
    Network,
    /// No answer in time.
    Timeout,
    /// It asks for fewer calls: 429.
    RateLimit,
    /// An error of its own: 5xx.
    ServerError,
    /// It refuses the call: 401, 403, 404, 409, …
    ClientError,
    /// It refuses what was sent: 400, 413, 422.
    Validation,
    /// None of these.
    Unknown,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [ErrorClass; 7] = [
        ErrorClass::Network,
        ErrorClass::Timeout,
        ErrorClass::RateLimit,
        ErrorClass::ServerError,
        ErrorClass::ClientError,
        ErrorClass::Validation,
        ErrorClass::Unknown,
    ];

    /// Its name in files and in the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::Network => "network",
            ErrorClass::Timeout => "timeout",
            ErrorClass::RateLimit => "rate_limit",
            ErrorClass::ServerError => "server_error",
            ErrorClass::ClientError => "client_error",
            ErrorClass::Validation => "validation",
            ErrorClass::Unknown => "unknown",
        }
    }
}
