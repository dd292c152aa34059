//! Follows one saga over the API of an engine, and tells by an exit code where it has got to.

use super::{
    OutputFormat, output,
    server::{ApiClient, encoded},
};
use crate::visible;
use anyhow::{Context, bail};
use saga_core::state::SagaStatus;
use saga_engine::journal::history::span;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};
use tokio::time::Instant;

/// How long the engine holds a request back: shorter than the client waits for an answer.
const HELD_BACK: Duration = Duration::from_secs(15);
/// Between two tries while the engine does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// An engine that restarts is there again by then.
const MOST_SILENCE: Duration = Duration::from_secs(60);

/// Where a saga has got to, as an exit code: 1 and 2 are of failures and wrong arguments.
pub(super) const EXIT_CODES: &str =
    "Exit code: 0 completed, 3 compensated, 4 parked, 5 abandoned, 6 none of these in time";

/// The code of a saga with this status that is not followed any further.
pub(super) fn exit_code(status: SagaStatus) -> ExitCode {
    ExitCode::from(match status {
        SagaStatus::Completed => 0,
        SagaStatus::Compensated => 3,
        SagaStatus::Parked => 4,
        SagaStatus::Abandoned => 5,
        SagaStatus::Running | SagaStatus::Waiting | SagaStatus::Compensating => 6,
    })
}

/// What ends the following of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowUntil {
    /// Its end only: a person may move a parked saga on.
    Ended,
    /// Its end, or that it is parked.
    EndedOrParked,
}

impl FollowUntil {
    fn is_reached(self, status: SagaStatus) -> bool {
        status.is_terminal() || self == FollowUntil::EndedOrParked && status == SagaStatus::Parked
    }
}

/// One saga that is followed.
pub(super) struct FollowedSaga<'a> {
    client: &'a ApiClient,
    /// The path of its events, and parameters that it needs.
    path: String,
    parameters: String,
    after: String,
    silent_since: Option<Instant>,
}

impl<'a> FollowedSaga<'a> {
    /// The saga that has this id or key.
    pub(super) fn new(client: &'a ApiClient, name: &str, saga: Option<&str>) -> FollowedSaga<'a> {
        // Every HTTP client resolves these two as parts of the path, however they are encoded.
        let (segment, key) = if matches!(name, "." | "..") { ("-", Some(name)) } else { (name, None) };
        let given = [("saga", saga), ("key", key)];
        let parameters =
            given.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", encoded(value?)))).collect();
        let path = format!("/api/sagas/{}/events", encoded(segment));
        FollowedSaga { client, path, parameters, after: "0.0".to_owned(), silent_since: None }
    }

    /// Hands over each event until the saga is where `until` says, or the time is over; returns its last status.
    pub(super) async fn follow(
        &mut self,
        until: FollowUntil,
        end: Option<Instant>,
        mut each: impl FnMut(&Value) -> anyhow::Result<bool>,
    ) -> anyhow::Result<SagaStatus> {
        loop {
            let left = end.map_or(HELD_BACK, |end| end.saturating_duration_since(Instant::now()).min(HELD_BACK));
            let Some(page) = self.ask(left, end).await? else { continue };
            let Some(status) = page["status"].as_str().and_then(|status| status.parse::<SagaStatus>().ok()) else {
                bail!(super::server::NEWER_ENGINE)
            };
            for event in page["events"].as_array().into_iter().flatten() {
                if !each(event)? {
                    return Ok(status);
                }
            }
            let has_more = page["ended"] == Value::Bool(false) && status.is_terminal();
            if until.is_reached(status) && !has_more || end.is_some_and(|end| Instant::now() >= end) {
                return Ok(status);
            }
        }
    }

    /// `None`: the engine does not answer, and the command tries again.
    async fn ask(&mut self, wait: Duration, end: Option<Instant>) -> anyhow::Result<Option<Value>> {
        let FollowedSaga { path, parameters, after, .. } = &self;
        let asked = format!("{path}?after={after}&waitMs={}{parameters}", wait.as_millis());
        match self.client.get(&asked).await {
            Ok(page) => {
                self.silent_since = None;
                self.after = page["next"].as_str().context(super::server::NEWER_ENGINE)?.to_owned();
                Ok(Some(page))
            }
            Err(error) => {
                let since = *self.silent_since.get_or_insert_with(Instant::now);
                let is_first = self.after == "0.0";
                if is_first || since.elapsed() >= MOST_SILENCE || end.is_some_and(|end| Instant::now() >= end) {
                    return Err(error);
                }
                tokio::time::sleep(TRY_AGAIN).await;
                Ok(None)
            }
        }
    }
}

/// Prints one event; false: the reader of stdout has closed it.
pub(super) fn print(event: &Value, format: OutputFormat) -> anyhow::Result<bool> {
    output::next(event, format, line)
}

/// `2026-12-01T09:00:00.000Z     3.0  charge succeeded (took 12 ms)`
fn line(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let took = event["tookMs"].as_u64().map(|ms| format!(" (took {})", span(ms))).unwrap_or_default();
    format!("{}  {:>6}  {}{took}", text("at"), text("event"), visible::in_line(text("text")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line() {
        let event =
            json!({"at": "2026-12-01T09:00:00.000Z", "event": "3.0", "text": "charge\nsucceeded", "tookMs": 12});
        let line = line(&event);
        assert!(
            line.starts_with("2026-12-01T09:00:00.000Z     3.0  charge") && line.ends_with("(took 12 ms)"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_parked_saga_ends_a_wait_and_no_watch() {
        assert!(FollowUntil::EndedOrParked.is_reached(SagaStatus::Parked));
        assert!(!FollowUntil::Ended.is_reached(SagaStatus::Parked));
        assert!(FollowUntil::Ended.is_reached(SagaStatus::Abandoned));
        assert!(!FollowUntil::EndedOrParked.is_reached(SagaStatus::Compensating));
    }
}
