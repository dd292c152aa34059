//! From journals to advice.

use super::{
    AdviceReport, AdviceRequest, AdviceSelection, GivenParticipants, OutlookWord, StayReason, advise, journal_observer,
    observed::ObservedPast,
    present::PresentSettings,
    setting::{SettingKey, SettingScope, SettingValue},
    verdict::{AdviceConfidence, JudgedSetting, RuleAdvice, RuleVerdict},
    yaml_patch,
};
use crate::{
    journal::PlanCache,
    row::{self, ShardWriter},
    seeding::fixture::{DEFINITION, SeededStore, plan, trigger},
};
use proptest::prelude::*;
use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRequest, ErrorClass, FailureOrigin, GuardKind},
    definition::{self, participants},
    event::{AttemptOutcome, CompensationCause, NoRetryReason, SagaDecision, SagaEvent},
    id::{SagaId, ShardId, StepIndex},
    state::SagaPlan,
    time::Timestamp,
};
use saga_event_store::{AppendOutcome, EventStore, ShardEpoch, StreamAppend};
use saga_guards::{
    breaker::{BreakerConfig, BreakerParameters, WindowConfig},
    rate::CallRate,
    retry::{AttemptLimit, BackoffStrategy, JitterStrategy, RetryPolicy},
};
use serde_json::{Value, json};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

/// The step `charge` of the definition.
const CHARGE: StepIndex = StepIndex(1);

/// A journal by the milliseconds at which its rows were written.
fn observed(plan: &SagaPlan, rows: Vec<(i64, Vec<SagaEvent>)>) -> ObservedPast {
    let start = SagaEvent::SagaStarted {
        name: "order".into(),
        key: "1".into(),
        definition: plan.definition.hash.clone(),
        policies: plan.policies_hash.clone(),
        trigger: Box::new(trigger("1")),
        traceparent: None,
        forked_from: None,
    };
    let rows = std::iter::once((0, vec![start])).chain(rows);
    let decision = |(version, (ms, events))| SagaDecision { version, at: Timestamp(1_000_000 + ms), events };
    let decisions: Vec<SagaDecision> = (1..).zip(rows).map(decision).collect();
    let saga = SagaId::new(Timestamp(1_000_000), ShardId(0), 1);
    journal_observer::observed(plan, saga, &decisions).expect("a journal")
}

fn started() -> SagaEvent {
    let request = CommandRequest::Kafka { participant: "payments".into(), command: "Charge".into(), body: Value::Null };
    SagaEvent::StepStarted { step: CHARGE, direction: CommandDirection::Do, request, probe: false }
}

fn again(attempt: u32) -> SagaEvent {
    SagaEvent::AttemptStarted { step: CHARGE, direction: CommandDirection::Do, attempt, probe: false }
}

fn failed(attempt: u32, class: ErrorClass) -> SagaEvent {
    SagaEvent::AttemptFailed {
        step: CHARGE,
        direction: CommandDirection::Do,
        attempt,
        outcome: AttemptOutcome::Unknown,
        failure: failure(class),
        retry_at: Some(Timestamp(2_000_000)),
        needs_person: false,
    }
}

fn failure(class: ErrorClass) -> CommandFailure {
    CommandFailure::new(class.as_str(), "").of_origin(FailureOrigin::Transport).of_class(class)
}

fn waiting(guard: GuardKind) -> SagaEvent {
    SagaEvent::StepWaiting {
        step: CHARGE,
        direction: CommandDirection::Do,
        guard,
        participant: Some("payments".into()),
        not_before: Timestamp(2_000_000),
        ever_sent: false,
    }
}

fn succeeded() -> SagaEvent {
    SagaEvent::StepSucceeded { step: CHARGE, direction: CommandDirection::Do, result: json!({}) }
}

#[test]
fn an_answer_after_a_timeout_is_late_and_measured_from_the_attempt_in_doubt() {
    let past = observed(
        &plan(DEFINITION),
        vec![(10, vec![started()]), (110, vec![failed(1, ErrorClass::Timeout)]), (250, vec![succeeded()])],
    );
    let (_, it) = past.commands.first_key_value().expect("a command");
    assert_eq!((it.attempts, it.timeouts, it.timeouts_rescued, it.latency.total()), (1, 1, 1, 0));
    let (late, recovery) = (it.late.quantile(1.0).expect("late"), it.recovery.quantile(1.0).expect("recovered"));
    assert!(
        (240..248).contains(&late.as_millis()) && (140..145).contains(&recovery.as_millis()),
        "{late:?} {recovery:?}"
    );
}

