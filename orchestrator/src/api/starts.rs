//! `POST /api/sagas`: begins a saga of a definition, without a record of its topic.

use super::{
    ApiState,
    acts::{ActStatus, OperatorStatement, act_id, to_its_end, waits},
    auth::ApiCaller,
    definitions,
    errors::{ApiError, RequestBodyKind},
    request,
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use saga_core::direct_start::{DirectStart, OWN_HEADERS};
use saga_engine::{
    journal::reading::SagaLine,
    start_sender::{self, KeyedSaga, StartOutcome},
};
use saga_wire::direct::DirectTrigger;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// An event of 1 MiB, and what stands around it.
pub(super) const BODY_BYTES: usize = 2 * 1024 * 1024;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Headers of the request that the record has, too, unless the body says otherwise: the saga belongs to the trace.
const CONTEXT: [&str; 3] = ["traceparent", "tracestate", "baggage"];
const CORRELATION_ID: &str = "x-correlation-id";
/// For a caller that gives no reason.
const REASON: &str = "started over the API";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct StartBody {
    id: Option<String>,
    who: Option<String>,
    reason: Option<String>,
    /// Name of the definition.
    definition: String,
    /// The business key that the saga is to have; also the key of what stands in place of a record.
    key: Option<String>,
    /// The payload; without one it is empty.
    event: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long to wait, in milliseconds, until the saga waits, is parked or has ended.
    #[serde(default)]
    wait_ms: u64,
}

/// How a start that is not refused went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum StartStatus {
    #[serde(rename = "started")]
    Started,
    #[serde(rename = "started before")]
    Before,
    #[serde(rename = "accepted, not yet applied")]
    Accepted,
}

impl StartStatus {
    fn code(self) -> StatusCode {
        match self {
            StartStatus::Started => StatusCode::CREATED,
            StartStatus::Before => StatusCode::OK,
            StartStatus::Accepted => StatusCode::ACCEPTED,
        }
    }

    fn act(self) -> ActStatus {
        match self {
            StartStatus::Started => ActStatus::Applied,
            StartStatus::Before => ActStatus::Done,
            StartStatus::Accepted => ActStatus::Accepted,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartResponse {
    status: StartStatus,
    id: String,
    definition: String,
    /// The business key.
    key: String,
    /// The saga that has the key, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    saga: Option<String>,
    /// The saga after the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Box<SagaLine>>,
}

pub(super) async fn start(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: StartBody = request::read(RequestBodyKind::Start, &headers, &body)?;
    let wait = waits(asked.wait_ms)?;
    let reason = asked.reason.clone().unwrap_or_else(|| REASON.to_owned());
    let statement = OperatorStatement::checked(&caller, asked.who.clone(), reason)?;
    let id = act_id(id(asked.id.clone(), &headers)?)?;
    let (definition, trigger) = wanted(asked, &statement, (&caller, &headers), id)?;
    performed(&backend, &statement, definition, trigger, wait).await
}

/// The id of the request: of the header, or of the body as in other acts.
fn id(of_body: Option<String>, headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(header) = headers.get(IDEMPOTENCY_KEY) else { return Ok(of_body) };
    let text = header.to_str().map_err(|_| ApiError::BadValue("the header Idempotency-Key is not text".to_owned()))?;
    // A structured field writes a text in quotes.
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).to_owned();
    match of_body {
        Some(other) if other != text => {
            Err(ApiError::BadValue("`id` and the header Idempotency-Key differ: send one of them".to_owned()))
        }
        Some(_) | None => Ok(Some(text)),
    }
}

fn wanted(
    asked: StartBody,
    by: &OperatorStatement,
    (caller, request): (&ApiCaller, &HeaderMap),
    id: String,
) -> Result<(String, DirectTrigger), ApiError> {
    if asked.key.is_none() && asked.event.is_none() {
        return Err(ApiError::BadValue("a start needs `event`, `key` or both".to_owned()));
    }
    let mut headers = asked.headers;
    let text = |name: &str| request.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if !headers.contains_key(CONTEXT[0]) {
        headers.extend(CONTEXT.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))));
    }
    let correlation = caller.context.correlation_id.to_string();
    headers.entry(CORRELATION_ID.to_owned()).or_insert(correlation);
    let start = DirectStart { id, who: by.who.clone(), reason: by.reason.clone() };
    let event = asked.event.unwrap_or_else(|| json!({}));
    let trigger = DirectTrigger { key: asked.key, event, headers, start };
    match trigger.own_header() {
        Some(name) => {
            let name = name.to_owned();
            Err(ApiError::BadValue(format!(
                "`headers` has `{name}`: names that begin with {OWN_HEADERS} are the engine's"
            )))
        }
        None => Ok((asked.definition, trigger)),
    }
}

