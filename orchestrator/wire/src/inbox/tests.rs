use super::*;
use saga_core::{
    act_author::ActOrigin,
    command::{CommandDirection, CommandFailure, ErrorClass, GuardKind, RetryAdvice},
    event::OperatorAction,
    input::ActTarget,
};
use serde_json::json;
use std::time::Duration;

fn saga() -> SagaId {
    SagaId::new(Timestamp(1_700_000_000_000), ShardId(7), 42)
}

/// It undoes what [`saga`] did.
fn other_saga() -> SagaId {
    SagaId::new(Timestamp(1_700_000_000_001), ShardId(7), 43)
}

/// What comes out at the other end of the inbox.
fn through_the_inbox(inbound: &InboxEnvelope) -> Result<InboxEnvelope, PoisonDiagnosis> {
    let OutgoingRecord { topic, partition, key, value, headers } = forward(&"saga.inbox".into(), ShardId(7), inbound);
    assert_eq!(partition, Some(7));
    receive(&KafkaRecord { topic, partition: 7, offset: 99, timestamp: Timestamp(5), key, value, headers })
}

fn odd_records() -> Vec<KafkaRecord> {
    let record = |key, value, headers| KafkaRecord {
        topic: "shop.orders".into(),
        partition: 3,
        offset: 14,
        timestamp: Timestamp(-1),
        key,
        value,
        headers,
    };
    vec![
        record(None, None, vec![]),
        record(Some(Bytes::new()), Some(Bytes::new()), vec![("a".into(), None), ("a".into(), Some(Bytes::new()))]),
        record(
            Some(Bytes::from_static(&[0xff])),
            Some(Bytes::from_static(&[0])),
            vec![("b".into(), Some(Bytes::from_static(&[0xfe])))],
        ),
        // A record that was forwarded before, or pretends to: its headers are its own.
        record(
            None,
            None,
            vec![text_header(KIND, "operator"), text_header(TOPIC, "elsewhere"), text_header(OFFSET, "x")],
        ),
    ]
}

#[test]
fn a_forwarded_record_arrives_as_it_was_read() {
    for record in odd_records() {
        let reply = InboxEnvelope::Reply { record: record.clone(), decoded: None };
        assert_eq!(through_the_inbox(&reply), Ok(reply));
        let trigger = InboxEnvelope::Trigger {
            decoded: Some(json!({"orderId": "4711"})),
            record,
            definition: "order-fulfillment".into(),
            hash: "ab12".into(),
            policies: Some("cd34".into()),
        };
        assert_eq!(through_the_inbox(&trigger), Ok(trigger));
    }
}

#[test]
fn every_answer_survives_forwarding() {
    let failure = || CommandFailure::new("http.503", "");
    let answers = [
        CommandAnswer::Succeeded { result: json!({"a": [1, null]}) },
        CommandAnswer::Succeeded { result: json!(null) },
        CommandAnswer::Succeeded {
            result: serde_json::from_str(r#"[{"a": 25000000000000000001}, 1.10, 1e-400, -0, 7, -7, 0.5]"#)
                .expect("JSON"),
        },
        CommandAnswer::Failed {
            failure: failure(),
            retry: RetryAdvice::ThenPark,
            retry_after: Some(Duration::from_millis(1500)),
        },
        CommandAnswer::Failed { failure: failure(), retry: RetryAdvice::No, retry_after: None },
        CommandAnswer::unknown(failure().of_class(ErrorClass::ServerError)),
        CommandAnswer::Unknown {
            failure: failure(),
            retry: RetryAdvice::No,
            retry_after: Some(Duration::from_secs(7)),
        },
        CommandAnswer::Ongoing { ask_after: Some(Duration::from_secs(2)), location: Some("/jobs/1?x=y".into()) },
        CommandAnswer::Ongoing { ask_after: None, location: None },
        CommandAnswer::NotSent { guard: GuardKind::Bulkhead, retry_after: Duration::from_secs(1) },
    ];
    for (answer, attempt) in answers.into_iter().zip([Some(1), None].into_iter().cycle()) {
        let command = CommandId { saga: saga(), step: "charge".into(), direction: CommandDirection::Do };
        for saga in [saga(), other_saga()] {
            let (command, answer) = (command.clone(), answer.clone());
            let outcome = InboxEnvelope::Outcome(CallOutcome { saga, command, attempt, answer });
            assert_eq!(through_the_inbox(&outcome), Ok(outcome));
        }
    }
}

#[test]
fn a_rerun_survives_forwarding() {
    for (from, definition) in [(None, None), (Some("charge".to_owned()), Some(("ab".to_owned(), "cd".to_owned())))] {
        let force = from.is_some();
        let order =
            RerunOrder { id: "7".into(), who: "ada".into(), reason: "fixed".into(), from, force, origin: origin() };
        let rerun = InboxEnvelope::Rerun { saga: saga(), order, definition };
        assert_eq!(through_the_inbox(&rerun), Ok(rerun));
    }
}

#[test]
fn an_operator_s_act_survives_forwarding() {
    let undo = ActTarget { step: "charge".into(), direction: Some(CommandDirection::Undo) };
    let either = ActTarget { step: "charge".into(), direction: None };
    for about in [None, Some(undo), Some(either)] {
        let definition = about.is_none().then(|| ("ab12".to_owned(), "cd34".to_owned()));
        let act = InboxEnvelope::Operator { saga: saga(), act: OperatorAct { about, ..act() }, definition };
        assert_eq!(through_the_inbox(&act), Ok(act));
    }
}

fn act() -> OperatorAct {
    let (id, who, reason) = ("a1".into(), "ada".into(), "customer called".into());
    OperatorAct { id, who, reason, action: OperatorAction::Skip, about: None, origin: Box::new(origin()) }
}

#[test]
fn an_act_of_a_build_that_named_no_step_is_read() {
    let recorded =
        json!({"saga": saga().to_string(), "id": "a1", "who": "ada", "reason": "customer called", "action": "skip"});
    let record = KafkaRecord {
        value: Some(Bytes::from(recorded.to_string())),
        headers: vec![text_header(KIND, "operator")],
        ..odd_records().remove(0)
    };
    let act = OperatorAct { origin: Box::default(), ..act() };
    assert_eq!(receive(&record), Ok(InboxEnvelope::Operator { saga: saga(), act, definition: None }));
}

#[test]
fn the_json_that_is_on_its_way_can_be_read_by_the_next_version() {
    let recorded = json!({"command": format!("{}:charge:do", saga()), "answer": {"outcome": "failed",
        "failure": {"code": "http.409"}, "retry": "no", "later": "ignored"}});
    let record = KafkaRecord {
        value: Some(Bytes::from(recorded.to_string())),
        headers: vec![text_header(KIND, "outcome")],
        ..odd_records().remove(0)
    };
    assert!(matches!(
        receive(&record),
        Ok(InboxEnvelope::Outcome(CallOutcome { attempt: None, answer: CommandAnswer::Failed { .. }, .. }))
    ));
}

#[test]
fn what_no_instance_wrote_is_poison() {
    let mut strange = odd_records().remove(0);
    assert_eq!(receive(&strange).expect_err("poison").code, PoisonCode::Inbox);
    for kind in ["trigger", "outcome", "operator", "party"] {
        strange.headers = vec![text_header(KIND, kind)];
        assert_eq!(receive(&strange).expect_err("poison").code, PoisonCode::Inbox, "{kind}");
    }
}

fn origin() -> ActOrigin {
    ActOrigin { token: Some("key:ops".into()), address: Some("10.0.0.7:5512".into()), ..ActOrigin::default() }
}
