//! The participant: how it is when, and what it answers then.

use crate::Lots;
use saga_guards::breaker::CallVerdict;
use std::time::Duration;

/// After which a call that is not answered is given up.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Health {
    Well,
    /// This share of its answers are errors of its own.
    Fails(f64),
    /// Nobody listens.
    Dead,
    /// It takes calls and answers none.
    Hangs,
}

/// Somebody who is called.
pub(crate) struct Participant {
    health: fn(Duration) -> Health,
}

impl Participant {
    pub(crate) fn new(health: fn(Duration) -> Health) -> Participant {
        Participant { health }
    }

    /// What a call that leaves at `time` is answered, and after how long.
    pub(crate) fn answer(&mut self, time: Duration, lots: &mut Lots) -> (CallVerdict, Duration) {
        let usual = Duration::from_millis(20 + lots.draw() % 41);
        match (self.health)(time) {
            Health::Well => (CallVerdict::Succeeded, usual),
            Health::Fails(share) if (lots.draw() % 1_000) as f64 <= share * 1_000.0 => (CallVerdict::Failed, usual),
            Health::Fails(_) => (CallVerdict::Succeeded, usual),
            Health::Dead => (CallVerdict::Failed, Duration::from_millis(1)),
            Health::Hangs => (CallVerdict::Failed, ATTEMPT_TIMEOUT),
        }
    }
}
