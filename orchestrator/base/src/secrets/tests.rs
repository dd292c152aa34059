use super::*;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_core::{command::RetryAdvice, definition::participants};
use serde_json::json;

fn knowing(secrets: &[&str]) -> KnownSecrets {
    KnownSecrets::default().and(&secrets.iter().flat_map(|secret| forms::of(secret)).collect::<Vec<_>>())
}

#[test]
fn a_secret_is_covered_in_every_form_in_which_it_travels() {
    let known = knowing(&["s3cr/t&va lue\"1"]);
    for text in [
        "token s3cr/t&va lue\"1 is not valid",
        r#"{"said": "s3cr/t&va lue\"1"}"#,
        r#"{"said": "s3cr\/t&va lue\"1"}"#,
        r#"{"said": "s3cr/t\u0026va lue\"1"}"#,
        "at /login?token=s3cr%2Ft%26va%20lue%221&x=1",
        "at /login?token=s3cr%2ft%26va%20lue%221",
        "at /login?token=s3cr%2Ft%26va+lue%221",
        "czNjci90JnZhIGx1ZSIx",
    ] {
        let covered = known.covered(text);
        assert!(covered.contains(COVER), "{text}");
        for part in ["s3cr", "lue", "czNjci"] {
            assert!(!covered.contains(part), "{covered}");
        }
    }
    assert_eq!(known.covered("nothing of it"), "nothing of it");
}

#[test]
fn the_beginning_of_a_secret_that_a_limit_cut_off_is_covered() {
    let known = knowing(&["0123456789abcdef"]);
    assert_eq!(known.covered("said 0123456789a"), "said ***");
    assert_eq!(known.covered("said 0123456789a…"), "said ***");
    assert_eq!(known.covered("said 0123456"), "said 0123456", "too short to tell anything");
    assert_eq!(known.covered("said 0123456789abcdef and 01234567"), "said *** and ***");
}

#[test]
fn what_is_short_is_a_word_like_others() {
    assert_eq!(forms::of("saga"), Vec::<String>::new());
    assert_eq!(forms::of(""), Vec::<String>::new());
}

#[test]
fn the_newest_secrets_are_kept() {
    let more = |from: usize, to: usize| (from..to).map(|number| format!("secret-{number:08}")).collect::<Vec<_>>();
    let known = knowing(&["the-first-one", "still-in-use"]).and(&more(0, MOST_FORMS / 2));
    let known = known.and(&forms::of("still-in-use")).and(&more(MOST_FORMS / 2, MOST_FORMS));
    assert_eq!(known.forms.len(), MOST_FORMS);
    assert_eq!(known.covered("the-first-one still-in-use"), "the-first-one ***");
}

#[test]
fn all_that_an_answer_carries_is_covered() {
    remember(["answers-canary-1".to_owned(), "4711471147114711".to_owned()]);
    let result = json!({"answers-canary-1": ["x answers-canary-1", 4_711_471_147_114_711_u64, 12, true]});
    let covered = json!({"***": ["x ***", "***", 12, true]});
    assert_eq!(cover_answer(CommandAnswer::Succeeded { result }), CommandAnswer::Succeeded { result: covered });
    let failure = CommandFailure::new("answers-canary-1", "it was answers-canary-1");
    let failed = CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after: None };
    let CommandAnswer::Failed { failure, .. } = cover_answer(failed) else { panic!("it failed") };
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("***", "it was ***"));
    let place = Some("http://x/answers-canary-1".to_owned());
    let ongoing = cover_answer(CommandAnswer::Ongoing { ask_after: None, location: place });
    assert!(matches!(ongoing, CommandAnswer::Unknown { .. }), "{ongoing:?}");
}

#[test]
fn the_secrets_of_participants_are_found() {
    let basic = STANDARD.encode("anna:basic-password");
    let text = format!(
        "participants:\n  a:\n    http: {{url: 'https://host/x'}}\n    authorization: Bearer bearer-token\n    headers: {{X-Key: header-value, Accept: application/json}}\n  b:\n    http: {{url: 'https://host'}}\n    authorization: Basic {basic}\n"
    );
    let read = participants::parse("participants.yaml", &text, &|_| None);
    let found = of_participants(&read.expect("they hold"));
    for secret in
        ["Bearer bearer-token", "bearer-token", "header-value", "basic-password", "anna:basic-password", &basic]
    {
        assert!(found.iter().any(|found| found == secret), "{secret}: {found:?}");
    }
    assert!(!found.iter().any(|found| found == "application/json"));
}

#[test]
fn the_secrets_of_an_address_are_found_as_they_are_and_decoded() {
    let found = sources::of_url("postgres://anna:url%2Fpassword@host/x?sslmode=require&password=of%20query");
    for secret in ["anna:url%2Fpassword", "url%2Fpassword", "url/password", "of%20query", "of query"] {
        assert!(found.iter().any(|found| found == secret), "{secret}: {found:?}");
    }
    assert!(!found.iter().any(|found| found == "require"));
    assert_eq!(sources::of_url("https://host/x"), Vec::<String>::new());
}
