//! Whatever is recorded is read back.

use super::*;
use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest, GuardKind, HttpMethod},
    event::{
        AttemptOutcome, CompensationCause, FallbackKind, ForkOrigin, NoRetryReason, OperatorAction, ParkReason,
        SagaEnd, StepFailureKind, SubstituteAnswer, TakenOutcome, TakenOverStep, TriggerRecord,
    },
    id::{SagaId, ShardId, StepIndex},
    json::MAX_DEPTH,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn some_saga() -> SagaId {
    SagaId::new(Timestamp(1), ShardId(3), 99)
}

fn decision(events: Vec<SagaEvent>) -> SagaDecision {
    SagaDecision { version: 4, at: Timestamp(77), events }
}

#[test]
fn a_decision_reads_back() {
    let skipped = SagaEvent::StepSkipped { step: StepIndex(2), direction: CommandDirection::Do, in_doubt: false };
    let decision = decision(vec![SagaEvent::SagaOverdue, skipped]);
    let payload = encode(&decision).expect("it reads back");
    assert_eq!(
        String::from_utf8_lossy(&payload),
        r#"{"v":1,"events":["sagaOverdue",{"stepSkipped":{"step":2,"direction":"do"}}]}"#
    );
    assert_eq!(decode(4, Timestamp(77), &payload).expect("reads back"), decision);
}

#[test]
fn a_newer_row_is_refused_by_its_number() {
    let error = decode(4, Timestamp(77), br#"{"v":2,"events":[{"nobodyKnows":{}}]}"#).expect_err("newer");
    assert!(matches!(error, RowDecodeError::Format { format: 2, version: 4, .. }), "{error}");
}

#[test]
fn a_row_of_an_earlier_format_is_brought_to_this_one() {
    let old = br#"{"v":0,"events":[
        {"kind":"stepDone","step":2,"result":{"amount":25000000000000000001}},
        {"kind":"stepPassed","step":2},
        {"kind":"stepDone","step":1,"undone":true},
        {"kind":"sagaOverdue"}]}"#;
    let result = serde_json::from_str(r#"{"amount":25000000000000000001}"#).expect("JSON");
    let done = SagaEvent::StepSucceeded { step: StepIndex(2), direction: CommandDirection::Do, result };
    let undone =
        SagaEvent::StepSucceeded { step: StepIndex(1), direction: CommandDirection::Undo, result: Value::Null };
    let expected = decision(vec![done, undone, SagaEvent::SagaOverdue]);
    assert_eq!(decode(4, Timestamp(77), old).expect("it reads"), expected);
}

