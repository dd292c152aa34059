//! Journals of a real store, verified.

use super::{
    audit::{AuditRequest, AuditTarget, audit},
    verify::{DivergenceKind, SagaDivergence, VerifyEvent, VerifyReport, VerifyRequest, verify},
    what_if::{WhatIfEvent, WhatIfReport, WhatIfRequest, WhatIfVerdict, what_if},
};
use crate::{
    journal::PlanCache,
    row::{self, ShardWriter},
    seeding::fixture::{DEFINITION, SeededStore, plan, trigger},
    unguarded,
};
use saga_core::{
    command::{CommandDirection, CommandFailure},
    decide::{self, AdmissionVerdict, DecisionOutcome},
    event::{AttemptOutcome, OperatorAction, SagaDecision, SagaEvent},
    id::{SagaId, ShardId, StepIndex},
    input::{OperatorAct, SagaInput, SagaStart},
    time::Timestamp,
    what_if::AssumedAnswers,
};
use saga_event_store::{AppendOutcome, EventStore, NewNote, ShardEpoch, StreamAppend, StreamMark};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// Sagas of a test: more than a page of rows.
const SAGAS: u32 = 2_500;

impl SeededStore {
    async fn verified(&self, wanted: &VerifyRequest) -> (VerifyReport, Vec<SagaDivergence>) {
        let mut diverged = Vec::new();
        let report = verify(Arc::<dyn EventStore>::clone(&self.store), wanted, 2, |event| match event {
            VerifyEvent::Diverged(it) => diverged.push(*it),
            VerifyEvent::Progress(progress) => assert!((0.0..=1.0).contains(&progress.share)),
        });
        let report = report.await.expect("the store answers");
        assert_eq!(report.divergences, diverged.len() as u64);
        (report, diverged)
    }

    /// The newest saga, and the epoch under which it can be written.
    async fn newest_claimed(&self) -> (SagaId, ShardEpoch) {
        let epoch = self.store.claim(0, "test").await.expect("the shard is claimed");
        (self.newest().await, epoch)
    }
}

#[tokio::test]
async fn what_an_engine_wrote_is_verified_whole_and_by_what_is_asked_for() {
    let it = SeededStore::with(SAGAS).await;
    let (report, _) = it.verified(&VerifyRequest::default()).await;
    let expected = VerifyReport {
        sagas: SAGAS.into(),
        rows: 2 * u64::from(SAGAS),
        events: 4 * u64::from(SAGAS),
        ..VerifyReport::default()
    };
    assert_eq!(report, expected);
    let newest = it.newest().await;
    let since = newest.started_at().minus(Duration::from_millis(9));
    let (report, _) = it.verified(&VerifyRequest { since: Some(since), saga: None }).await;
    assert_eq!(report.sagas, 10);
    let (report, _) = it.verified(&VerifyRequest { since: None, saga: Some("invoice".into()) }).await;
    assert_eq!(report, VerifyReport::default());
}

#[tokio::test]
async fn a_read_model_that_shows_something_else_is_named() {
    let it = SeededStore::with(SAGAS).await;
    let (saga, epoch) = it.newest_claimed().await;
    let mark = StreamMark {
        shard: 0,
        epoch,
        stream: saga.uuid(),
        status: "parked".into(),
        reason: Some("by hand".into()),
        at_ms: 1,
        code: Some("damaged".into()),
    };
    it.store.mark(&mark).await.expect("a mark");
    let (report, diverged) = it.verified(&VerifyRequest::default()).await;
    let told: Vec<_> = diverged.iter().map(|it| (it.id.clone(), it.kind, it.place.as_str(), it.version)).collect();
    let of = |place| (saga.to_string(), DivergenceKind::ReadModel, place, 2);
    assert_eq!(told, [of("status"), of("code")], "{diverged:?}");
    assert_eq!([&diverged[0].expected, &diverged[0].found], [&json!("running"), &json!("parked")]);
    assert_eq!(report.sagas, u64::from(SAGAS));
}

