//! The last calls to a participant that failed: what people ask for first when its breaker is open.

use crate::json_format::as_rfc3339;
use saga_base::clock::EngineClock;
use saga_core::{
    command::{CommandFailure, ErrorClass},
    id::SagaId,
    time::Timestamp,
};
use serde::{Serialize, Serializer};
use std::collections::VecDeque;

/// Failures that are kept of a participant: enough to see whether they are all alike.
const KEPT: usize = 5;
/// Characters that are kept of what the participant said.
const MESSAGE_CHARS: usize = 200;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedCall {
    /// When the call failed, by this engine's clock.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: Timestamp,
    /// Id of the saga whose command failed.
    pub saga: String,
    /// The kind of the failure; `None`: the failure has no class.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_word")]
    pub class: Option<ErrorClass>,
    /// Stable, short code of the failure, for programs to compare.
    pub code: String,
    /// What the participant said, or what is known of the failure.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl FailedCall {
    pub(super) fn now(saga: SagaId, failure: &CommandFailure) -> FailedCall {
        FailedCall {
            at: EngineClock::Wall.now(),
            saga: saga.to_string(),
            class: failure.class,
            code: failure.code.clone(),
            message: failure.message.chars().take(MESSAGE_CHARS).collect(),
        }
    }

    /// Code, message and class: `http.500 db down (server_error)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let message = if self.message.is_empty() { String::new() } else { format!(" {}", self.message) };
        let class = self.class.map(|class| format!(" ({})", class.as_str())).unwrap_or_default();
        format!("{}{message}{class}", self.code)
    }
}

/// What is kept of a participant's failures.
#[derive(Clone, Debug, Default)]
pub(super) struct RecentFailures {
    /// At most [`KEPT`] failures, the newest first.
    last: VecDeque<FailedCall>,
    /// Those that were the last when the breaker opened; none while it is closed.
    before_opening: Vec<FailedCall>,
}

impl RecentFailures {
    pub(super) fn add(&mut self, failed: FailedCall) {
        self.last.truncate(KEPT - 1);
        self.last.push_front(failed);
    }

    /// The breaker opened, by something else than a probe.
    pub(super) fn opened(&mut self) {
        self.before_opening = self.last();
    }

    pub(super) fn closed(&mut self) {
        self.before_opening.clear();
    }

    pub(super) fn last(&self) -> Vec<FailedCall> {
        self.last.iter().cloned().collect()
    }

    pub(super) fn failures_before_opening(&self) -> Vec<FailedCall> {
        self.before_opening.clone()
    }
}

#[allow(clippy::ref_option, reason = "serde calls it with a reference")]
fn as_word<S: Serializer>(class: &Option<ErrorClass>, serializer: S) -> Result<S::Ok, S::Error> {
    class.map(ErrorClass::as_str).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::id::ShardId;

    fn failed(code: &str) -> FailedCall {
        FailedCall::now(SagaId::new(Timestamp(1_000), ShardId(7), 42), &CommandFailure::new(code, "ü".repeat(1_000)))
    }

    #[test]
    fn the_last_failures_are_kept_newest_first_and_cut() {
        let mut failures = RecentFailures::default();
        for number in 0..20 {
            failures.add(failed(&format!("http.5{number:02}")));
        }
        let kept: Vec<String> = failures.last().into_iter().map(|it| it.code).collect();
        assert_eq!(kept, ["http.519", "http.518", "http.517", "http.516", "http.515"]);
        assert_eq!(failures.last()[0].message.chars().count(), MESSAGE_CHARS);
    }

    #[test]
    fn what_opened_the_breaker_is_kept_until_it_closes() {
        let mut failures = RecentFailures::default();
        failures.add(failed("http.500"));
        failures.opened();
        (0..20).for_each(|_| failures.add(failed("timeout")));
        assert_eq!(failures.failures_before_opening().len(), 1);
        assert_eq!(failures.failures_before_opening()[0].code, "http.500");
        failures.closed();
        assert_eq!(failures.failures_before_opening(), []);
    }
}