async fn performed(
    backend: &ApiState,
    statement: &OperatorStatement,
    definition: String,
    trigger: DirectTrigger,
    wait: Duration,
) -> Result<Response, ApiError> {
    let (operator, id) = (backend.operator.clone(), trigger.start.id.clone());
    let named = definition.clone();
    let came = to_its_end(async move { operator.start(&named, &trigger).await }).await;
    let (status, key, saga) = match came {
        Ok(came) => told(came?, &definition, backend)?,
        // The task has panicked: whether it had sent the start is not known.
        Err(_) => return Err(ApiError::TimedOut),
    };
    let now = match saga {
        Some(saga) => backend.operator.result(saga, wait).await.map(Box::new),
        None => None,
    };
    statement.log("start", saga.map_or_else(|| definition.clone(), |saga| saga.to_string()), &id, status.act());
    let location = saga.map(|saga| format!("/api/sagas/{saga}"));
    let response = StartResponse { status, id, definition, key, saga: saga.map(|saga| saga.to_string()), now };
    let mut response = (status.code(), Json(response)).into_response();
    if let Some(location) = location.and_then(|location| HeaderValue::try_from(location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

type ToldStart = (StartStatus, String, Option<saga_core::id::SagaId>);

fn told(came: StartOutcome, definition: &str, backend: &ApiState) -> Result<ToldStart, ApiError> {
    let of = |status, KeyedSaga { id, key }| Ok((status, key, id));
    match came {
        StartOutcome::Started(saga) => of(StartStatus::Started, saga),
        StartOutcome::Repeated(saga) => of(StartStatus::Before, saga),
        StartOutcome::Accepted(key) => Ok((StartStatus::Accepted, key, None)),
        StartOutcome::OtherPayload(KeyedSaga { id, key }) => {
            Err(ApiError::KeyTaken { key, saga: id.map_or_else(|| "another stream".to_owned(), |id| id.to_string()) })
        }
        StartOutcome::OtherKey(key) => Err(ApiError::BadValue(format!(
            "`key` is not the key that {definition} makes of the event: that is `{key}`; leave `key` out, or send the event of that key"
        ))),
        StartOutcome::Unwanted => Err(ApiError::NotWanted(definition.to_owned())),
        StartOutcome::Poison(poison) => Err(ApiError::PoisonEvent(poison)),
        StartOutcome::Paused(pause) => Err(ApiError::DefinitionPaused { definition: definition.to_owned(), pause }),
        StartOutcome::UnknownDefinition => Err(definitions::unknown(backend, definition)),
        StartOutcome::Refused(reason) => Err(ApiError::Refused(reason)),
        StartOutcome::TooMany => Err(ApiError::TooManyActs(start_sender::MOST_STARTS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            header::HeaderName::from_static(IDEMPOTENCY_KEY),
            HeaderValue::from_str(value).expect("a value"),
        )])
    }

    #[test]
    fn the_id_is_that_of_the_header_or_of_the_body() {
        let given = |body: Option<&str>, headers: &HeaderMap| id(body.map(str::to_owned), headers).expect("an id");
        assert_eq!(given(None, &headers("a-1")).as_deref(), Some("a-1"));
        assert_eq!(given(None, &headers("\"a-1\"")).as_deref(), Some("a-1"));
        assert_eq!(given(Some("a-1"), &headers("a-1")).as_deref(), Some("a-1"));
        assert_eq!(given(Some("b"), &HeaderMap::new()).as_deref(), Some("b"));
        assert!(
            matches!(id(Some("b".into()), &headers("a-1")), Err(ApiError::BadValue(text)) if text.contains("differ"))
        );
    }
}
