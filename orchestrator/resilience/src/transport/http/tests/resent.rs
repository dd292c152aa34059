//! A request that is sent once more within its attempt, because a kept connection took it and closed without an answer.

use super::*;
use tokio::net::TcpStream;

const KEPT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

async fn read_request(stream: &mut TcpStream) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
}

/// Answers one request and closes when the second one has come; a request over another connection gets `status`.
async fn closes_on_the_second(listener: TcpListener, status: u16) {
    let (mut first, _) = listener.accept().await.expect("a caller");
    read_request(&mut first).await;
    first.write_all(KEPT).await.expect("it waits");
    read_request(&mut first).await;
    drop(first);
    let (mut second, _) = listener.accept().await.expect("the caller again");
    read_request(&mut second).await;
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    second.write_all(answer.as_bytes()).await.expect("it waits");
}

/// What an attempt comes to whose second sending is answered so.
async fn answered_the_second_time(
    settings: impl FnOnce(HttpSettings) -> HttpSettings,
    call: &ParticipantCall,
    status: u16,
) -> CommandAnswer {
    let (listener, address) = listen().await;
    tokio::spawn(closes_on_the_second(listener, status));
    let settings = settings(HttpSettings::at("payments", format!("http://{address}")));
    let participant = HttpParticipantClient::new(&settings).expect("it can be called");
    assert_eq!(summary(&participant.call(&a_call()).await), "succeeded null");
    participant.call(call).await
}

#[tokio::test]
async fn what_was_sent_twice_is_unknown_unless_the_answer_is_one_for_good() {
    for call in [a_call(), undo()] {
        for (status, expected) in [
            (200, "succeeded null"),
            (422, "failed http.422 No"),
            (409, "unknown http.409"),
            (429, "unknown http.429"),
            (408, "unknown http.408"),
            (401, "unknown http.401"),
            (503, "unknown http.503"),
        ] {
            let answer = answered_the_second_time(|it| it, &call, status).await;
            assert_eq!(summary(&answer), expected, "{status}");
        }
    }
}

#[tokio::test]
async fn its_conflict_may_be_with_the_first_sending_and_people_are_told_of_it() {
    let CommandAnswer::Unknown { failure, retry, .. } = answered_the_second_time(|it| it, &a_call(), 409).await else {
        panic!("a conflict with what may run is no answer");
    };
    assert_eq!(retry, RetryAdvice::Conflict);
    assert!(failure.message.contains("sent twice"), "{}", failure.message);
}

#[tokio::test]
async fn that_a_class_is_not_retried_makes_nothing_certain_of_an_earlier_sending() {
    use saga_core::definition::participants::FailureHandling;
    let classes = [ErrorClass::RateLimit, ErrorClass::ClientError];
    let handling = classes.map(|class| (class, FailureHandling::Fail)).into_iter().collect();
    let classes = crate::transport::ErrorClassifier { patterns: Vec::new(), handling };
    let failing = |it: HttpSettings| HttpSettings { classes: classes.clone(), ..it };
    for status in [429, 409, 401] {
        let twice = answered_the_second_time(failing, &a_call(), status).await;
        let settings = failing(answering(move |_| reply(status, &[], "")).await);
        let by_a_new_owner = ask(&settings, &a_call().repeated()).await;
        for answer in [&twice, &by_a_new_owner] {
            assert!(matches!(answer, CommandAnswer::Unknown { retry: RetryAdvice::No, .. }), "{status}: {answer:?}");
        }
        assert_eq!(summary(&ask(&settings, &a_call()).await), format!("failed http.{status} No"), "the first time");
    }
}

#[tokio::test]
async fn what_participants_yaml_says_of_a_status_makes_nothing_certain_but_fail_on() {
    let retried = |it| HttpSettings { retry_on: vec![StatusPattern::Exactly(409)], ..it };
    assert_eq!(summary(&answered_the_second_time(retried, &a_call(), 409).await), "unknown http.409");
    let failed = |it| HttpSettings { fail_on: vec![StatusPattern::Exactly(409)], ..it };
    assert_eq!(summary(&answered_the_second_time(failed, &a_call(), 409).await), "failed http.409 No");
}
