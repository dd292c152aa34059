//! Tries at once, and the times of the parts of a call.

use super::*;

#[tokio::test]
async fn while_nothing_left_another_endpoint_is_tried_at_once() {
    let there = answering(|_| reply(200, &[], "")).await;
    let (listener, address) = listen().await;
    drop(listener);
    let gone = HttpSettings::at("payments", format!("http://{address}"));
    let settings = HttpSettings { endpoints: [gone.endpoints, there.endpoints].concat(), ..there };
    let participant = HttpParticipantClient::new(&settings).expect("settings that can be called");
    for _ in 0..3 {
        assert_eq!(summary(&participant.call(&a_call()).await), "succeeded null");
    }
}

#[tokio::test]
async fn a_call_that_may_have_left_before_is_not_tried_at_once() {
    let there = answering(|_| reply(200, &[], "")).await;
    let (listener, address) = listen().await;
    drop(listener);
    let gone = HttpSettings::at("payments", format!("http://{address}"));
    let settings = HttpSettings { endpoints: [gone.endpoints, there.endpoints].concat(), ..there };
    let participant = HttpParticipantClient::new(&settings).expect("settings that can be called");
    assert_eq!(summary(&participant.call(&a_call().repeated()).await), "unknown connect");
}

/// Long enough to arrive, short enough to be missed.
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn each_piece_of_an_answer_has_its_own_time() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\""] {
        let settings = HttpSettings { read_timeout: Some(SHORT), ..raw(answer, SocketEnding::Hang).await };
        let answer = ask(&settings, &a_call()).await;
        assert_eq!((summary(&answer), class_of(&answer)), ("unknown timeout.read".into(), Some(ErrorClass::Timeout)));
    }
}

#[tokio::test]
async fn a_request_without_a_body_is_answered_in_its_time_too() {
    let get = sending(HttpMethod::Get, "charges", json!({}));
    let settings = raw(b"", SocketEnding::Hang).await;
    let settings = HttpSettings { read_timeout: Some(SHORT), connect_timeout: SHORT, ..settings };
    assert_eq!(summary(&ask(&settings, &get).await), "unknown timeout.read");
}

#[tokio::test]
async fn a_request_that_nobody_takes_is_given_up() {
    let (listener, address) = listen().await;
    let hold = tokio::spawn(async move {
        let connection = listener.accept().await.expect("a connection");
        std::future::pending::<()>().await;
        drop(connection);
    });
    let large = sending(HttpMethod::Post, "charges", json!("x".repeat(32 * 1024 * 1024)));
    let settings =
        HttpSettings { write_timeout: Some(SHORT), ..HttpSettings::at("payments", format!("http://{address}")) };
    let answer = ask(&settings, &large).await;
    assert_eq!((summary(&answer), class_of(&answer)), ("unknown timeout.write".into(), Some(ErrorClass::Timeout)));
    hold.abort();
}

#[tokio::test]
async fn a_request_whose_writing_is_watched_says_its_length() {
    let settings = answering(|received| {
        let length = received.headers().get(header::CONTENT_LENGTH).map(|value| value.to_str().expect("a number"));
        let chunked = received.headers().contains_key(header::TRANSFER_ENCODING);
        reply(
            200,
            &[(header::CONTENT_TYPE, "text/plain")],
            if length == Some("102") && !chunked { "as one" } else { "no" },
        )
    })
    .await;
    let settings = HttpSettings { read_timeout: Some(LONG), write_timeout: Some(LONG), ..settings };
    let call = sending(HttpMethod::Post, "charges", json!("x".repeat(100)));
    assert_eq!(summary(&ask(&settings, &call).await), r#"succeeded "as one""#);
}
