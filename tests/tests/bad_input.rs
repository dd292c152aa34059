//! What no proper client sends, over real sockets: slow clients, requests beyond limits, bodies that lie about their
//! length, hostile paths. Each is answered with a problem document, and nobody else suffers.

use anyhow::{Context, Result, ensure};
use saga_tests::{
    engine::Engine,
    participant::ParticipantScript,
    world::{TestWorld, WITHIN},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Slow clients at once.
const SLOW: usize = 2_000;
/// What a caller would like to have in the log.
const FORGED: &str = "FORGED-4711";
const STEPS: &str = "
steps:
  - step: charge
    do: POST payments/charges
    undo: POST payments/refunds
";

async fn world() -> Result<Option<(TestWorld, Engine)>> {
    let Some(world) = TestWorld::new(ParticipantScript::default(), ParticipantScript::default()).await? else {
        return Ok(None);
    };
    world.define("order", STEPS)?;
    let engine = world.start().await?;
    Ok(Some((world, engine)))
}

fn address(engine: &Engine) -> &str {
    engine.api().base().trim_start_matches("http://")
}

/// A status and the code of the problem, if the body is one.
#[derive(Debug, PartialEq, Eq)]
struct RawAnswer {
    status: u16,
    code: String,
    /// All that came, for messages.
    text: String,
}

impl RawAnswer {
    fn of(text: String) -> Result<RawAnswer> {
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.with_context(|| format!("no answer but: {text:?}"))?;
        let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(body).into_iter::<Value>();
        let problem = values.next().and_then(Result::ok).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default().to_owned();
        if status >= 400 {
            ensure!(problem["title"].is_string() && problem["detail"].is_string(), "no problem document: {text}");
            ensure!(text.to_ascii_lowercase().contains("content-type: application/problem+json"), "{text}");
        }
        Ok(RawAnswer { status, code, text })
    }
}

async fn rest_of(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    timeout(WITHIN, stream.read_to_end(&mut bytes)).await.context("no end of the answer")??;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Sends bytes and reads until the engine closes the connection.
async fn asked(engine: &Engine, bytes: &[u8], half_close: bool) -> Result<RawAnswer> {
    let mut stream = TcpStream::connect(address(engine)).await?;
    // The engine may answer before it has read everything.
    let sent = stream.write_all(bytes).await;
    if half_close && sent.is_ok() {
        stream.shutdown().await?;
    }
    RawAnswer::of(rest_of(&mut stream).await?)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").into_bytes()
}

fn with_headers(count: usize, value: usize) -> Vec<u8> {
    let headers: String = (0..count).map(|number| format!("x-{number}: {}\r\n", "v".repeat(value))).collect();
    format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    let head = "POST /api/guards/payments/open HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    format!("{head}connection: close\r\n{headers}\r\n\r\n{body}").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_proper_request_is_answered_with_its_problem() -> Result<()> {
    let Some((_world, engine)) = world().await? else { return Ok(()) };
    let act = r#"{"who": "ada", "reason": "they migrate", "forged": 1}"#;
    let chunked = format!("{:x}\r\n{act}\r\n0\r\n\r\n", act.len());
    let long = act.len() + 10;
    let forged = format!("/api/sagas/%0d%0a{FORGED}%1b[2J");
    for (name, bytes, half_close, expected) in [
        ("no request at all", b"\x16\x03\x01\x02\x00\x01\r\n\r\n".to_vec(), false, (400, "not_http")),
        ("a space in a header's name", b"GET / HTTP/1.1\r\nho st: a\r\n\r\n".to_vec(), false, (400, "not_http")),
        ("a NUL in a header", b"GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n".to_vec(), false, (400, "not_http")),
        ("another version", b"GET / HTTP/3.0\r\nhost: localhost\r\n\r\n".to_vec(), false, (400, "not_http")),
        ("no host", b"GET / HTTP/1.0\r\n\r\n".to_vec(), false, (403, "foreign_host")),
        ("many headers", with_headers(65, 1), false, (431, "headers_too_large")),
        ("very many headers", with_headers(300, 1), false, (431, "headers_too_large")),
        ("a large header", with_headers(1, 30_000), false, (431, "headers_too_large")),
        ("a very large header", with_headers(1, 200_000), false, (431, "headers_too_large")),
        ("a long path", get(&format!("/{}", "a".repeat(9_000))), false, (414, "path_too_long")),
        ("a very long path", get(&format!("/{}", "a".repeat(65_000))), false, (414, "path_too_long")),
        ("two lengths", post("content-length: 3\r\ncontent-length: 4", "{}"), false, (400, "not_http")),
        ("a length that is none", post("content-length: 0x10", act), false, (400, "not_http")),
        ("a negative length", post("content-length: -1", act), false, (400, "not_http")),
        ("an unknown coding", post("transfer-encoding: gzip", act), false, (400, "not_http")),
        ("a body that is too short", post(&format!("content-length: {long}"), act), true, (400, "broken_body")),
        ("a body that is too long", post("content-length: 2", act), false, (400, "bad_body")),
        ("no chunks", post("transfer-encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n"), false, (400, "broken_body")),
        ("chunks without an end", post("transfer-encoding: chunked", "5\r\n{}"), true, (400, "broken_body")),
        (
            "two forms of length",
            post("content-length: 2\r\ntransfer-encoding: chunked", &chunked),
            false,
            (400, "bad_body"),
        ),
        ("an unknown field", post(&format!("content-length: {}", act.len()), act), false, (400, "bad_body")),
        ("an unknown parameter", get("/api/sagas?forged=1"), false, (400, "bad_parameter")),
        ("a slash in a segment", get("/api/sagas/a%2fb"), false, (404, "no_saga")),
        ("a way up", get("/api/sagas/../../metrics"), false, (404, "no_route")),
        ("a way up, encoded", get("/api/sagas/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), false, (404, "no_saga")),
        ("two slashes", get("//api/sagas"), false, (404, "no_route")),
        ("a NUL in the path", get("/api/sagas/%00"), false, (400, "bad_path")),
        ("a NUL in the query", get("/api/sagas?key=a%00b"), false, (400, "bad_path")),
        ("no UTF-8", get("/api/sagas/%ff"), false, (400, "bad_path")),
        ("a slash that is written too long", get("/api/sagas/%c0%af"), false, (400, "bad_path")),
        ("a line for the log", get(&forged), false, (404, "no_saga")),
    ] {
        let answer = asked(&engine, &bytes, half_close).await.context(name)?;
        let found = (answer.status, answer.code.as_str());
        ensure!(found == expected, "{name}: {found:?} in place of {expected:?}: {}", answer.text);
    }
    let live = asked(&engine, &get("/health/live"), false).await?;
    ensure!(live.status == 200, "{live:?}");
    let log = engine.log()?;
    ensure!(!log.contains("panicked") && !log.contains(FORGED), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_too_slowly_is_told_so() -> Result<()> {
    let Some((_world, engine)) = world().await? else { return Ok(()) };
    let (half, started) = (b"GET /health/live HTTP/1.1\r\nhost: local", post("content-length: 20", "{\"who\""));
    let (header, body) = tokio::join!(asked(&engine, half, false), asked(&engine, &started, false));
    for (name, answer) in [("header", header?), ("body", body?)] {
        ensure!((answer.status, answer.code.as_str()) == (408, "slow_request"), "{name}: {}", answer.text);
    }
    Ok(())
}

/// Sockets that send part of a header and nothing else, as many as this process may have.
async fn slow_clients(engine: &Engine) -> Result<Vec<TcpStream>> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    let files: usize = files.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(1_024);
    let mut all = Vec::new();
    for _ in 0..SLOW.min(files.saturating_sub(300)) {
        let mut stream = TcpStream::connect(address(engine)).await?;
        // Who waits longest is closed while the others come.
        let _closed = stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-slow:").await;
        all.push(stream);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_take_no_place_from_others() -> Result<()> {
    let Some((_world, engine)) = world().await? else { return Ok(()) };
    let mut slow = slow_clients(&engine).await?;
    for _ in 0..200 {
        let answer = asked(&engine, &get("/health/live"), false).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    ensure!(engine.api().is_ready().await?, "{}", engine.log_tail());
    let first = RawAnswer::of(rest_of(slow.first_mut().context("a socket")?).await?)?;
    ensure!((first.status, first.code.as_str()) == (503, "too_many_connections"), "{first:?}");
    let last = RawAnswer::of(rest_of(slow.last_mut().context("a socket")?).await?)?;
    ensure!([408, 503].contains(&last.status), "{last:?}");
    Ok(())
}
