//! An issuer of tokens, and a participant that takes them.

use super::*;
use crate::{
    outbound::OutboundAddresses,
    transport::http::{
        HttpParticipantClient, HttpSettings, NO_TOKEN,
        tests::{a_call, answering, reply, summary},
    },
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use saga_base::sync::UnpoisonedMutex;
use saga_core::{
    command::{CommandAnswer, RetryAdvice},
    definition::participants::{self, AuthorizationConfig},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// What an issuer has been asked, and what it answers.
#[derive(Debug)]
struct FakeIssuer {
    asked: UnpoisonedMutex<Vec<String>>,
    answer: UnpoisonedMutex<(StatusCode, Value)>,
    /// A request is answered when it gets a permit.
    gate: Semaphore,
}

impl FakeIssuer {
    async fn start(answer: Value) -> (Arc<FakeIssuer>, String) {
        let issuer = Arc::new(FakeIssuer {
            asked: UnpoisonedMutex::default(),
            answer: UnpoisonedMutex::new((StatusCode::OK, answer)),
            gate: Semaphore::new(1_000),
        });
        let app = Router::new().route("/token", post(issue)).with_state(Arc::clone(&issuer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/token", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (issuer, url)
    }

    fn answers(&self, status: StatusCode, body: Value) {
        *self.answer.lock() = (status, body);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

async fn issue(State(issuer): State<Arc<FakeIssuer>>, headers: HeaderMap, body: Bytes) -> Response {
    let basic = headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or("none").to_owned();
    issuer.asked.lock().push(format!("{basic} {}", String::from_utf8_lossy(&body)));
    issuer.gate.acquire().await.expect("it stays open").forget();
    let (status, body) = issuer.answer.lock().clone();
    (status, axum::Json(body)).into_response()
}

fn granted(number: u32) -> Value {
    json!({"access_token": format!("token-number-{number}"), "token_type": "Bearer", "expires_in": 3600})
}

/// The credentials that a file gives.
fn credentials(url: &str, more: &str) -> ClientCredentials {
    let file = format!(
        "participants: {{payments: {{http: {{url: http://a}}, authorization: {{clientCredentials: {{tokenUrl: {url}, clientId: saga, clientSecret: \"${{ env.SECRET }}\"{more}}}}}}}}}"
    );
    let read = participants::parse("participants.yaml", &file, &|_| Some("s3cr:t value".to_owned())).expect("it holds");
    match read.get("payments").and_then(|it| it.authorization.clone()) {
        Some(AuthorizationConfig::ClientCredentials(credentials)) => credentials,
        Some(AuthorizationConfig::Header(_)) | None => panic!("it has client credentials"),
    }
}

/// A participant that says what `Authorization` it was sent, and refuses `token-number-1` if it is told so.
async fn participant(url: &str, refuses_first: bool) -> HttpParticipantClient {
    let settings = answering(move |received| {
        let sent = received.headers()["authorization"].to_str().unwrap_or_default().to_owned();
        if refuses_first && sent.ends_with("-1") { reply(401, &[], "") } else { reply(200, &[], "") }
    });
    let settings = HttpSettings { client_credentials: Some(credentials(url, "")), ..settings.await };
    HttpParticipantClient::within(&settings, &OutboundAddresses::default()).expect("settings that can be called")
}

fn source(url: &str, more: &str) -> Arc<TokenSource> {
    let client = crate::transport::http::plain_client(
        Duration::from_secs(60),
        false,
        OutboundAddresses::default().of_participant("payments"),
    );
    TokenSource::new("payments", &credentials(url, more), client.expect("a client")).expect("a URL")
}

#[tokio::test]
async fn a_token_is_asked_for_as_the_standard_has_it() {
    let (issuer, url) = FakeIssuer::start(granted(1)).await;
    source(&url, ", scope: a b, audience: \"https://p\"").token().await.expect("a token");
    source(&url, ", secretIn: body").token().await.expect("a token");
    // saga:s3cr%3At+value
    let expected = [
        "Basic c2FnYTpzM2NyJTNBdCt2YWx1ZQ== grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fp",
        "none grant_type=client_credentials&client_id=saga&client_secret=s3cr%3At+value",
    ];
    assert_eq!(issuer.asked(), expected);
}

#[tokio::test]
async fn many_calls_without_a_token_are_one_question() {
    let (issuer, url) = FakeIssuer::start(granted(1)).await;
    let source = source(&url, "");
    let tokens = futures_util::future::join_all((0..100).map(|_| source.token())).await;
    assert!(tokens.iter().all(|token| token.as_ref().is_ok_and(|it| it.header() == "Bearer token-number-1")));
    assert_eq!(issuer.asked().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_while_calls_go_on_with_it() {
    let (issuer, url) = FakeIssuer::start(granted(1)).await;
    let source = source(&url, "");
    let first = source.token().await.expect("a token");
    // Four fifths of its life are over.
    source.cached.store(Some(Arc::new(IssuedToken { renew_at: Instant::now(), ..copy(&first) })));
    issuer.answers(StatusCode::OK, granted(2));
    issuer.gate.forget_permits(1_000);
    for _ in 0..10 {
        assert_eq!(source.token().await.expect("the present one").header(), "Bearer token-number-1");
    }
    issuer.gate.add_permits(1);
    while source.token().await.expect("a token").header() != "Bearer token-number-2" {
        tokio::task::yield_now().await;
    }
    assert_eq!(issuer.asked().len(), 2);
}

fn copy(token: &IssuedToken) -> IssuedToken {
    IssuedToken { header: token.header(), renew_at: token.renew_at, expires_at: token.expires_at }
}

#[tokio::test]
async fn an_expired_token_is_not_used_and_a_failure_to_renew_is_one() {
    let (issuer, url) = FakeIssuer::start(json!({"access_token": "short-lived-token", "expires_in": "0"})).await;
    let source = source(&url, "");
    assert_eq!(source.token().await.expect("it is new").header(), "Bearer short-lived-token");
    issuer.answers(StatusCode::SERVICE_UNAVAILABLE, json!({}));
    assert!(matches!(source.token().await, Err(TokenFailure::Unreachable(_))));
}

#[tokio::test]
async fn a_token_that_the_participant_refuses_is_not_sent_again() {
    let (issuer, url) = FakeIssuer::start(granted(1)).await;
    let participant = participant(&url, true).await;
    assert_eq!(summary(&participant.call(&a_call()).await), "failed http.401 ThenPark");
    issuer.answers(StatusCode::OK, granted(2));
    assert_eq!(summary(&participant.call(&a_call()).await), "succeeded null");
    assert_eq!(issuer.asked().len(), 2);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let (issuer, url) = FakeIssuer::start(Value::Null).await;
    let table = [
        (
            400,
            json!({"error": "invalid_client", "error_description": "who is\nthat"}),
            RetryAdvice::ThenPark,
            "invalid_client: who isthat",
        ),
        (401, json!({}), RetryAdvice::ThenPark, "401"),
        (429, json!({}), RetryAdvice::Yes, "429"),
        (503, json!("no"), RetryAdvice::Yes, "503"),
        (302, json!({}), RetryAdvice::ThenPark, "302"),
        (200, json!({}), RetryAdvice::Yes, "no `access_token`"),
        (200, json!([1]), RetryAdvice::Yes, "no `access_token`"),
        (200, json!({"access_token": "a\nb-and-more"}), RetryAdvice::Yes, "no header takes"),
        (200, json!({"access_token": "abcdefgh", "token_type": "mac"}), RetryAdvice::ThenPark, "`mac`"),
        (200, json!({"access_token": "x".repeat(100_000)}), RetryAdvice::Yes, "TooLong"),
        (400, json!({"error": "you said s3cr:t value"}), RetryAdvice::ThenPark, "***"),
    ];
    saga_base::secrets::remember(["s3cr:t value".to_owned()]);
    for (status, body, expected, told) in table {
        issuer.answers(StatusCode::from_u16(status).expect("a status"), body);
        let answer = participant(&url, false).await.call(&a_call()).await;
        let CommandAnswer::Failed { failure, retry, .. } = answer else { panic!("{status}: {answer:?}") };
        assert_eq!((failure.code.as_str(), retry), (NO_TOKEN, expected), "{}", failure.message);
        assert!(failure.message.contains(told), "{told} is not in: {}", failure.message);
    }
    let nobody = participant("http://127.0.0.1:1/token", false).await;
    assert_eq!(summary(&nobody.call(&a_call()).await), "failed token Yes");
    let metadata = participant("http://169.254.169.254/token", false).await;
    assert_eq!(summary(&metadata.call(&a_call()).await), "failed token ThenPark");
    assert_eq!(summary(&nobody.call(&a_call().repeated()).await), "unknown token");
}

#[tokio::test]
async fn another_version_of_a_file_keeps_the_token() {
    let (issuer, url) = FakeIssuer::start(granted(1)).await;
    let settings = answering(|_| reply(200, &[], "")).await;
    let settings = HttpSettings { client_credentials: Some(credentials(&url, "")), ..settings };
    let before = HttpParticipantClient::new(&settings).expect("settings that can be called");
    before.call(&a_call()).await;
    let outbound = OutboundAddresses::default();
    let more = HttpSettings { max_answer_bytes: 7, ..settings.clone() };
    let (after, _) =
        before.reconfigured(&more, &outbound, crate::guard_events::GuardEventBus::default()).expect("they hold");
    assert_eq!(summary(&after.call(&a_call()).await), "succeeded null");
    assert_eq!(issuer.asked().len(), 1);
    let other = HttpSettings { client_credentials: Some(credentials(&url, ", scope: more")), ..settings };
    let (other, _) =
        before.reconfigured(&other, &outbound, crate::guard_events::GuardEventBus::default()).expect("they hold");
    other.call(&a_call()).await;
    assert_eq!(issuer.asked().len(), 2);
}