#[tokio::test]
async fn a_row_that_no_rule_decides_is_named_with_what_the_rules_decide() {
    let it = SeededStore::with(SAGAS).await;
    let (saga, epoch) = it.newest_claimed().await;
    let recorded = crate::journal::read(it.store.as_ref(), &Default::default(), saga).await.expect("a read");
    let mut recorded = recorded.expect("a saga");
    // Undone by nothing: the rules send the saga back instead.
    let failure = CommandFailure::new("declined", "no funds");
    let (step, direction) = (StepIndex(1), CommandDirection::Do);
    let failed = SagaEvent::AttemptFailed {
        step,
        direction,
        attempt: 1,
        outcome: AttemptOutcome::Failed,
        failure,
        retry_at: Some(recorded.state.last_at.plus(Duration::from_millis(1))),
        needs_person: false,
    };
    let decision = SagaDecision { version: 3, at: recorded.state.last_at, events: vec![failed] };
    saga_core::evolve::evolve(&it.plan, &mut recorded.state, &decision);
    let writer = ShardWriter { shard: ShardId(0), epoch };
    let append = row::showing(writer, &it.plan, &recorded.state, &decision).expect("a row");
    assert_eq!(it.store.append(&[append]).await.expect("an append"), [AppendOutcome::Committed]);
    let (_, diverged) = it.verified(&VerifyRequest::default()).await;
    let told: Vec<_> = diverged.iter().map(|it| (it.id.clone(), it.kind, it.place.as_str(), it.version)).collect();
    assert_eq!(told, [(saga.to_string(), DivergenceKind::Decision, "3.0", 3)], "{diverged:?}");
    let at = |value: &serde_json::Value| value["attemptFailed"]["retry_at"].as_i64().expect("a time");
    assert!(at(&diverged[0].found) > at(&diverged[0].expected), "the policy waits longer: {diverged:?}");
}

/// The payload that a build of format 0 would have written.
fn in_format_0(decision: &SagaDecision) -> Vec<u8> {
    let event = |event: &SagaEvent| match serde_json::to_value(event).expect("JSON") {
        serde_json::Value::Object(fields) => {
            let (kind, mut event) = fields.into_iter().next().expect("a variant");
            event["kind"] = json!(if kind == "stepSucceeded" { "stepDone".to_owned() } else { kind });
            event
        }
        kind => json!({ "kind": kind }),
    };
    let events: Vec<_> = decision.events.iter().map(event).collect();
    json!({"v": 0, "events": events}).to_string().into_bytes()
}

#[tokio::test]
async fn a_saga_whose_rows_have_an_earlier_format_is_folded_and_decided_again_like_any_other() {
    let it = SeededStore::empty().await;
    let epoch = it.store.claim(0, "test").await.expect("the shard is claimed");
    PlanCache::default().publish(it.store.as_ref(), Arc::clone(&it.plan)).await.expect("documents");
    let (saga, writer) = (SagaId::new(Timestamp(1_000), ShardId(0), 7), ShardWriter { shard: ShardId(0), epoch });
    let start = SagaStart { key: "old".into(), trigger: trigger("old"), traceparent: None };
    let admit = AdmissionVerdict::Admitted;
    let at = |ms| Timestamp(1_000).plus(Duration::from_millis(ms));
    let (first, mut state) =
        unguarded::decided_at(at(0), 0, admit, |context| decide::start(&it.plan, saga, start, context));
    let first_append = row::showing(writer, &it.plan, &state, &first).expect("a row");
    let second = unguarded::decided_at(at(60_000), 0, admit, |context| {
        decide::decide(&it.plan, &mut state, &SagaInput::TimeReached, context)
    });
    let Ok(DecisionOutcome::Decided(second)) = second else { panic!("decided, not {second:?}") };
    let second_append = row::showing(writer, &it.plan, &state, &second).expect("a row");
    for (append, decision) in [(first_append, &first), (second_append, &second)] {
        let append = StreamAppend { payload: in_format_0(decision), ..append };
        assert_eq!(it.store.append(&[append]).await.expect("an append"), [AppendOutcome::Committed]);
    }
    let recorded = crate::journal::read(it.store.as_ref(), &PlanCache::default(), saga).await.expect("a read");
    let recorded = recorded.expect("a saga");
    assert_eq!(recorded.decisions, [first, second]);
    let (report, diverged) = it.verified(&VerifyRequest::default()).await;
    assert_eq!((report.sagas, report.rows, diverged), (1, 2, Vec::new()));
}

