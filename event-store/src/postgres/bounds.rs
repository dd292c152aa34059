//! Time limits for calls to a server.

use std::time::Duration;

/// How long the store waits for a server before it treats it as unavailable.
#[derive(Clone, Copy, Debug)]
pub struct PostgresTimeouts {
    /// Maximum time of one call, from the moment it has a session. It is longer than the server's limit for a statement
    /// (10 s). A statement that is only slow therefore ends with the server's error, and the session can be used again.
    pub call: Duration,
    /// Maximum time to open a session and to apply its settings.
    pub connect: Duration,
    /// Maximum time to test an idle session.
    pub test: Duration,
    /// Maximum time to wait for a session while calls use all of them.
    pub acquire: Duration,
}

impl Default for PostgresTimeouts {
    fn default() -> PostgresTimeouts {
        PostgresTimeouts {
            call: Duration::from_secs(15),
            connect: Duration::from_secs(5),
            test: Duration::from_secs(2),
            acquire: Duration::from_secs(5),
        }
    }
}
