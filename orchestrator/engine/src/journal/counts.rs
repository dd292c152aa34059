//! Sagas counted by what the read model says of them: groups with one cause.

use super::reading::{SagaQuery, filter};
use saga_core::{
    definition::or_did_you_mean,
    time::{Timestamp, rfc3339},
};
use saga_event_store::{EventStore, StreamDimension, StreamGroup};
use serde::Serialize;
use std::str::FromStr;

/// The most groups of one answer: operators do not look through more causes.
pub const MOST_GROUPS: u32 = 1000;

/// The properties that sagas can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountDimension {
    /// Groups sagas by their definition's name.
    Saga,
    /// Groups sagas by their status.
    Status,
    /// Groups sagas by the step that they wait for, are parked for, or went back for.
    Step,
    /// Groups sagas by the code of what failed.
    Code,
    /// Groups sagas by the guards that hold them back.
    WaitingOn,
    /// Groups sagas by the hash of their definition.
    Definition,
}

impl CountDimension {
    /// All dimensions that sagas can be counted by.
    pub const ALL: [CountDimension; 6] = [
        CountDimension::Saga,
        CountDimension::Status,
        CountDimension::Step,
        CountDimension::Code,
        CountDimension::WaitingOn,
        CountDimension::Definition,
    ];

    /// The dimension's name in the API, in camel case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CountDimension::Saga => "saga",
            CountDimension::Status => "status",
            CountDimension::Step => "step",
            CountDimension::Code => "code",
            CountDimension::WaitingOn => "waitingOn",
            CountDimension::Definition => "definition",
        }
    }

    fn dimension(self) -> StreamDimension {
        match self {
            CountDimension::Saga => StreamDimension::Category,
            CountDimension::Status => StreamDimension::Status,
            CountDimension::Step => StreamDimension::Step,
            CountDimension::Code => StreamDimension::Code,
            CountDimension::WaitingOn => StreamDimension::WaitsOn,
            CountDimension::Definition => StreamDimension::Document,
        }
    }
}

impl FromStr for CountDimension {
    type Err = String;

    fn from_str(text: &str) -> Result<CountDimension, String> {
        CountDimension::ALL.into_iter().find(|by| by.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let guess = or_did_you_mean(text, CountDimension::ALL.map(CountDimension::as_str));
            let words = CountDimension::ALL.map(CountDimension::as_str).join(", ");
            format!("sagas are not counted by `{text}`: expected one of {words}{guess}")
        })
    }
}

/// Sagas that agree in what they are counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaGroup {
    /// The number of sagas in this group.
    pub count: i64,
    /// Name of their definition; `None` if sagas are not counted by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// Their status; `None` if sagas are not counted by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The step that they wait for, are parked for, or went back for; `None` if they have none or are not counted by
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The code of what failed; `None` if nothing failed or sagas are not counted by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The guards that hold them back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_on: Vec<String>,
    /// Hash of their definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// When the oldest of them started. RFC 3339, UTC.
    pub oldest_started_at: String,
    /// Since when the first of them is as it is. RFC 3339, UTC.
    pub oldest_since: String,
}

impl From<StreamGroup> for SagaGroup {
    fn from(tally: StreamGroup) -> SagaGroup {
        SagaGroup {
            count: tally.streams,
            saga: tally.category,
            status: tally.status,
            step: tally.step,
            code: tally.code,
            waiting_on: tally.waits_on.iter().map(ToString::to_string).collect(),
            definition: tally.document,
            oldest_started_at: rfc3339(Timestamp(tally.oldest_started_ms)),
            oldest_since: rfc3339(Timestamp(tally.oldest_changed_ms)),
        }
    }
}

/// Sagas that have ended are counted within a time only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sagas that have ended are without number: say since when they started")]
pub struct UnboundedCountError;

/// The sagas that are wanted, the most first. Unless asked otherwise those that go on: of those that have ended only
/// those that started within a time are looked at.
///
/// # Errors
/// When the store does not answer.
pub async fn count(
    store: &dyn EventStore,
    wanted: &SagaQuery,
    by: &[CountDimension],
) -> Result<Vec<SagaGroup>, saga_event_store::StoreError> {
    let by: Vec<StreamDimension> = by.iter().map(|by| by.dimension()).collect();
    let groups = store.tally(&filter(&SagaQuery { limit: MOST_GROUPS, ..wanted.clone() }), &by).await?;
    Ok(groups.into_iter().map(SagaGroup::from).collect())
}

/// What is counted where this is wanted.
///
/// # Errors
/// When it asks for sagas that have ended, of all times.
pub fn countable(wanted: SagaQuery) -> Result<SagaQuery, UnboundedCountError> {
    match (wanted.started_from, wanted.statuses.is_empty()) {
        (Some(_), _) => Ok(wanted),
        (None, true) => Ok(SagaQuery { only_open: true, ..wanted }),
        (None, false) if wanted.only_open() => Ok(wanted),
        (None, false) => Err(UnboundedCountError),
    }
}
