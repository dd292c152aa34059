//! An unreadable part of an answer never counts as an absent one.

use super::*;
use axum::http::HeaderValue;
use saga_core::definition::participants::AcceptedMeaning;

/// A reply with these headers as bytes.
fn raw(status: u16, headers: &[(header::HeaderName, &'static [u8])], body: &'static [u8]) -> Reply<Body> {
    let mut reply = Reply::new(Body::from(body));
    *reply.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        reply.headers_mut().append(name, HeaderValue::from_bytes(value).expect("bytes that HTTP allows"));
    }
    reply
}

/// What an answer with these headers and this body comes to.
async fn read(
    call: &ParticipantCall,
    status: u16,
    headers: &'static [(header::HeaderName, &'static [u8])],
    body: &'static [u8],
) -> CommandAnswer {
    let settings = answering(move |_| raw(status, headers, body)).await;
    ask(&settings, call).await
}

#[tokio::test]
async fn an_accepted_command_whose_place_cannot_be_read_has_an_unknown_outcome() {
    use header::LOCATION;
    let places: [&'static [(header::HeaderName, &'static [u8])]; 6] = [
        &[(LOCATION, b"/jobs/\xc3\xbc")],
        &[(LOCATION, b"/jobs/\xff")],
        &[(LOCATION, b"")],
        &[(LOCATION, b"/jobs/1"), (LOCATION, b"/jobs/2")],
        &[(LOCATION, b"http://user@127.0.0.1/jobs/1")],
        &[(LOCATION, b"http://[")],
    ];
    let told = ParticipantCall { location: Some("/api/jobs/1".into()), asked: 1, ..a_call() };
    for place in places {
        for call in [a_call(), undo(), told.clone()] {
            assert_eq!(summary(&read(&call, 202, place, b"").await), "unknown answer.location", "{place:?}");
        }
    }
    let twice = read(&a_call(), 202, &[(LOCATION, b"/jobs/1"), (LOCATION, b" /jobs/1")], b"").await;
    assert_eq!(summary(&twice), "ongoing Some(\"/jobs/1\")", "the same twice says one thing");
}

#[tokio::test]
async fn a_bare_202_is_a_success_where_the_participant_s_file_says_so_and_nowhere_else() {
    let there = answering(|_| raw(202, &[], b"\"queued\"")).await;
    assert_eq!(summary(&ask(&there, &a_call()).await), "unknown answer.accepted");
    let settings = HttpSettings { accepted: AcceptedMeaning::Succeeded, ..there };
    assert_eq!(summary(&ask(&settings, &a_call()).await), "succeeded \"queued\"");
    let unreadable = answering(|_| raw(202, &[(header::LOCATION, b"/\xff")], b"")).await;
    let settings = HttpSettings { accepted: AcceptedMeaning::Succeeded, ..unreadable };
    assert_eq!(summary(&ask(&settings, &a_call()).await), "unknown answer.location");
}

#[tokio::test]
async fn a_result_is_what_was_said_or_it_is_unknown() {
    use header::{CONTENT_ENCODING, CONTENT_TYPE};
    type Case = (&'static [(header::HeaderName, &'static [u8])], &'static [u8], &'static str);
    let cases: [Case; 12] = [
        (&[(CONTENT_TYPE, b"application/json\xff")], b"{}", "unknown answer.content_type"),
        (&[(CONTENT_TYPE, b"text/plain"), (CONTENT_TYPE, b"application/json")], b"7", "unknown answer.content_type"),
        (&[(CONTENT_TYPE, b"")], b"7", "unknown answer.content_type"),
        (&[(CONTENT_TYPE, b"json")], b"7", "unknown answer.content_type"),
        (&[(CONTENT_TYPE, b"")], b"", "succeeded null"),
        (&[(CONTENT_ENCODING, b"gzip")], b"\x1f\x8b", "unknown answer.encoding"),
        (&[(CONTENT_ENCODING, b"identity")], b"7", "succeeded 7"),
        (&[(CONTENT_TYPE, b"text/plain")], b"\xfcber", "unknown answer.text"),
        (&[(CONTENT_TYPE, b"text/plain; charset=iso-8859-1")], "\u{fc}ber".as_bytes(), "unknown answer.text"),
        (&[(CONTENT_TYPE, b"text/plain; charset=iso-8859-1")], b"plain", "succeeded \"plain\""),
        (&[(CONTENT_TYPE, b"application/json")], b"\"\xff\"", "unknown answer.json"),
        (&[], b"\xff", "unknown answer.text"),
    ];
    for (headers, body, meaning) in cases {
        assert_eq!(summary(&read(&a_call(), 200, headers, body).await), meaning, "{headers:?} {body:?}");
    }
}

#[tokio::test]
async fn a_hint_that_cannot_be_read_is_told_with_the_failure() {
    let hints: [&'static [(header::HeaderName, &'static [u8])]; 3] = [
        &[(header::RETRY_AFTER, b"soon")],
        &[(header::RETRY_AFTER, b"\xff")],
        &[(header::RETRY_AFTER, b"1"), (header::RETRY_AFTER, b"60")],
    ];
    for hint in hints {
        let CommandAnswer::Failed { failure, retry_after, .. } = read(&a_call(), 429, hint, b"").await else {
            panic!("429")
        };
        assert_eq!(retry_after, None);
        assert!(failure.message.contains("`retry-after`"), "{}", failure.message);
    }
}

/// The answer to a call from a participant that writes these bytes and closes.
async fn written(bytes: &'static [u8]) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a caller");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(bytes).await;
    });
    summary(&ask(&HttpSettings::at("payments", format!("http://{address}")), &a_call()).await)
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_success() {
    assert_eq!(written(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345").await, "unknown connection");
    assert_eq!(written(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n123").await, "unknown connection");
    let two = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n12";
    assert_eq!(written(two).await, "unknown answer.http", "two lengths are none");
}