impl SeededStore {
    async fn by(&self, definition: &str, limit: Option<u64>) -> WhatIfReport {
        let wanted =
            WhatIfRequest { plan: plan(definition), since: None, limit, key: None, assumed: AssumedAnswers::default() };
        let mut lines = 0;
        let report = what_if(Arc::<dyn EventStore>::clone(&self.store), wanted, 2, |event| match event {
            WhatIfEvent::Saga(_) => lines += 1,
            WhatIfEvent::Progress(progress) => assert!((0.0..=1.0).contains(&progress.share)),
        });
        let report = report.await.expect("the store answers");
        assert_eq!(report.sagas, lines);
        report
    }
}

#[tokio::test]
async fn recorded_sagas_are_run_by_a_changed_definition() {
    let it = SeededStore::with(SAGAS).await;
    let report = it.by(DEFINITION, None).await;
    assert_eq!(report.verdicts, [(WhatIfVerdict::Open, u64::from(SAGAS))].into_iter().collect());
    let report = it.by(DEFINITION, Some(7)).await;
    assert_eq!(report.sagas, 7);
    let unwanted = DEFINITION.replace("topic: orders,", "topic: orders, when: event.id == 'none',");
    let report = it.by(&unwanted, None).await;
    assert_eq!(report.verdicts, [(WhatIfVerdict::NotStarted, u64::from(SAGAS))].into_iter().collect());
    assert_eq!(report.reasons.keys().collect::<Vec<_>>(), ["the trigger does not want its event"]);
    let rekeyed = DEFINITION.replace("${ event.id }", "${ 'o-' + event.id }");
    let report = it.by(&rekeyed, None).await;
    assert_eq!(report.reasons.keys().collect::<Vec<_>>(), ["its key would be another one"]);
    let report = it.by(&DEFINITION.replace("saga: order", "saga: invoice"), None).await;
    assert_eq!(report, WhatIfReport::default());
}

#[tokio::test]
async fn acts_on_sagas_and_guards_are_found_newest_first() {
    let it = SeededStore::with(SAGAS).await;
    let (saga, epoch) = it.newest_claimed().await;
    let recorded = crate::journal::read(it.store.as_ref(), &Default::default(), saga).await.expect("a read");
    let mut recorded = recorded.expect("a saga");
    let act = OperatorAct {
        id: "7".into(),
        who: "anna".into(),
        reason: "by hand".into(),
        action: OperatorAction::Abandon,
        about: None,
        origin: Box::default(),
    };
    let input = SagaInput::Operator(act);
    let now = recorded.state.last_at;
    let decided = unguarded::decided_at(now, 0, AdmissionVerdict::Admitted, |context| {
        decide::decide(&it.plan, &mut recorded.state, &input, context)
    });
    let Ok(DecisionOutcome::Decided(decision)) = decided else { panic!("decided, not {decided:?}") };
    let writer = ShardWriter { shard: ShardId(0), epoch };
    let append = row::showing(writer, &it.plan, &recorded.state, &decision).expect("a row");
    it.store.append(&[append]).await.expect("an append");
    let all = AuditRequest { limit: 10, ..AuditRequest::default() };
    let found = audit(Arc::clone(&it.store), &all).await.expect("the store answers");
    let key = recorded.state.key.clone();
    let on = AuditTarget::Saga { id: saga.to_string(), key: key.clone(), version: 3 };
    let [entry] = found.entries.as_slice() else { panic!("one act, not {found:?}") };
    assert_eq!(found.next, None);
    assert_eq!((entry.who.as_str(), entry.action.as_str(), &entry.on), ("anna", "abandon", &on));
    for (wanted, count) in [
        (AuditRequest { on: Some(key), ..all.clone() }, 1),
        (AuditRequest { on: Some("none".into()), ..all.clone() }, 0),
        (AuditRequest { who: Some("ben".into()), ..all.clone() }, 0),
        (AuditRequest { action: Some("abandon".into()), ..all.clone() }, 1),
        (AuditRequest { action: Some("aband".into()), ..all.clone() }, 0),
        (AuditRequest { until: Some(now), ..all.clone() }, 0),
        (AuditRequest { since: Some(now.plus(Duration::from_millis(1))), ..all.clone() }, 0),
    ] {
        let found = audit(Arc::clone(&it.store), &wanted).await.expect("the store answers");
        assert_eq!(found.entries.len(), count, "{wanted:?}");
    }
    let (report, _) = it.verified(&VerifyRequest::default()).await;
    assert_eq!((report.sagas, report.divergences), (u64::from(SAGAS), 0));
}

