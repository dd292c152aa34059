//! Kinds of failures, and what each is worth to the retries and to the guards.

use crate::breaker::CallVerdict;
use serde::{Deserialize, Serialize};

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// There was no connection to the participant, or it broke.
    Network,
    /// The participant did not answer in time.
    Timeout,
    /// The participant asks for fewer calls: 429.
    RateLimit,
    /// The participant had an error of its own: 5xx.
    ServerError,
    /// The participant refuses the call: 401, 403, 404, 409, …
    ClientError,
    /// The participant refuses what was sent: 400, 413, 422.
    Validation,
    /// The failure fits none of the other classes.
    Unknown,
}

impl ErrorClass {
    /// Every class, in the order of this enum.
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

    /// What it says to the breaker: a participant that refuses works, one that asks for fewer calls is not down.
    #[must_use]
    pub fn verdict(self) -> CallVerdict {
        match self {
            ErrorClass::Network | ErrorClass::Timeout | ErrorClass::ServerError | ErrorClass::Unknown => {
                CallVerdict::Failed
            }
            ErrorClass::RateLimit => CallVerdict::Throttled,
            ErrorClass::ClientError | ErrorClass::Validation => CallVerdict::Succeeded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_worth_what_the_table_says() {
        let table = ErrorClass::ALL.map(|class| (class.as_str(), class.verdict()));
        assert_eq!(
            table,
            [
                ("network", CallVerdict::Failed),
                ("timeout", CallVerdict::Failed),
                ("rate_limit", CallVerdict::Throttled),
                ("server_error", CallVerdict::Failed),
                ("client_error", CallVerdict::Succeeded),
                ("validation", CallVerdict::Succeeded),
                ("unknown", CallVerdict::Failed),
            ]
        );
    }
}
