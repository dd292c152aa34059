//! Places where a command is asked after: as they are named by services behind proxies, and what they answer.

use super::*;

/// A path, and what is answered there: status, headers, body.
type StubPage = (&'static str, u16, &'static [(&'static str, &'static str)], &'static str);

/// A participant with these pages.
async fn pages(pages: &'static [StubPage]) -> HttpSettings {
    answering(move |received| {
        let path = received.uri().path().to_owned();
        let found = pages.iter().find(|(page, ..)| *page == path);
        let Some((_, status, headers, body)) = found else { return reply(404, &[], "") };
        let mut reply = reply(*status, &[], body);
        for (name, value) in *headers {
            let name: header::HeaderName = name.parse().expect("a name");
            reply.headers_mut().append(name, value.parse().expect("a value"));
        }
        reply
    })
    .await
}

const JSON: (&str, &str) = ("content-type", "application/json");
const HTML: (&str, &str) = ("content-type", "text/html");

fn told(place: &str) -> ParticipantCall {
    ParticipantCall { location: Some(place.into()), asked: 1, ..a_call() }
}

#[tokio::test]
async fn a_place_that_sends_on_is_followed_to_the_result() {
    let settings = pages(&[
        ("/api/jobs/1", 303, &[("location", "/api/results/1")], ""),
        ("/api/results/1", 200, &[JSON], r#"{"id":7}"#),
        ("/api/jobs/2", 308, &[("location", "/api/jobs/2/")], ""),
        ("/api/jobs/2/", 202, &[], ""),
        ("/api/jobs/3", 302, &[("location", "/login")], ""),
        ("/login", 200, &[HTML], "<html>who are you?</html>"),
        ("/api/jobs/4", 303, &[("location", "/api/jobs/4")], ""),
        ("/api/jobs/5", 303, &[("location", "http://other.example/")], ""),
        ("/api/jobs/6", 303, &[], ""),
        ("/api/jobs/7", 303, &[("location", "/api/results/7")], ""),
    ])
    .await;
    let check = async |place: &str, expected: &str| {
        assert_eq!(summary(&ask(&settings, &told(place)).await), expected, "{place}");
    };
    check("/api/jobs/1", r#"succeeded {"id":7}"#).await;
    check("/api/jobs/2", r#"ongoing Some("/api/jobs/2")"#).await;
    check("/api/jobs/3", "unknown answer.redirect").await;
    check("/api/jobs/4", "unknown answer.redirect").await;
    check("/api/jobs/5", "unknown answer.location").await;
    check("/api/jobs/6", "unknown http.303").await;
    check("/api/jobs/7", "unknown http.404").await;
    // This is the first request and no poll: the engine does not send the command on to another place.
    let moved = answering(|_| reply(303, &[(header::LOCATION, "/api/results/1")], "")).await;
    assert_eq!(summary(&ask(&moved, &a_call()).await), "unknown http.303");
}

#[tokio::test]
async fn an_operation_is_told_by_the_body_at_its_place() {
    let settings = pages(&[
        ("/api/charges", 202, &[("operation-location", "/operations/1"), ("location", "/charges/1")], ""),
        ("/operations/1", 200, &[JSON], r#"{"status":"Running"}"#),
        ("/operations/2", 200, &[JSON], r#"{"status":"Succeeded","result":7}"#),
        ("/operations/3", 200, &[JSON], r#"{"status":"Failed","error":{"code":"Declined","message":"no"}}"#),
        ("/operations/4", 200, &[JSON], r#"{"status":"Done"}"#),
        ("/operations/5", 202, &[("operation-location", "/operations/5")], ""),
    ])
    .await;
    let check =
        async |call: &ParticipantCall, expected: &str| assert_eq!(summary(&ask(&settings, call).await), expected);
    check(&a_call(), r##"ongoing Some("/operations/1#operation")"##).await;
    check(&told("/operations/1#operation"), r##"ongoing Some("/operations/1#operation")"##).await;
    check(&told("/operations/2#operation"), r#"succeeded {"result":7,"status":"Succeeded"}"#).await;
    check(&told("/operations/3#operation"), "unknown operation.failed").await;
    check(&told("/operations/4#operation"), "unknown answer.operation").await;
    check(&told("/operations/5#operation"), r##"ongoing Some("/operations/5#operation")"##).await;
    let created = answering(|_| {
        let mut reply = reply(201, &[], "{}");
        reply.headers_mut().insert("azure-asyncoperation", "/operations/9".parse().expect("a value"));
        reply
    })
    .await;
    assert_eq!(summary(&ask(&created, &a_call()).await), r##"ongoing Some("/operations/9#operation")"##);
}

#[test]
fn a_place_is_seen_from_outside_of_the_proxy() {
    let check = |base: &str, location: &str, expected: Option<&str>| {
        let settings = HttpSettings::at("payments", base);
        let participant = HttpParticipantClient::new(&HttpSettings {
            endpoints: settings.endpoints,
            ..HttpSettings::at("payments", "")
        });
        let participant = participant.expect("settings that can be called");
        let asked = url::Url::parse(base).expect("a URL");
        let seen = participant.endpoints.resolve_location(&asked, location).ok().map(|url| url.to_string());
        assert_eq!(seen.as_deref(), expected, "{base} {location}");
    };
    let base = "http://pay.example/api/";
    check(base, "https://pay.example/api/jobs/1", Some("http://pay.example/api/jobs/1"));
    check(base, "https://pay.example:80/jobs/1", Some("http://pay.example/jobs/1"));
    check(base, "http://PAY.example/jobs/1#x", Some("http://pay.example/jobs/1"));
    check(base, "http://pay.example:8080/jobs/1", None);
    check(base, "https://other.example/jobs/1", None);
    check(base, "ftp://pay.example/jobs/1", None);
    check(base, "https://me@pay.example/jobs/1", None);
    let base = "http://pay.example:9001/";
    check(base, "https://pay.example:9001/jobs/1", Some("http://pay.example:9001/jobs/1"));
    check(base, "https://pay.example/jobs/1", None);
}