#[test]
fn a_success_while_an_earlier_attempt_is_in_doubt_says_nothing_of_the_latency() {
    let rows = vec![
        (10, vec![started()]),
        (110, vec![failed(1, ErrorClass::Timeout)]),
        (1_110, vec![again(2)]),
        (1_112, vec![succeeded()]),
    ];
    let past = observed(&plan(DEFINITION), rows);
    let (_, it) = past.commands.first_key_value().expect("a command");
    assert_eq!((it.latency.total(), it.late.total(), it.timeouts_rescued), (0, 0, 1));
    let counts: Vec<_> = it.by_number.iter().map(|it| (it.made, it.succeeded)).collect();
    assert_eq!(counts, [(1, 0), (1, 1)]);
}

#[test]
fn an_attempt_that_a_guard_took_back_was_none_and_its_wait_is_measured() {
    let rows = vec![
        (0, vec![waiting(GuardKind::Breaker)]),
        (500, vec![started()]),
        (600, vec![waiting(GuardKind::Bulkhead)]),
        (900, vec![started()]),
        (950, vec![succeeded()]),
    ];
    let past = observed(&plan(DEFINITION), rows);
    let (_, it) = past.commands.first_key_value().expect("a command");
    assert_eq!((it.attempts, it.succeeded, it.latency.total()), (1, 1, 1));
    let waits: Vec<_> = it.waits.iter().map(|(guard, waits)| (*guard, waits.total())).collect();
    assert_eq!(waits, [(GuardKind::Breaker, 1), (GuardKind::Bulkhead, 1)]);
    let load: u32 = past.series["payments"].load().map(|bucket| bucket.arrived).sum();
    assert_eq!(load, 1, "one command, however often it asks");
}

#[test]
fn what_gave_up_and_what_followed_is_counted_and_failures_of_the_engine_are_not_the_participants() {
    let gave_up = SagaEvent::StepFailed {
        step: CHARGE,
        direction: CommandDirection::Do,
        outcome: AttemptOutcome::Failed,
        failure: failure(ErrorClass::ServerError),
        ending: NoRetryReason::Exhausted,
    };
    let cause = CompensationCause::Step { step: CHARGE, failure: failure(ErrorClass::ServerError) };
    let rows = vec![
        (10, vec![started()]),
        (20, vec![failed(1, ErrorClass::ServerError), gave_up, SagaEvent::CompensationStarted { cause }]),
    ];
    let past = observed(&plan(DEFINITION), rows);
    let (_, it) = past.commands.first_key_value().expect("a command");
    assert_eq!((it.exhausted, it.compensated, it.failures[&ErrorClass::ServerError]), (1, 1, 1));
    let SagaEvent::AttemptFailed { step, direction, attempt, outcome, retry_at, needs_person, .. } =
        failed(1, ErrorClass::Timeout)
    else {
        panic!("a failure")
    };
    let failure = CommandFailure::new("expression", "");
    let own = SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person };
    let past = observed(&plan(DEFINITION), vec![(10, vec![started()]), (20, vec![own])]);
    assert!(past.series["payments"].health().is_empty() && past.commands.values().all(|it| it.failures.is_empty()));
}

fn request() -> AdviceRequest {
    AdviceRequest {
        since: None,
        wanted: AdviceSelection::default(),
        engines: NonZeroU32::MIN,
        participants: None,
        definitions: Vec::new(),
        now: Timestamp(1_000_000),
    }
}

async fn advised(store: &SeededStore, request: AdviceRequest) -> AdviceReport {
    let report = advise(Arc::<dyn EventStore>::clone(&store.store), request, 2, |progress| {
        assert!((0.0..=1.0).contains(&progress.share));
    });
    report.await.expect("the store answers")
}

