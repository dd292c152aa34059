//! Policies: retries and timeouts of every command of a definition, resolved when a saga starts and pinned to it.

use crate::{
    command::{CommandDirection, CommandRef, CommandRequest},
    digest::sha256_hex,
    id::StepIndex,
};
pub use saga_guards::retry::{AttemptLimit, RetryPolicy};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happens when a step's retries are used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExhaustionPolicy {
    /// The saga is undone (before the pivot).
    #[default]
    Compensate,
    /// The saga waits for an operator.
    Park,
}

/// Whether the time of a saga or a step runs on during an outage, in which this engine could not read an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutagePolicy {
    /// It stands still: the time ends later, by as long as the outages lasted.
    #[default]
    Extend,
    /// It runs on. It fires all the same only when the answers that were there by then have been read.
    Count,
}

/// Retries as a file says them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRule {
    /// What the file says, over the defaults of its place.
    pub policy: RetryPolicy,
    /// Whether it says how many attempts; if not, what it has of them does not hold where a step is usually tried for
    /// ever.
    pub says_attempts: bool,
}

impl RetryRule {
    /// The policy of a step which, where the file does not say so, is tried `usual` times.
    #[must_use]
    pub fn on(&self, usual: AttemptLimit) -> RetryPolicy {
        match usual {
            AttemptLimit::Forever if !self.says_attempts => RetryPolicy { attempts: usual, ..self.policy.clone() },
            AttemptLimit::Forever | AttemptLimit::Limited(_) => self.policy.clone(),
        }
    }
}

/// Policy of one command. Step over saga over participant over default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandPolicy {
    /// Attempts and the delays between them.
    pub retry: RetryPolicy,
    /// Timeout of one attempt, from the moment that the guards let it be sent to the answer.
    pub attempt_timeout: Duration,
}

/// How long a call over HTTP may wait in memory after it was decided on: at most a second for the rate limit and one
/// for its permit of the bulkhead. A command over Kafka waits for nothing then.
const LEAVING: Duration = Duration::from_secs(2);

/// The shortest and the longest time that an attempt is taken to run on after the saga has stopped waiting for it.
const RUNS_ON: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

impl CommandPolicy {
    /// How long the saga waits for an attempt that does `request`, from the moment that it is decided on. Over HTTP the
    /// task that makes the call applies the call's timeout from the moment it is sent, so that this ends only an
    /// attempt that has no such task any more.
    #[must_use]
    pub fn time_for(&self, request: Option<&CommandRequest>) -> Duration {
        match request {
            Some(CommandRequest::Http { .. }) => self.attempt_timeout.saturating_add(LEAVING),
            Some(CommandRequest::Kafka { .. } | CommandRequest::Publish { .. }) | None => self.attempt_timeout,
        }
    }

    /// How long an attempt that does `request` is taken to run on at the participant once it is given up in doubt: for
    /// as long again as it was awaited, but at least 5 s, because a short timeout says little of the participant, and
    /// at most a minute, so that a refusal is not taken for a conflict for long.
    #[must_use]
    pub fn runs_on(&self, request: Option<&CommandRequest>) -> Duration {
        let (least, most) = RUNS_ON;
        self.time_for(request).clamp(least, most)
    }
}

/// Policy of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepPolicy {
    /// Attempts and timeout of its do.
    #[serde(rename = "do")]
    pub forward: CommandPolicy,
    /// Attempts and timeout of its undo.
    pub undo: CommandPolicy,
    /// Everything of the do, waits included; `None` has no limit.
    pub timeout: Option<Duration>,
    /// Whether `timeout` runs on in outages.
    #[serde(default)]
    pub on_outage: OutagePolicy,
    /// When the do's retries are used up.
    pub on_exhausted: ExhaustionPolicy,
}

/// Policies of all steps, by position; stored as canonical JSON under its SHA-256.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaPolicies {
    /// One per step of the definition.
    pub steps: Vec<StepPolicy>,
    /// The whole saga; `None` has no limit.
    pub timeout: Option<Duration>,
    /// Whether `timeout` runs on in outages.
    #[serde(default)]
    pub on_outage: OutagePolicy,
}

impl SagaPolicies {
    /// The policy of a step.
    ///
    /// # Panics
    /// If `step` is not a position of the definition these policies were resolved for.
    #[must_use]
    pub fn step(&self, step: StepIndex) -> &StepPolicy {
        &self.steps[step.at()]
    }

    /// The policy of a command.
    #[must_use]
    pub fn command(&self, command: CommandRef) -> &CommandPolicy {
        match command.direction {
            CommandDirection::Do => &self.step(command.step).forward,
            CommandDirection::Undo => &self.step(command.step).undo,
        }
    }
}

impl SagaPolicies {
    /// The text that is stored: compact JSON, the same for equal policies.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        serde_json::to_string(self).expect("policies have string keys only")
    }

    /// Hex SHA-256 of the stored text.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256_hex(&self.canonical_json())
    }

    /// Reads a stored text back.
    ///
    /// # Errors
    /// When it is not the text of policies.
    pub fn from_json(text: &str) -> Result<SagaPolicies, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HttpMethod;

    #[test]
    fn an_attempt_over_http_is_awaited_for_as_long_as_it_may_take_to_leave_too() {
        let policy = CommandPolicy { retry: RetryPolicy::standard(), attempt_timeout: Duration::from_secs(5) };
        let participant = || "payments".to_owned();
        let http = CommandRequest::Http {
            participant: participant(),
            method: HttpMethod::Post,
            path: "charges".into(),
            body: None,
        };
        let kafka = CommandRequest::Kafka {
            participant: participant(),
            command: "Charge".into(),
            body: serde_json::Value::Null,
        };
        assert_eq!(policy.time_for(Some(&http)), Duration::from_secs(7));
        assert_eq!(policy.time_for(Some(&kafka)), Duration::from_secs(5));
    }
}
