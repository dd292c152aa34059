//! `GET /health/deep`: every dependency is asked, each within its own time. At most once in 30 s, whoever asks: a check
//! that many callers ask for must not become load.

use crate::{
    api::ApiState,
    telemetry::otlp::standing::{LastRequest, SentSignal, standings},
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use saga_base::operations::{self, OperationKind};
use saga_engine::QueryHandle;
use saga_kafka::EndOffsetReader;
use saga_resilience::{json_format::millis, lifecycle::LifecyclePhase, snapshot::ParticipantSnapshot};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Maximum wait for one dependency.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a result serves.
const SERVES: Duration = Duration::from_secs(30);

/// How a dependency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum DependencyStatus {
    /// It answers.
    Up,
    /// It answers some calls, or nothing is lost without it.
    Degraded,
    /// It does not answer.
    Down,
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DependencyCheck {
    name: String,
    kind: &'static str,
    status: DependencyStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The checks, and when they were made.
type MadeChecks = (Instant, Arc<[DependencyCheck]>);

/// The last result, and the way to the next.
#[derive(Clone, Debug)]
pub(super) struct DeepHealthCache {
    query: QueryHandle,
    kafka: EndOffsetReader,
    inbox: Arc<str>,
    /// The lock is held during a check, so that only one runs.
    last: Arc<Mutex<Option<MadeChecks>>>,
}

impl DeepHealthCache {
    pub(super) fn new(query: QueryHandle, kafka: EndOffsetReader, inbox: Arc<str>) -> DeepHealthCache {
        DeepHealthCache { query, kafka, inbox, last: Arc::default() }
    }

    /// The checks, and when they were made: in the last 30 s, or now.
    async fn checks(self) -> MadeChecks {
        let mut last = self.last.lock().await;
        if let Some((at, checks)) = last.as_ref().filter(|(at, _)| at.elapsed() < SERVES) {
            return (*at, Arc::clone(checks));
        }
        let checks = Arc::from(self.made().await);
        let made = (Instant::now(), checks);
        *last = Some(made.clone());
        made
    }

    async fn made(&self) -> Vec<DependencyCheck> {
        let health = self.query.health();
        let store = timed("event store", "store", async { Some(self.query.ping_store().await) });
        let kafka = timed("kafka", "broker", async { Some(self.kafka.partitions(&self.inbox).await) });
        let registry = timed("schema registry", "registry", health.ping_registry());
        let (store, kafka, registry) = tokio::join!(store, kafka, registry);
        // Records that need a schema wait for the registry, and nothing is lost.
        let registry =
            registry.map(|check| DependencyCheck { status: check.status.min(DependencyStatus::Degraded), ..check });
        let participants = self.query.guards();
        let own = [store, kafka, registry].into_iter().flatten();
        own.chain(participants.iter().map(of_participant)).chain(standings().into_iter().map(of_collector)).collect()
    }
}

/// Waits for one answer; `None`: there is nobody to ask.
async fn timed<T, E: Display>(
    name: &str,
    kind: &'static str,
    asked: impl Future<Output = Option<Result<T, E>>>,
) -> Option<DependencyCheck> {
    let began = Instant::now();
    let failure = match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(None) => return None,
        Ok(Some(Ok(_))) => None,
        Ok(Some(Err(error))) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
    };
    let status = if failure.is_none() { DependencyStatus::Up } else { DependencyStatus::Down };
    let detail = failure.map(|text| saga_base::secrets::covered(&text).into_owned());
    Some(DependencyCheck { name: name.to_owned(), kind, status, latency_ms: Some(millis(began.elapsed())), detail })
}

/// A participant is not called for this: its guards and its own checks know, and a call might have an effect.
fn of_participant(it: &ParticipantSnapshot) -> DependencyCheck {
    let (status, detail) = match it.lifecycle {
        LifecyclePhase::Running => (DependencyStatus::Up, None),
        LifecyclePhase::Registered | LifecyclePhase::Starting => {
            (DependencyStatus::Up, Some("nothing is known of it yet"))
        }
        LifecyclePhase::Degraded => (DependencyStatus::Degraded, Some("its guards let some calls through")),
        LifecyclePhase::Stopping => (DependencyStatus::Degraded, Some("it was removed and ends what is under way")),
        LifecyclePhase::Failed => (DependencyStatus::Down, Some("its guards let no calls through")),
    };
    let latency_ms = it.health.as_ref().and_then(|health| health.latency_ms).or_else(|| median_of_calls(&it.name));
    let (name, detail) = (it.name.clone(), detail.map(str::to_owned));
    DependencyCheck { name, kind: "participant", status, latency_ms, detail }
}

/// The collector is not asked for this: the last request with spans or metrics tells. Sagas never wait for it.
fn of_collector((signal, last): (SentSignal, LastRequest)) -> DependencyCheck {
    let (status, latency_ms, detail) = match last {
        LastRequest::None => (DependencyStatus::Up, None, Some("nothing was sent yet".to_owned())),
        LastRequest::Taken(took) => (DependencyStatus::Up, Some(millis(took)), None),
        LastRequest::Refused(why) => (DependencyStatus::Degraded, None, Some(why)),
    };
    let detail = detail.map(|text| saga_base::secrets::covered(&text).into_owned());
    DependencyCheck { name: format!("collector of {}", signal.as_str()), kind: "collector", status, latency_ms, detail }
}

/// Half of the calls of the last minutes took this long or shorter.
fn median_of_calls(participant: &str) -> Option<u64> {
    let figures = operations::figures();
    let of = figures.iter().find(|one| one.kind == OperationKind::Call && &*one.subject == participant)?;
    Some(millis(of.percentiles[0]))
}

/// Without participants the engine works on, and without store or broker it does not.
fn overall(checks: &[DependencyCheck]) -> DependencyStatus {
    let of_one = |check: &DependencyCheck| match check.kind {
        "participant" => check.status.min(DependencyStatus::Degraded),
        _ => check.status,
    };
    checks.iter().map(of_one).max().unwrap_or(DependencyStatus::Up)
}

pub(in crate::api) async fn deep(State(backend): State<ApiState>) -> Response {
    // A task of its own: a caller that goes away does not end a check that others wait for.
    let checking = tokio::spawn(backend.monitoring.deep.clone().checks());
    let Ok((at, checks)) = checking.await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let status = overall(&checks);
    let code = match status {
        DependencyStatus::Up | DependencyStatus::Degraded => StatusCode::OK,
        DependencyStatus::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body: Value = json!({"status": status, "checkedAgoMs": millis(at.elapsed()), "checks": &*checks});
    (code, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &'static str, status: DependencyStatus) -> DependencyCheck {
        DependencyCheck { name: kind.to_owned(), kind, status, latency_ms: None, detail: None }
    }

    #[test]
    fn a_participant_that_is_down_degrades_and_a_store_that_is_down_stops() {
        use DependencyStatus::{Degraded, Down, Up};
        assert_eq!(overall(&[check("store", Up), check("participant", Down)]), Degraded);
        assert_eq!(overall(&[check("store", Down), check("participant", Up)]), Down);
        assert_eq!(overall(&[]), Up);
        let refused = of_collector((SentSignal::Traces, LastRequest::Refused("503".into())));
        assert_eq!(refused.name, "collector of traces");
        assert_eq!(overall(&[refused]), Degraded);
        assert_eq!(of_collector((SentSignal::Metrics, LastRequest::None)).status, Up);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_in_time_is_down() {
        let silent = timed("event store", "store", std::future::pending::<Option<Result<(), String>>>()).await;
        let silent = silent.expect("somebody was asked");
        assert_eq!((silent.status, silent.detail.as_deref()), (DependencyStatus::Down, Some("no answer within 2 s")));
        assert!(timed("schema registry", "registry", async { None::<Result<(), String>> }).await.is_none());
    }
}
