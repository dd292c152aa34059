use super::*;
use crate::transport::DispatchKind;
use axum::{
    Router,
    body::Body,
    extract::Request as Received,
    http::{Response as Reply, StatusCode, header},
};
use saga_core::{
    command::{CommandDirection, CommandRequest, HttpMethod},
    definition::participants::{IdempotencyKeyFormat, StatusPattern},
    id::{CommandId, SagaId, ShardId},
    time::Timestamp,
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

mod addresses;
mod classes;
mod pace;
mod polling;
mod resent;
mod tls;
mod unreadable;
mod wire;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

pub(super) fn a_call() -> ParticipantCall {
    let saga = SagaId::new(Timestamp(1_000), ShardId(7), 42);
    ParticipantCall {
        saga,
        id: CommandId { saga, step: "charge".into(), direction: CommandDirection::Do },
        saga_name: "order".into(),
        attempt: 1,
        request: Arc::new(request(HttpMethod::Post, "charges", Some(json!({"b": 1, "a": "x"})))),
        attempt_timeout: LONG,
        location: None,
        asked: 0,
        dispatch: DispatchKind::First,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        passed_on: Vec::new(),
    }
}

fn undo() -> ParticipantCall {
    let call = a_call();
    ParticipantCall { id: CommandId { direction: CommandDirection::Undo, ..call.id }, ..call }
}

fn request(method: HttpMethod, path: &str, body: Option<Value>) -> CommandRequest {
    CommandRequest::Http { participant: "payments".into(), method, path: path.into(), body }
}

fn sending(method: HttpMethod, path: &str, body: Value) -> ParticipantCall {
    ParticipantCall { request: Arc::new(request(method, path, Some(body))), ..a_call() }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Serves `reply` to everything; the settings of a participant that is there.
pub(super) async fn answering(reply: impl Fn(Received) -> Reply<Body> + Clone + Send + Sync + 'static) -> HttpSettings {
    let (listener, address) = listen().await;
    let app = Router::new().fallback(move |received: Received| std::future::ready(reply(received)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    HttpSettings::at("payments", format!("http://{address}/api"))
}

pub(super) fn reply(status: u16, headers: &[(header::HeaderName, &str)], body: &'static str) -> Reply<Body> {
    let mut reply = Reply::new(Body::from(body));
    *reply.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        reply.headers_mut().insert(name, value.parse().expect("a value"));
    }
    reply
}

async fn ask(settings: &HttpSettings, call: &ParticipantCall) -> CommandAnswer {
    HttpParticipantClient::new(settings).expect("settings that can be called").call(call).await
}

/// The answer to `call` from a participant that says `status`.
async fn answered(call: &ParticipantCall, status: u16) -> String {
    let settings = answering(move |_| reply(status, &[], "")).await;
    summary(&ask(&settings, call).await)
}

pub(super) fn summary(answer: &CommandAnswer) -> String {
    match answer {
        CommandAnswer::Succeeded { result } => format!("succeeded {result}"),
        CommandAnswer::Failed { failure, retry, .. } => format!("failed {} {retry:?}", failure.code),
        CommandAnswer::Unknown { failure, .. } => format!("unknown {}", failure.code),
        CommandAnswer::Ongoing { location, .. } => format!("ongoing {location:?}"),
        CommandAnswer::NotSent { guard, .. } => format!("not sent {guard:?}"),
    }
}

#[tokio::test]
async fn every_status_means_what_the_table_says() {
    let again = ParticipantCall { attempt: 2, ..a_call() };
    let told = ParticipantCall { location: Some("/api/jobs/1".into()), asked: 1, ..a_call() };
    let table: &[(&ParticipantCall, u16, &str)] = &[
        (&a_call(), 200, "succeeded null"),
        (&a_call(), 202, "unknown answer.accepted"),
        (&undo(), 202, "unknown answer.accepted"),
        (&a_call(), 204, "succeeded null"),
        (&a_call(), 303, "unknown http.303"),
        (&a_call(), 400, "failed http.400 No"),
        (&a_call(), 401, "failed http.401 ThenPark"),
        (&a_call(), 403, "failed http.403 ThenPark"),
        (&a_call(), 404, "failed http.404 No"),
        (&a_call(), 407, "failed http.407 ThenPark"),
        (&a_call(), 408, "failed http.408 Yes"),
        (&a_call(), 409, "failed http.409 No"),
        (&again, 409, "failed http.409 Conflict"),
        (&a_call().repeated(), 409, "failed http.409 Conflict"),
        (&a_call(), 410, "failed http.410 No"),
        (&undo(), 410, "succeeded null"),
        (&a_call(), 422, "failed http.422 No"),
        (&a_call(), 425, "ongoing None"),
        (&a_call(), 429, "failed http.429 Yes"),
        (&a_call(), 500, "unknown http.500"),
        (&a_call(), 503, "unknown http.503"),
        (&told, 200, "succeeded null"),
        (&told, 202, "ongoing Some(\"/api/jobs/1\")"),
        (&told, 404, "unknown http.404"),
        (&told, 422, "failed http.422 No"),
        (&told, 429, "ongoing Some(\"/api/jobs/1\")"),
        (&told, 500, "unknown http.500"),
    ];
    for (call, status, meaning) in table {
        assert_eq!(answered(call, *status).await, *meaning, "{status} to {call:?}");
    }
}

#[tokio::test]
async fn settings_move_statuses_to_another_class() {
    let check = async |status: u16, retry_on: &[StatusPattern], fail_on: &[StatusPattern], meaning: &str| {
        let there = answering(move |_| reply(status, &[], "")).await;
        let settings = HttpSettings { retry_on: retry_on.to_vec(), fail_on: fail_on.to_vec(), ..there };
        assert_eq!(summary(&ask(&settings, &a_call()).await), meaning);
    };
    let retried = [StatusPattern::Exactly(409), StatusPattern::Class(5)];
    check(409, &retried, &[], "failed http.409 Yes").await;
    check(503, &retried, &[], "unknown http.503").await;
    check(503, &[], &[StatusPattern::Class(5)], "failed http.503 No").await;
    check(401, &[], &[StatusPattern::Exactly(401)], "failed http.401 No").await;
}

#[tokio::test]
async fn a_request_carries_its_identity_and_the_recorded_body() {
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let there = answering(move |received| {
        *keep.lock().expect("no panic under it") = Some(received.into_parts().0);
        reply(200, &[], "")
    })
    .await;
    let headers = vec![("x-tenant".to_owned(), "eu".to_owned())];
    let settings = HttpSettings { authorization: Some("Bearer secret".into()), headers, ..there };
    assert!(!format!("{settings:?}").contains("secret"));
    let participant = HttpParticipantClient::new(&settings).expect("settings that can be called");
    assert!(!format!("{participant:?}").contains("secret"));
    let call = ParticipantCall { attempt: 2, ..a_call() };
    participant.call(&call).await;
    let parts = seen.lock().expect("no panic under it").take().expect("it was called");
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let id = call.id.to_string();
    assert_eq!((parts.method.as_str(), parts.uri.path()), ("POST", "/api/charges"));
    assert_eq!(header("idempotency-key"), Some(id.clone()));
    assert_eq!(header("x-request-id"), Some(format!("{id}:2")));
    assert_eq!(header("x-correlation-id"), Some(call.id.saga.to_string()));
    assert_eq!(header("traceparent"), call.traceparent.as_deref().map(str::to_owned));
    assert_eq!(header("authorization").as_deref(), Some("Bearer secret"));
    assert_eq!(header("x-tenant").as_deref(), Some("eu"));
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
}

#[tokio::test]
async fn a_key_of_letters_digits_and_hyphens_is_derived_and_the_command_id_stands_beside_it() {
    let there = answering(|received| {
        let header = |name: &str| received.headers().get(name).map_or("", |value| value.to_str().expect("a text"));
        let body = format!("{} {}", header("idempotency-key"), header("x-command-id"));
        Reply::new(Body::from(body))
    })
    .await;
    let settings = HttpSettings { idempotency_key: IdempotencyKeyFormat::Uuid, ..there };
    let id = a_call().id.to_string();
    let expected = format!("succeeded \"{} {id}\"", saga_contract::idempotency_uuid(&id));
    for attempt in [1, 2] {
        assert_eq!(summary(&ask(&settings, &ParticipantCall { attempt, ..a_call() }).await), expected);
    }
}

/// What the participant saw of `call`: method, path and query, body.
async fn echoed(call: &ParticipantCall) -> Value {
    let (listener, address) = listen().await;
    let app = Router::new().fallback(async |received: Received| {
        let line = format!("{} {}", received.method(), received.uri());
        let body = axum::body::to_bytes(received.into_body(), 1_000).await.expect("a small body");
        format!("{line} {}", String::from_utf8_lossy(&body))
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    match ask(&HttpSettings::at("payments", format!("http://{address}/api/")), call).await {
        CommandAnswer::Succeeded { result } => result,
        other => panic!("expected a success, found {other:?}"),
    }
}

#[tokio::test]
async fn the_body_is_json_or_the_query() {
    assert_eq!(echoed(&a_call()).await, json!(r#"POST /api/charges {"a":"x","b":1}"#));
    let query = json!({"b": [1, 2], "a": "x y&z", "n": null, "o": {"k": true}});
    let get = sending(HttpMethod::Get, "charges/a%2Fb", query.clone());
    assert_eq!(echoed(&get).await, json!("GET /api/charges/a%2Fb?a=x+y%26z&b=1&b=2&o=%7B%22k%22%3Atrue%7D "));
    let delete = sending(HttpMethod::Delete, "charges?soft=1", json!({"id": 3}));
    assert_eq!(echoed(&delete).await, json!("DELETE /api/charges?soft=1&id=3 "));
}

#[tokio::test]
async fn a_request_that_cannot_be_made_fails_for_good() {
    let settings = HttpSettings::at("payments", "http://127.0.0.1:1/api");
    let check = async |call: ParticipantCall, meaning: &str| assert_eq!(summary(&ask(&settings, &call).await), meaning);
    check(sending(HttpMethod::Post, "../admin", json!({})), "failed request.path No").await;
    check(sending(HttpMethod::Get, "charges", json!([1])), "failed request.query No").await;
    let elsewhere = ParticipantCall { location: Some("http://other.example/jobs/1".into()), asked: 1, ..a_call() };
    check(elsewhere, "unknown request.location").await;
}

#[tokio::test]
async fn results_are_json_text_or_null() {
    let check = async |kind: Option<&'static str>, body: &'static str, expected: &str| {
        let headers: Vec<_> = kind.map(|kind| (header::CONTENT_TYPE, kind)).into_iter().collect();
        let settings = answering(move |_| reply(200, &headers, body)).await;
        assert_eq!(summary(&ask(&settings, &a_call()).await), expected, "{kind:?} {body}");
    };
    check(Some("application/json"), r#"{"id": 7}"#, r#"succeeded {"id":7}"#).await;
    check(Some("application/problem+json; charset=utf-8"), "[1]", "succeeded [1]").await;
    check(Some("application/json"), "", "succeeded null").await;
    check(Some("application/json"), r#"{"id": "#, "unknown answer.json").await;
    check(Some("application/json"), r#"{"id": "a\u0000"}"#, "unknown answer.nul").await;
    check(Some("text/plain"), "7", r#"succeeded "7""#).await;
    check(None, "done", r#"succeeded "done""#).await;
}

#[tokio::test]
async fn an_accepted_command_is_asked_for_where_the_participant_says() {
    let accepted = |place: &'static str| reply(202, &[(header::LOCATION, place), (header::RETRY_AFTER, "7")], "");
    let check = async |place: &'static str, expected: Option<&str>| {
        let settings = answering(move |_| accepted(place)).await;
        match (ask(&settings, &a_call()).await, expected) {
            (CommandAnswer::Ongoing { ask_after, location }, Some(expected)) => {
                assert_eq!((ask_after, location.as_deref()), (Some(Duration::from_secs(7)), Some(expected)));
            }
            (CommandAnswer::Unknown { failure, .. }, None) => assert_eq!(failure.code, "answer.location"),
            (other, _) => panic!("{place}: {other:?}"),
        }
    };
    check("/jobs/1?full=1", Some("/jobs/1?full=1")).await;
    check("jobs/1", Some("/api/jobs/1")).await;
    check("http://other.example/jobs/1", None).await;
    check("//other.example/jobs/1", None).await;
}

#[tokio::test]
async fn of_several_endpoints_the_one_that_accepted_is_asked() {
    let there = answering(|_| reply(202, &[(header::LOCATION, "/jobs/1")], "")).await;
    let second = answering(|_| reply(200, &[], "")).await;
    let first_url = there.endpoints[0].url.trim_end_matches("/api").to_owned();
    let settings = HttpSettings { endpoints: [there.endpoints, second.endpoints].concat(), ..second };
    let participant = HttpParticipantClient::new(&settings).expect("settings that can be called");
    let CommandAnswer::Ongoing { location, .. } = participant.call(&a_call()).await else { panic!("expected ongoing") };
    assert_eq!(location, Some(format!("{first_url}/jobs/1")));
    let told = ParticipantCall { location, asked: 1, ..a_call() };
    assert!(matches!(participant.call(&told).await, CommandAnswer::Ongoing { .. }));
    assert_eq!(summary(&participant.call(&a_call()).await), "succeeded null");
}

#[tokio::test]
async fn retry_after_is_kept() {
    let settings = answering(|_| reply(429, &[(header::RETRY_AFTER, "86400")], " slow\0 down ")).await;
    let failure = CommandFailure::new("http.429", "slow down")
        .of_origin(FailureOrigin::answer(429))
        .of_class(ErrorClass::RateLimit);
    let retry_after = Some(Duration::from_secs(3_600));
    assert_eq!(
        ask(&settings, &a_call()).await,
        CommandAnswer::Failed { failure, retry: RetryAdvice::Yes, retry_after }
    );
    let away = answering(|_| reply(503, &[(header::RETRY_AFTER, "7")], "")).await;
    let failure =
        CommandFailure::new("http.503", "").of_origin(FailureOrigin::answer(503)).of_class(ErrorClass::ServerError);
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(ask(&away, &a_call()).await, CommandAnswer::Unknown { failure, retry: RetryAdvice::Yes, retry_after });
    let broken = answering(|_| reply(500, &[(header::RETRY_AFTER, "7")], "")).await;
    let failure =
        CommandFailure::new("http.500", "").of_origin(FailureOrigin::answer(500)).of_class(ErrorClass::ServerError);
    assert_eq!(ask(&broken, &a_call()).await, CommandAnswer::unknown(failure));
}

fn class_of(answer: &CommandAnswer) -> Option<ErrorClass> {
    match answer {
        CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. } => failure.class,
        CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. } => None,
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let (listener, address) = listen().await;
    drop(listener);
    let settings = HttpSettings::at("payments", format!("http://{address}"));
    assert_eq!(summary(&ask(&settings, &a_call()).await), "failed connect Yes");
    assert_eq!(class_of(&ask(&settings, &a_call()).await), Some(ErrorClass::Network));
    assert_eq!(summary(&ask(&settings, &a_call().repeated()).await), "unknown connect");
    let nowhere = HttpSettings::at("payments", "http://participant.invalid");
    assert_eq!(summary(&ask(&nowhere, &a_call()).await), "failed connect Yes");
}

/// Accepts one connection, reads the request's head, writes `answer` and ends as `then` says.
async fn raw(answer: &'static [u8], then: SocketEnding) -> HttpSettings {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut read = [0; 4096];
        let _ = socket.read(&mut read).await;
        socket.write_all(answer).await.expect("an open connection");
        match then {
            SocketEnding::Close => drop(socket),
            SocketEnding::Hang => std::future::pending().await,
        }
    });
    HttpSettings::at("payments", format!("http://{address}"))
}

enum SocketEnding {
    Close,
    Hang,
}

#[tokio::test]
async fn what_breaks_after_sending_is_unknown() {
    let check = async |answer: &'static [u8], expected: &str| {
        assert_eq!(summary(&ask(&raw(answer, SocketEnding::Close).await, &a_call()).await), expected);
    };
    check(b"", "unknown connection").await;
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\"", "unknown connection").await;
    check(b"not http at all\r\n\r\n", "unknown answer.http").await;
}

#[tokio::test]
async fn the_attempt_timeout_covers_the_whole_answer() {
    let call = ParticipantCall { attempt_timeout: Duration::from_millis(50), ..a_call() };
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\""] {
        assert_eq!(summary(&ask(&raw(answer, SocketEnding::Hang).await, &call).await), "unknown timeout");
    }
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    let settings = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nx", SocketEnding::Hang).await;
    assert_eq!(summary(&ask(&settings, &a_call()).await), "unknown answer.size");
    let chunked =
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n", SocketEnding::Hang).await;
    let settings = HttpSettings { max_answer_bytes: 7, ..chunked };
    assert_eq!(summary(&ask(&settings, &a_call()).await), "unknown answer.size");
}

#[test]
fn settings_that_cannot_be_called_are_refused() {
    let check = |settings: HttpSettings, expected: &str| {
        assert_eq!(HttpParticipantClient::new(&settings).expect_err("refused").to_string(), expected);
    };
    let at = |url| HttpSettings::at("payments", url);
    let endpoint = |url, reason| format!("participant `payments`: endpoint `{url}` is not a base URL: {reason}");
    check(HttpSettings { endpoints: vec![], ..at("") }, "participant `payments` has no endpoint");
    check(at("ftp://host"), &endpoint("ftp://host", "expected http or https"));
    check(at("http://me:secret@host/"), &endpoint("host/", "credentials belong into its authorization"));
    check(at("http://host/?a=1"), &endpoint("http://host/?a=1", "a query or a fragment cannot be followed by a path"));
    let header = HttpSettings { authorization: Some("a\nb".into()), ..at("http://host") };
    check(header, "participant `payments`: header `authorization` has a name or a value that cannot be sent");
}