#[tokio::test]
async fn an_empty_store_has_neither_advice_nor_forecasts() {
    let report = advised(&SeededStore::empty().await, request()).await;
    assert_eq!((report.read.sagas, report.read.from.as_deref()), (0, None));
    assert!(report.advice.is_empty() && report.unchanged.is_empty() && report.forecasts.is_empty(), "{report:?}");
}

#[tokio::test]
async fn open_sagas_are_not_enough_evidence_for_anything() {
    let report = advised(&SeededStore::with(300).await, request()).await;
    assert_eq!((report.read.sagas, report.read.skipped, report.advice.len()), (300, 0, 0));
    assert_eq!(report.observed[0].attempts, 300);
    let timeout = report.unchanged.iter().find(|it| it.setting == SettingKey::Timeout).expect("the timeout");
    assert_eq!(timeout.reason, StayReason::NotEnoughEvidence, "{timeout:?}");
    assert_eq!(report.forecasts[0].outlook, OutlookWord::NotEnoughEvidence);
    assert!(!report.forecasts[0].past.is_enough);
}

impl SeededStore {
    /// Adds a row to the saga's journal that no build reads.
    async fn damage(&self, saga: SagaId, epoch: ShardEpoch) {
        let recorded = crate::journal::read(self.store.as_ref(), &PlanCache::default(), saga).await;
        let mut state = recorded.expect("a read").expect("a saga").state;
        let at = state.last_at;
        let decision = SagaDecision { version: 3, at, events: vec![SagaEvent::SagaOverdue] };
        saga_core::evolve::evolve(&self.plan, &mut state, &decision);
        let writer = ShardWriter { shard: ShardId(0), epoch };
        let append = row::showing(writer, &self.plan, &state, &decision).expect("a row");
        let append = StreamAppend { payload: b"{\"v\":1,\"ev".to_vec(), ..append };
        assert_eq!(self.store.append(&[append]).await.expect("an append"), [AppendOutcome::Committed]);
    }
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_named_and_the_others_count() {
    let it = SeededStore::with(20).await;
    let newest = it.newest().await;
    let epoch = it.store.claim(0, "test").await.expect("the shard is claimed");
    it.damage(newest, epoch).await;
    let report = advised(&it, request()).await;
    assert_eq!((report.read.sagas, report.read.skipped), (19, 1));
    let [skipped] = report.read.skipped_journals.as_slice() else { panic!("one: {report:?}") };
    assert_eq!(skipped.saga, newest.to_string());
    assert!(skipped.reason.contains("row 3"), "{skipped:?}");
}

/// A participants.yaml with what is pasted below its participant.
fn pasted(yaml: &str) -> String {
    let keys = yaml.strip_prefix("participants:\n  payments:\n").expect("it is about payments");
    format!("participants:\n  payments:\n    http: {{url: http://localhost:9001}}\n{keys}")
}

fn patch(key: SettingKey, value: SettingValue) -> String {
    let advice = RuleAdvice {
        value: value.clone(),
        because: String::new(),
        figures: Default::default(),
        effect: String::new(),
        confidence: AdviceConfidence::Low,
    };
    let verdict = RuleVerdict::Change(Box::new(advice));
    let scope = SettingScope::Participant("payments".into());
    let judged = JudgedSetting { scope, key, present: value, verdict };
    yaml_patch::patches(&[judged], &PresentSettings::default()).remove(0).yaml
}

fn parsed(yaml: &str) -> definition::ParticipantConfig {
    let text = pasted(yaml);
    let catalog = participants::parse("participants.yaml", &text, &|_| None);
    let catalog = catalog.unwrap_or_else(|findings| panic!("{text}\n{findings:?}"));
    catalog.get("payments").expect("payments").clone()
}

fn any_span() -> impl Strategy<Value = Duration> {
    (1u64..900_000).prop_map(Duration::from_millis)
}

proptest! {
    #[test]
    fn a_retry_that_is_pasted_means_what_is_advised(
        attempts in 1u32..100,
        (delay, longer) in (any_span(), any_span()),
        backoff in prop::sample::select(vec![BackoffStrategy::Constant, BackoffStrategy::Linear, BackoffStrategy::Exponential]),
        jitter in prop::sample::select(vec![JitterStrategy::None, JitterStrategy::Equal, JitterStrategy::Full, JitterStrategy::Decorrelated]),
        factor_percent in 100u32..=1_000,
    ) {
        let attempts = AttemptLimit::Limited(NonZeroU32::new(attempts).expect("not zero"));
        let policy = RetryPolicy { attempts, delay, max_delay: delay + longer, backoff, jitter, factor_percent };
        let found = parsed(&patch(SettingKey::Retry, SettingValue::Retry(policy.clone()))).retry.expect("a rule").policy;
        prop_assert_eq!(found, policy);
    }

    #[test]
    fn spans_rates_and_breakers_that_are_pasted_mean_what_is_advised(
        (span, open_for, longer) in (any_span(), any_span(), any_span()),
        (calls, per, burst) in (1u32..10_000, prop::sample::select(vec![1u64, 10, 60, 3_600]), 1u32..50),
        (minimum_calls, failure) in (1u32..500, 1u32..=100),
    ) {
        prop_assert_eq!(parsed(&patch(SettingKey::Timeout, SettingValue::Span(span))).timeout, span);
        let [calls, burst] = [calls, burst].map(|it| NonZeroU32::new(it).expect("not zero"));
        let rate = CallRate { calls, per: Duration::from_secs(per), burst };
        prop_assert_eq!(parsed(&patch(SettingKey::RateLimit, SettingValue::Rate(Some(rate)))).rate_limit, Some(rate));
        let settings = BreakerParameters {
            minimum_calls,
            failure_rate: f64::from(failure) / 100.0,
            window: WindowConfig::Time(span.max(Duration::from_millis(10))),
            open_for,
            max_open_for: open_for + longer,
            ..BreakerParameters::default()
        };
        let breaker = parsed(&patch(SettingKey::Breaker, SettingValue::Breaker(settings))).breaker;
        prop_assert_eq!(breaker, BreakerConfig::new(settings).expect("it makes sense"));
    }
}

#[test]
fn what_is_pasted_into_a_definition_names_its_steps() {
    let policy = RetryPolicy::quick();
    let of = |scope: SettingScope, key, value: SettingValue| JudgedSetting {
        scope,
        key,
        present: value.clone(),
        verdict: RuleVerdict::Change(Box::new(RuleAdvice {
            value,
            because: String::new(),
            figures: Default::default(),
            effect: String::new(),
            confidence: AdviceConfidence::Low,
        })),
    };
    let (saga, step) = (|| "order".to_owned(), || "charge".to_owned());
    let second = SettingValue::Span(Duration::from_secs(1));
    let judged = [
        of(SettingScope::Saga(saga()), SettingKey::Retry, SettingValue::Retry(policy)),
        of(SettingScope::Step { saga: saga(), step: step() }, SettingKey::AttemptTimeout, second.clone()),
        of(SettingScope::Undo { saga: saga(), step: step() }, SettingKey::AttemptTimeout, second),
    ];
    let patches = yaml_patch::patches(&judged, &PresentSettings::default());
    let expected = "retry: {attempts: 3, delay: 500ms, maxDelay: 5s}\nsteps:\n  - step: charge\n    attemptTimeout: 1s\n    \
                    undo:\n      attemptTimeout: 1s\n";
    assert_eq!((patches.len(), patches[0].file.as_str(), patches[0].yaml.as_str()), (1, "order.saga.yaml", expected));
}

#[test]
fn a_present_value_is_named_with_its_line() {
    let text = "participants:\n  payments:\n    http: {url: http://localhost:9001}\n    timeout: 4s\n".to_owned();
    let catalog = participants::parse("participants.yaml", &text, &|_| None).expect("participants");
    let given = GivenParticipants { file: "p.yaml".into(), text, participants: catalog };
    let mut present = PresentSettings { participants: Some(given), ..PresentSettings::default() };
    present.add(&plan(DEFINITION));
    let participant = SettingScope::Participant("payments".into());
    assert_eq!(present.place(&participant, SettingKey::Timeout), "p.yaml:4");
    assert_eq!(present.place(&participant, SettingKey::Retry), "p.yaml:2, by default");
    let step = SettingScope::Step { saga: "order".into(), step: "charge".into() };
    assert_eq!(present.place(&step, SettingKey::AttemptTimeout), "order.saga.yaml:5, by default");
}
