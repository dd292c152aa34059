//! What is remembered, and what is not.

use super::{AnswerCache, AnswerCacheLimits, LARGEST_BYTES};
use saga_core::{
    command::{CommandRequest, HttpMethod},
    decide::PreviousAnswer,
    time::Timestamp,
};
use serde_json::{Value, json};

fn of_customer(id: &str) -> CommandRequest {
    let path = format!("scores/{id}");
    CommandRequest::Http { participant: "risk".into(), method: HttpMethod::Get, path, body: None }
}

fn known(at: i64, result: Value) -> Option<PreviousAnswer> {
    Some(PreviousAnswer { at: Timestamp(at), result })
}

fn few() -> AnswerCache {
    AnswerCache::bounded(AnswerCacheLimits { answers: 2, bytes: 100 })
}

#[test]
fn the_last_answer_to_the_same_request_is_remembered() {
    let answers = few();
    assert_eq!(answers.get(&of_customer("ada")), None);
    answers.insert(&of_customer("ada"), Timestamp(1), &json!(7));
    answers.insert(&of_customer("ada"), Timestamp(2), &json!(8));
    assert_eq!(answers.get(&of_customer("ada")), known(2, json!(8)));
    assert_eq!(answers.get(&of_customer("bob")), None);
}

#[test]
fn an_older_answer_does_not_replace_a_younger_one() {
    let answers = few();
    answers.insert(&of_customer("ada"), Timestamp(2), &json!(8));
    answers.insert(&of_customer("ada"), Timestamp(1), &json!(7));
    assert_eq!(answers.get(&of_customer("ada")), known(2, json!(8)));
}

#[test]
fn a_request_is_the_same_by_participant_command_path_and_body() {
    let answers = few();
    let body = |text: &str| Some(serde_json::from_str(text).expect("JSON"));
    let look = |participant: &str, body| CommandRequest::Http {
        participant: participant.into(),
        method: HttpMethod::Get,
        path: "scores".into(),
        body,
    };
    answers.insert(&look("risk", body(r#"{"a": 1, "b": 2}"#)), Timestamp(1), &json!(7));
    assert!(answers.get(&look("risk", body(r#"{"b": 2, "a": 1}"#))).is_some());
    assert!(answers.get(&look("risk", body(r#"{"a": 1}"#))).is_none());
    assert!(answers.get(&look("bank", body(r#"{"a": 1, "b": 2}"#))).is_none());
    assert!(answers.get(&look("risk", None)).is_none());
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let answers = few();
    answers.insert(&of_customer("ada"), Timestamp(1), &json!(1));
    answers.insert(&of_customer("bob"), Timestamp(2), &json!(2));
    answers.get(&of_customer("ada"));
    answers.insert(&of_customer("eve"), Timestamp(3), &json!(3));
    assert!(answers.get(&of_customer("bob")).is_none());
    assert!(answers.get(&of_customer("ada")).is_some());
    assert!(answers.get(&of_customer("eve")).is_some());
}

#[test]
fn answers_are_bounded_by_their_bytes_together_and_each() {
    let answers = few();
    let sixty = json!("x".repeat(58));
    answers.insert(&of_customer("ada"), Timestamp(1), &sixty);
    answers.insert(&of_customer("bob"), Timestamp(2), &sixty);
    assert!(answers.get(&of_customer("ada")).is_none());
    assert_eq!(answers.kept().bytes, 60);
    answers.insert(&of_customer("bob"), Timestamp(3), &json!("x".repeat(LARGEST_BYTES)));
    assert_eq!(answers.get(&of_customer("bob")).map(|known| known.at), Some(Timestamp(2)));
}

#[test]
fn answers_are_not_printed() {
    let answers = few();
    answers.insert(&of_customer("ada"), Timestamp(1), &json!({"iban": "DE02"}));
    let printed = format!("{answers:?}");
    assert!(!printed.contains("DE02") && !printed.contains("ada"), "{printed}");
}

#[test]
fn however_many_learn_and_ask_at_once_the_bounds_hold_and_the_youngest_stays() {
    saga_base::sync::simulated::under_all_schedules(|| {
        let answers = std::sync::Arc::new(few());
        let shards = (1..=3).map(|shard| {
            let answers = std::sync::Arc::clone(&answers);
            shuttle::thread::spawn(move || {
                answers.insert(&of_customer("ada"), Timestamp(shard), &json!(shard));
                answers.insert(&of_customer(&shard.to_string()), Timestamp(shard), &json!(shard));
                assert!(answers.get(&of_customer("ada")).is_none_or(|known| known.at.0 <= 3));
            })
        });
        let shards: Vec<_> = shards.collect();
        shards.into_iter().for_each(|shard| shard.join().expect("it does not panic"));
        let kept = answers.kept();
        assert_eq!((kept.by_request.len(), kept.by_use.len(), kept.bytes), (2, 2, 2));
        assert!(kept.by_use.iter().all(|(turn, key)| kept.by_request[key].used == *turn));
    });
}
