//! How long a server may take.

use std::time::Duration;

/// How long a server may take before it counts as away.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For one call, from the moment it has a session. Longer than the server lets a statement run (10 s), so that what is only slow ends
    /// with the server's own error and keeps its session.
    pub call: Duration,
    /// To open a session and to set it.
    pub connect: Duration,
    /// To find out whether a session that rested lives.
    pub test: Duration,
    /// For a session, while others use all there are.
    pub acquire: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            call: Duration::from_secs(15),
            connect: Duration::from_secs(5),
            test: Duration::from_secs(2),
            acquire: Duration::from_secs(5),
        }
    }
}