#[test]
fn a_row_that_is_not_of_the_format_that_it_names_is_refused_with_what_it_lacks() {
    let read = |payload: &str| decode(4, Timestamp(77), payload.as_bytes()).expect_err("unfit").to_string();
    let place = "row 4 of format 0 cannot be brought to format 1: ";
    assert_eq!(read(r#"{"v":0,"events":[{"step":2}]}"#), format!("{place}an event of format 0 has a kind"));
    assert!(read(r#"{"v":0,"events":[{"kind":"stepDone"}]}"#).starts_with(&format!("{place}missing field `step`")));
    assert!(read(r#"{"v":0}"#).starts_with(&format!("{place}missing field `events`")));
}

#[test]
fn within_a_format_an_unknown_field_is_ignored_and_an_unknown_kind_or_a_missing_field_is_refused() {
    let read = |event: &str| {
        let payload = format!(r#"{{"v":1,"events":[{event}],"more":1}}"#);
        decode(4, Timestamp(77), payload.as_bytes())
    };
    let known = SagaEvent::StepSkipped { step: StepIndex(2), direction: CommandDirection::Do, in_doubt: false };
    let later = read(r#"{"stepSkipped":{"step":2,"direction":"do","later":{"a":[1]}}}"#).expect("it reads");
    assert_eq!(later.events, [known]);
    for unfit in [r#"{"stepFrozen":{"step":2}}"#, r#"{"stepSkipped":{"step":2}}"#] {
        assert!(read(unfit).is_err_and(|error| error.version() == 4), "{unfit}");
    }
}

#[test]
fn a_broken_row_names_its_version() {
    let error = decode(4, Timestamp(77), b"{").expect_err("broken");
    assert_eq!(error, RowDecodeError::Cut { version: 4, bytes: 1 });
}

/// As much of everything as the doors let in.
fn worst() -> Value {
    let numbers = format!("[25000000000000000001, 1e400, -0, {}]", "9".repeat(128));
    let numbers: Value = serde_json::from_str(&numbers).expect("JSON");
    let deep = (1..MAX_DEPTH).fold(json!(-0.5), |inner, _| json!([inner]));
    let texts = json!({"": "\u{1f600}\u{1}\u{7f}\"\\/", "$serde_json": "$serde_json::private::Number"});
    let worst = json!({"deep": deep, "numbers": numbers, "texts": texts});
    saga_core::json::check(&worst).expect("it is let in");
    worst
}

fn every_event() -> Vec<SagaEvent> {
    let (step, do_, undo, at) =
        (StepIndex(7), CommandDirection::Do, CommandDirection::Undo, Timestamp(1_700_000_000_000));
    let failure = CommandFailure::new("http.503", "\u{0}\"\\ busy");
    let kafka = CommandRequest::Kafka { participant: "stock".into(), command: "Reserve".into(), body: worst() };
    let http = CommandRequest::Http {
        participant: "bank".into(),
        method: HttpMethod::Post,
        path: "a/b".into(),
        body: Some(worst()),
    };
    let publish =
        CommandRequest::Publish { topic: "t".into(), event_type: "Done".into(), key: "k".into(), body: worst() };
    let trigger = TriggerRecord {
        topic: "shop.orders".into(),
        partition: 3,
        offset: i64::MAX,
        key: Some("\"".into()),
        timestamp: at,
        headers: BTreeMap::from([("ce_type".into(), "OrderPlaced".into())]),
        event: worst(),
    };
    let text = String::from;
    let fallback = |kind| SubstituteAnswer::Fallback { index: 1, kind };
    let answered = |by| SagaEvent::StepAnswered { step, by, request: Some(kafka.clone()), result: worst() };
    let taken_over = |outcome, result, by| SagaEvent::StepTakenOver {
        step,
        taken: Box::new(TakenOverStep { outcome, result, request: Some(kafka.clone()), done_in: some_saga(), by }),
    };
    let parked = |reason| SagaEvent::SagaParked { reason };
    let compensated = |cause| SagaEvent::SagaEnded {
        end: SagaEnd::Compensated { cause, irreversible: vec![step], in_doubt: vec![step] },
    };
    vec![
        SagaEvent::DefinitionChanged { from: text("ef56"), definition: text("ab12"), policies: text("cd34") },
        SagaEvent::SagaStarted {
            name: text("order"),
            key: text("4711"),
            definition: text("ab"),
            policies: text("cd"),
            trigger: Box::new(trigger),
            traceparent: Some(text("00-1-2-01")),
            forked_from: Some(Box::new(ForkOrigin {
                saga: some_saga(),
                version: 9,
                act: text("act"),
                who: text("ada"),
                reason: text("\u{0}fixed"),
                from: Some(text("charge")),
                forced: true,
                standing: vec![text("charge")],
            })),
        },
        taken_over(TakenOutcome::Succeeded, worst(), None),
        taken_over(TakenOutcome::Succeeded, Value::Null, None),
        taken_over(TakenOutcome::Skipped, Value::Null, None),
        taken_over(TakenOutcome::Failed { failure: failure.clone() }, worst(), Some(fallback(FallbackKind::Value))),
        SagaEvent::StepStarted { step, direction: do_, request: kafka.clone(), probe: true },
        SagaEvent::StepStarted { step, direction: undo, request: http, probe: false },
        SagaEvent::WaitStarted { step, until: at },
        SagaEvent::AttemptStarted { step, direction: do_, attempt: 2, probe: true },
        SagaEvent::AttemptFailed {
            step,
            direction: do_,
            attempt: 2,
            outcome: AttemptOutcome::Unknown,
            failure: failure.clone(),
            retry_at: Some(at),
            needs_person: true,
        },
        SagaEvent::AttemptExtended {
            step,
            direction: do_,
            attempt: 2,
            deadline: at,
            ask_at: Some(at),
            location: Some(text("/x")),
        },
        SagaEvent::StepWaiting {
            step,
            direction: do_,
            guard: GuardKind::Breaker,
            participant: Some(text("bank")),
            not_before: at,
            ever_sent: true,
        },
        SagaEvent::StepSucceeded { step, direction: do_, result: worst() },
        SagaEvent::StepRejected { step, result: worst(), failure: failure.clone() },
        SagaEvent::StepFailed {
            step,
            direction: do_,
            outcome: AttemptOutcome::Failed,
            failure: failure.clone(),
            ending: NoRetryReason::Definite,
        },
        answered(SubstituteAnswer::Cache { at }),
        answered(fallback(FallbackKind::Cached { at })),
        answered(fallback(FallbackKind::LastKnown { at })),
        answered(fallback(FallbackKind::Value)),
        answered(fallback(FallbackKind::Expression)),
        answered(fallback(FallbackKind::Fail { failure: failure.clone() })),
        SagaEvent::StepSkipped { step, direction: do_, in_doubt: true },
        SagaEvent::ResultArrived { step, result: worst() },
        SagaEvent::CompensationStarted { cause: CompensationCause::Step { step, failure: failure.clone() } },
        SagaEvent::SagaOverdue,
        parked(ParkReason::StepFailed { step, failure: failure.clone(), end: StepFailureKind::Unknown }),
        parked(ParkReason::PivotUnknown { step, failure: failure.clone() }),
        parked(ParkReason::UndoFailed { steps: vec![step], failure: failure.clone() }),
        parked(ParkReason::Output { failure: failure.clone() }),
        parked(ParkReason::Limit { message: text("10,000 rows") }),
        SagaEvent::SagaResumed,
        SagaEvent::OperatorActed {
            id: text("a"),
            who: text("ada"),
            reason: text("r"),
            action: OperatorAction::Retry,
            command: Some(CommandRef { step, direction: undo }),
        },
        SagaEvent::OutcomeDue { end: SagaEnd::Completed { output: worst() }, request: publish.clone() },
        SagaEvent::OutcomeWaiting { failure: failure.clone() },
        SagaEvent::OutcomeShortened { request: publish },
        SagaEvent::SagaEnded { end: SagaEnd::Abandoned { who: text("ada"), reason: text("r"), left: vec![step] } },
        compensated(CompensationCause::Timeout),
        compensated(CompensationCause::Cancelled { who: text("ada"), reason: text("r") }),
        SagaEvent::IncidentOpened { step: Some(step), direction: Some(undo), failure },
    ]
}

#[test]
fn every_event_reads_back_with_as_much_as_is_let_in() {
    for event in every_event() {
        let decision = decision(vec![event]);
        let payload = encode(&decision).expect("it reads back");
        assert_eq!(decode(4, Timestamp(77), &payload).expect("it reads"), decision);
    }
    let all = decision(every_event());
    assert_eq!(decode(4, Timestamp(77), &encode(&all).expect("reads")).expect("it reads"), all);
}

#[test]
fn a_large_row_has_an_outline_that_is_small_and_reads_as_the_same_events() {
    let small = decision(vec![SagaEvent::SagaOverdue]);
    assert_eq!(outline(&small, &encode(&small).expect("reads")), None);
    let result = json!({"picture": "x".repeat(1_000_000)});
    let large = decision(vec![
        SagaEvent::StepSucceeded { step: StepIndex(1), direction: CommandDirection::Do, result },
        SagaEvent::SagaOverdue,
    ]);
    let short = outline(&large, &encode(&large).expect("reads")).expect("a large row has one");
    assert!(short.len() < 200, "{} bytes", short.len());
    let read = decode(4, Timestamp(77), &short).expect("it reads");
    assert_eq!(read, large.outline());
    assert!(matches!(read.events[0], SagaEvent::StepSucceeded { result: Value::Null, .. }));
}

#[test]
fn no_event_is_missing_here() {
    let json = |event: &SagaEvent| serde_json::to_value(event).expect("JSON");
    let name = |value: Value| match value {
        Value::String(name) => name,
        Value::Object(members) => members.into_iter().next().expect("a variant").0,
        other => panic!("{other}"),
    };
    let seen: BTreeSet<String> = every_event().iter().map(|event| name(json(event))).collect();
    // What serde says of a variant that does not exist names all that do.
    let error = serde_json::from_str::<SagaEvent>("\"none\"").expect_err("no such variant").to_string();
    let known: BTreeSet<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(known.len() > 15, "{error}");
    assert_eq!(seen, known);
}

#[test]
fn a_row_that_would_not_read_back_is_not_written() {
    let too_deep = (0..125).fold(json!(1), |inner, _| json!([inner]));
    let posing = json!({"$serde_json::private::Number": "5"});
    for result in [too_deep, posing] {
        let error =
            encode(&decision(vec![SagaEvent::ResultArrived { step: StepIndex(0), result }])).expect_err("unreadable");
        assert!(error.to_string().starts_with("the row 4 would not read back: "), "{error}");
    }
}