#[tokio::test]
async fn acts_of_all_sources_are_one_list_that_has_pages() {
    let it = SeededStore::empty().await;
    let note = |topic: &str, at_ms, body: serde_json::Value| NewNote {
        id: Uuid::new_v4(),
        topic: topic.to_owned(),
        body: body.to_string(),
        at_ms,
    };
    let mut log = Vec::new();
    for (at, hash) in [(1, Some("aa")), (3, Some("bb")), (5, None)] {
        let set = format!("set-{at}");
        let published = |hash: &str| json!({"order": {"topic": "orders", "hash": hash, "sinceMs": 1}});
        let definitions = hash.map_or(json!({}), published);
        let generation = json!({"definitions": definitions, "participants": []});
        it.store.put_document("generation", &set, &generation.to_string()).await.expect("a document");
        let after = log.last().copied().unwrap_or(0);
        let body = json!({"after": after, "set": set, "by": "engine-1"});
        log.push(it.store.add_note(&note("definitions", at, body)).await.expect("a note").0);
    }
    let text = json!({"name": "order", "definition": "cc", "who": "ada", "reason": "v2"});
    it.store.add_note(&note("definition-texts", 3, text)).await.expect("a note");
    let restored = json!({"name": "order", "definition": "aa", "who": "eve", "reason": "lost"});
    it.store.add_note(&note("definition-restores", 3, restored)).await.expect("a note");
    let reloaded = json!({"engine": "engine-1", "before": "dd", "now": "ee", "effect": "changed", "reason": ""});
    it.store.add_note(&note("participants-reloads", 3, reloaded)).await.expect("a note");
    let refused = json!({"engine": "engine-2", "before": "dd", "now": null, "effect": "refused", "reason": "no file"});
    it.store.add_note(&note("participants-reloads", 4, refused)).await.expect("a note");
    let epoch = it.store.claim(0, "test").await.expect("the shard is claimed");
    let saga = SagaId::new(Timestamp(1), ShardId(0), 7);
    let start = SagaStart { key: "4711".into(), trigger: trigger("4711"), traceparent: None };
    let admit = AdmissionVerdict::Admitted;
    let (first, mut state) =
        unguarded::decided_at(Timestamp(2), 0, admit, |context| decide::start(&it.plan, saga, start, context));
    let writer = ShardWriter { shard: ShardId(0), epoch };
    let first = row::showing(writer, &it.plan, &state, &first).expect("a row");
    let act = OperatorAct {
        id: "7".into(),
        who: "ada".into(),
        reason: "by hand".into(),
        action: OperatorAction::Abandon,
        about: None,
        origin: Box::default(),
    };
    let decided = unguarded::decided_at(Timestamp(3), 0, admit, |context| {
        decide::decide(&it.plan, &mut state, &SagaInput::Operator(act), context)
    });
    let Ok(DecisionOutcome::Decided(second)) = decided else { panic!("decided, not {decided:?}") };
    let second = row::showing(writer, &it.plan, &state, &second).expect("a row");
    it.store.append(&[first]).await.expect("an append");
    it.store.append(&[second]).await.expect("an append");
    let all = AuditRequest { limit: 100, ..AuditRequest::default() };
    let whole = audit(Arc::clone(&it.store), &all).await.expect("the store answers");
    let told: Vec<_> = whole.entries.iter().map(|it| (it.who.as_str(), it.action.as_str())).collect();
    let expected = [
        ("engine-1", "withdraw definition"),
        ("engine-2", "refuse participants"),
        ("ada", "abandon"),
        ("engine-1", "reload participants"),
        ("eve", "restore definition"),
        ("ada", "store definition"),
        ("engine-1", "publish definition in place of aa"),
        ("engine-1", "publish definition"),
    ];
    assert_eq!(told, expected, "{whole:?}");
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let wanted = AuditRequest { after, limit: 1, ..all.clone() };
        let page = audit(Arc::clone(&it.store), &wanted).await.expect("the store answers");
        paged.extend(page.entries);
        let Some(next) = page.next else { break };
        after = Some(next.to_string().parse().expect("a place"));
    }
    assert_eq!(paged, whole.entries);
    let of = |on: &str| AuditRequest { on: Some(on.into()), ..all.clone() };
    let reloads = [(of("participants.yaml"), 2), (of("ee"), 1), (of("dd"), 2)];
    let others =
        [(of("order"), 5), (of("cc"), 1), (of("4711"), 1), (of(&saga.to_string()), 1), (of("x"), 0), (of("aa"), 2)];
    for (wanted, count) in others.into_iter().chain(reloads) {
        let found = audit(Arc::clone(&it.store), &wanted).await.expect("the store answers");
        assert_eq!(found.entries.len(), count, "{wanted:?}");
    }
    assert_eq!(whole.unreadable, Vec::<String>::new());
}

