//! Which guards sagas wait on, as queries say it.

use saga_core::command::GuardKind;
use std::{fmt, str::FromStr};

/// Which guards sagas wait on: those of a kind, of a participant, of both, or any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardFilter {
    /// The kind of the guard; `None`: any kind.
    pub guard: Option<GuardKind>,
    /// The participant, or the topic for published events; `None`: any.
    pub participant: Option<String>,
}

impl fmt::Display for GuardFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let participant = self.participant.as_deref().unwrap_or_default();
        match self.guard {
            Some(guard) => write!(f, "{}:{participant}", guard.as_str()),
            None => f.write_str(participant),
        }
    }
}

/// The text names neither a guard nor a participant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not something that sagas wait on: expected a participant, a guard and a colon, or \
 `guard:participant`, with one of the guards {guards}", guards = guard_words())]
pub struct GuardFilterError(String);

/// Reads a participant (`payments`), a guard (`breaker:`), or both (`breaker:payments`).
impl FromStr for GuardFilter {
    type Err = GuardFilterError;

    fn from_str(text: &str) -> Result<GuardFilter, GuardFilterError> {
        let not = || GuardFilterError(text.to_owned());
        let (guard, participant) = match text.split_once(':') {
            None => (None, text),
            Some((guard, participant)) => (Some(GuardKind::parse(guard).ok_or_else(not)?), participant),
        };
        if guard.is_none() && participant.is_empty() {
            return Err(not());
        }
        Ok(GuardFilter { guard, participant: (!participant.is_empty()).then(|| participant.to_owned()) })
    }
}

/// The words of all guards, for messages.
#[must_use]
pub fn guard_words() -> String {
    GuardKind::ALL.map(GuardKind::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_on_is_read_by_guard_and_by_participant() {
        let read = |text: &str| text.parse::<GuardFilter>().map(|it| (it.guard, it.participant));
        assert_eq!(read("payments"), Ok((None, Some("payments".into()))));
        assert_eq!(read("breaker:payments"), Ok((Some(GuardKind::Breaker), Some("payments".into()))));
        assert_eq!(read("rateLimit:"), Ok((Some(GuardKind::RateLimit), None)));
        for bad in ["", ":payments", "braker:payments"] {
            let error = read(bad).expect_err(bad).to_string();
            assert!(error.contains("breaker, bulkhead, rateLimit"), "{error}");
        }
    }
}
