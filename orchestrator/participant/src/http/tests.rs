use super::*;
use axum::http::request::Builder;
use std::time::Duration;

fn request(method: &str, uri: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("Idempotency-Key", "s-1:charge:do")
        .header("X-Request-ID", "s-1:charge:do:2")
}

async fn read(request: Request) -> Result<SagaCommand, CommandRejection> {
    CommandExtractor::from_request(request, &()).await.map(|CommandExtractor(command)| command)
}

async fn said(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a small body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_request_is_a_command() {
    let sent = request("POST", "/payments/charges").body(Body::from(r#"{"amountCents":100}"#)).expect("a request");
    let command = read(sent).await.expect("a command");
    assert_eq!((command.id.to_string().as_str(), command.attempt), ("s-1:charge:do", Some(2)));
    assert_eq!((command.name.as_str(), command.body), ("POST payments/charges", json!({"amountCents": 100})));
}

#[tokio::test]
async fn the_query_of_a_get_is_its_body() {
    let sent = request("GET", "/rules?to=PEK&by=air&by=sea+and+rail").body(Body::empty()).expect("a request");
    let command = read(sent).await.expect("a command");
    assert_eq!(
        (command.name.as_str(), command.body),
        ("GET rules", json!({"to": "PEK", "by": ["air", "sea and rail"]}))
    );
}

#[tokio::test]
async fn a_request_that_is_no_command_is_told_what_it_lacks() {
    let nameless = Request::builder().method("POST").uri("/charges").body(Body::empty()).expect("a request");
    let (status, text) = said(read(nameless).await.expect_err("no command").into_response()).await;
    assert_eq!((status, text.as_str()), (400, "the header `idempotency-key` is missing: a command has it\n"));
    let broken = request("POST", "/charges").body(Body::from("{")).expect("a request");
    let (status, text) = said(read(broken).await.expect_err("no command").into_response()).await;
    assert!(status == 400 && text.contains("not JSON"), "{status} {text}");
}

/// What the table of docs/participants.md says of each.
#[tokio::test]
async fn every_answer_has_its_status() {
    let status = |answer: ParticipantAnswer| said(answer.into_response());
    assert_eq!(status(ParticipantAnswer::Succeeded(json!({"a": 1}))).await, (200, r#"{"a":1}"#.into()));
    assert_eq!(
        status(ParticipantAnswer::refused("no", "never")).await,
        (422, r#"{"code":"no","message":"never"}"#.into())
    );
    assert_eq!(status(ParticipantAnswer::undone()).await.0, 422);
    assert_eq!(status(ParticipantAnswer::not_now("busy", "later")).await.0, 429);
    assert_eq!(status(ParticipantAnswer::Ongoing).await.0, 425);
    let command = "s-1:charge:do".parse().expect("a command id");
    let nobody_knows = UnsettledCommandError { command, source: sqlx::Error::PoolTimedOut };
    assert_eq!(said(nobody_knows.into_response()).await.0, 503);
}

#[tokio::test]
async fn a_route_takes_commands_and_returns_answers() {
    async fn charge(CommandExtractor(command): CommandExtractor) -> ParticipantAnswer {
        ParticipantAnswer::Succeeded(json!({"charged": command.id.saga}))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let routes = axum::Router::new().route("/charges", axum::routing::post(charge));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let answer = tokio::time::timeout(Duration::from_secs(20), exchange(address)).await.expect("in time");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"charged":"s-1"}"#), "{answer}");
}

async fn exchange(address: std::net::SocketAddr) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let sent = "POST /charges HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIdempotency-Key: s-1:charge:do\r\nContent-Length: 0\r\n\r\n";
    socket.write_all(sent.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("it answers");
    answer
}