#[tokio::test]
async fn an_act_that_the_index_lacks_is_named() {
    let it = SeededStore::empty().await;
    PlanCache::default().publish(it.store.as_ref(), Arc::clone(&it.plan)).await.expect("documents");
    let epoch = it.store.claim(0, "test").await.expect("the shard is claimed");
    let (saga, admit) = (SagaId::new(Timestamp(1), ShardId(0), 7), AdmissionVerdict::Admitted);
    let start = SagaStart { key: "4711".into(), trigger: trigger("4711"), traceparent: None };
    let (first, mut state) =
        unguarded::decided_at(Timestamp(2), 0, admit, |context| decide::start(&it.plan, saga, start, context));
    let writer = ShardWriter { shard: ShardId(0), epoch };
    let first = row::showing(writer, &it.plan, &state, &first).expect("a row");
    let (who, reason, action) = ("ada".to_owned(), "by hand".to_owned(), OperatorAction::Cancel);
    let act = OperatorAct { id: "7".into(), who, reason, action, about: None, origin: Box::default() };
    let decided = unguarded::decided_at(Timestamp(3), 0, admit, |context| {
        decide::decide(&it.plan, &mut state, &SagaInput::Operator(act), context)
    });
    let Ok(DecisionOutcome::Decided(second)) = decided else { panic!("decided, not {decided:?}") };
    let second = row::showing(writer, &it.plan, &state, &second).expect("a row");
    it.store.append(&[first]).await.expect("an append");
    it.store.append(&[StreamAppend { act: None, ..second }]).await.expect("an append");
    let (_, diverged) = it.verified(&VerifyRequest::default()).await;
    let told: Vec<_> = diverged.iter().map(|it| (it.kind, it.version, &it.found)).collect();
    assert_eq!(told, [(DivergenceKind::Act, 2, &json!(null))], "{diverged:?}");
    assert_eq!(diverged[0].expected["who"], "ada");
}
