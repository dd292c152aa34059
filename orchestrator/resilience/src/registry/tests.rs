mod known_bugs;
mod line;
mod live;
mod seen;

use super::*;
use crate::transport::http::HttpSettings;
use crate::{
    gate::{AttemptKind, CallArrival, WakeSignal},
    snapshot::ParticipantSnapshot,
    transport::DispatchKind,
};
use axum::{Router, http::StatusCode};
use saga_core::{
    command::{CommandDirection, CommandRequest, HttpMethod},
    definition::participants,
    id::{CommandId, SagaId, ShardId},
    time::Timestamp,
};
use saga_guards::breaker::{self, BreakerState};
use serde_json::{Value, json};
use std::{num::NonZeroU32, sync::atomic::AtomicU16};
use tokio::{net::TcpListener, sync::Semaphore};

/// A participant that answers with the status that the test sets, when the test permits it.
struct MockPayments {
    status: Arc<AtomicU16>,
    go: Arc<Semaphore>,
    url: String,
}

impl MockPayments {
    async fn serve(status: u16) -> MockPayments {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let payments = MockPayments { status: Arc::new(status.into()), go: Arc::new(Semaphore::new(0)), url };
        let (status, go) = (Arc::clone(&payments.status), Arc::clone(&payments.go));
        let app = Router::new().fallback(move || {
            let (status, go) = (Arc::clone(&status), Arc::clone(&go));
            async move {
                go.acquire().await.expect("never closed").forget();
                StatusCode::from_u16(status.load(std::sync::atomic::Ordering::Relaxed)).expect("a status")
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        payments
    }

    fn guarded(&self, bulkhead: u32) -> GuardRegistry {
        guarded(TransportSettings::Http(HttpSettings::at("payments", &self.url)), bulkhead)
    }
}

fn guarded(transport: TransportSettings, bulkhead: u32) -> GuardRegistry {
    GuardRegistry::new(&[settings(transport, gate(bulkhead))]).expect("settings that can be called")
}

fn settings(transport: TransportSettings, gate: GateSettings) -> ParticipantSettings {
    ParticipantSettings {
        name: "payments".into(),
        transport,
        gate,
        health: None,
        capabilities: BTreeSet::new(),
        timeout: Duration::from_secs(10),
        depends_on: Vec::new(),
    }
}

fn gate(places: u32) -> GateSettings {
    let breaker = breaker::BreakerParameters { minimum_calls: 2, probes: 1, ..breaker::BreakerParameters::default() };
    let breaker = breaker::BreakerConfig::new(breaker).expect("sensible");
    GateSettings { breaker, ..GateSettings::of_limit(NonZeroU32::new(places).expect("not zero")) }
}

fn kafka() -> TransportSettings {
    TransportSettings::Kafka { commands: "payments.commands".into() }
}

const FIRST: PermitRequest =
    PermitRequest { lane: saga_guards::PriorityLane::Do, attempt: AttemptKind::First, arrival: CallArrival::New };

const FAILED: CallSignal = CallSignal::TIMEOUT;

fn a_call() -> ParticipantCall {
    let saga = SagaId::new(Timestamp(1_000), ShardId(7), 42);
    let body = Some(json!({}));
    ParticipantCall {
        saga,
        id: CommandId { saga, step: "charge".into(), direction: CommandDirection::Do },
        saga_name: "order".into(),
        attempt: 1,
        request: Arc::new(CommandRequest::Http {
            participant: "payments".into(),
            method: HttpMethod::Post,
            path: "charges".into(),
            body,
        }),
        attempt_timeout: Duration::from_secs(60),
        location: None,
        asked: 0,
        dispatch: DispatchKind::First,
        traceparent: None,
        passed_on: Vec::new(),
    }
}

fn permit(guarded: &GuardRegistry) -> CallPermit {
    match guarded.admit("payments", FIRST) {
        GuardAdmission::Admitted(permit) => permit,
        GuardAdmission::Refused { not_before, .. } => panic!("refused for {not_before:?}"),
        GuardAdmission::NotConfigured => panic!("nobody is called payments"),
    }
}

fn refused_for(guarded: &GuardRegistry, participant: &str) -> Option<Duration> {
    match guarded.admit(participant, FIRST) {
        GuardAdmission::Admitted(_) | GuardAdmission::NotConfigured => None,
        GuardAdmission::Refused { not_before, .. } => Some(not_before),
    }
}

fn only(guarded: &GuardRegistry) -> ParticipantSnapshot {
    guarded.snapshot().pop().expect("one participant")
}

#[tokio::test]
async fn what_opened_the_breaker_is_told_to_whoever_looks_at_what_waits() {
    let payments = MockPayments::serve(503).await;
    payments.go.add_permits(100);
    let guarded = payments.guarded(8);
    for _ in 0..2 {
        assert!(matches!(guarded.call(permit(&guarded), a_call()).await, CommandAnswer::Unknown { .. }));
    }
    let opened = only(&guarded).opened.expect("it has opened");
    assert_eq!((opened.calls, opened.failures, opened.last_failures.len()), (2, 2, 2));
    let failed = &opened.last_failures[0];
    assert_eq!((failed.code.as_str(), &failed.saga), ("http.503", &a_call().id.saga.to_string()));
    let held = guarded.blocking_guards(&[
        "breaker:payments".to_owned(),
        "transport:orders".to_owned(),
        "breaker:gone".to_owned(),
    ]);
    let [held] = held.as_slice() else { panic!("{held:?}") };
    assert!(held.text.contains("2 of 2 calls failed; last failure http.503"), "{}", held.text);
}

#[tokio::test]
async fn a_business_answer_is_no_failure_that_is_told() {
    let payments = MockPayments::serve(422).await;
    payments.go.add_permits(100);
    let guarded = payments.guarded(8);
    assert!(matches!(guarded.call(permit(&guarded), a_call()).await, CommandAnswer::Failed { .. }));
    assert_eq!(only(&guarded).last_failures, []);
}

#[tokio::test]
async fn late_successes_let_an_open_breaker_ask_at_once() {
    let guarded = guarded(kafka(), 8);
    (0..2).for_each(|_| permit(&guarded).settle(FAILED));
    assert!(refused_for(&guarded, "payments").is_some());
    guarded.late_success("payments");
    assert!(permit(&guarded).is_probe());
}

#[tokio::test]
async fn failures_open_the_breaker_and_business_answers_do_not() {
    let payments = MockPayments::serve(422).await;
    payments.go.add_permits(100);
    let guarded = payments.guarded(8);
    for _ in 0..4 {
        assert!(matches!(guarded.call(permit(&guarded), a_call()).await, CommandAnswer::Failed { .. }));
    }
    payments.status.store(503, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..4 {
        assert!(matches!(guarded.call(permit(&guarded), a_call()).await, CommandAnswer::Unknown { .. }));
    }
    let rest = refused_for(&guarded, "payments").expect("open");
    // Ten seconds, a fifth more or less as the breaker draws it, and up to a quarter more for each that asks.
    assert!(rest > Duration::from_secs(7) && rest <= Duration::from_secs(15), "{rest:?}");
    assert_eq!(stands(&guarded), (BreakerState::Open, 0, 0));
}

fn stands(guarded: &GuardRegistry) -> (BreakerState, u32, u32) {
    let only = only(guarded);
    (only.breaker, only.in_flight, only.waiting)
}

#[tokio::test]
async fn a_participant_that_is_not_there_opens_the_breaker() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let guarded = guarded(TransportSettings::Http(HttpSettings::at("payments", url)), 8);
    for _ in 0..2 {
        assert!(matches!(guarded.call(permit(&guarded), a_call()).await, CommandAnswer::Failed { .. }));
    }
    assert!(refused_for(&guarded, "payments").is_some());
}

#[tokio::test]
async fn a_full_bulkhead_is_no_attempt() {
    let payments = MockPayments::serve(200).await;
    let guarded = Arc::new(payments.guarded(1));
    let calls = (0..17).map(|_| {
        let (guarded, permit) = (Arc::clone(&guarded), permit(&guarded));
        async move { guarded.call(permit, a_call()).await }
    });
    let calls: Vec<_> = calls.map(Box::pin).collect();
    let all = tokio::spawn(futures_util::future::join_all(calls));
    while only(&guarded).waiting < 16 {
        tokio::task::yield_now().await;
    }
    let refused = guarded.admit("payments", FIRST);
    assert!(matches!(refused, GuardAdmission::Refused { guard: GuardKind::Bulkhead, .. }), "{refused:?}");
    assert_eq!(stands(&guarded), (BreakerState::Closed, 1, 16));
    payments.go.add_permits(17);
    let answers = all.await.expect("no panic");
    assert!(answers.iter().all(|answer| *answer == CommandAnswer::Succeeded { result: Value::Null }));
    assert_eq!(stands(&guarded), (BreakerState::Closed, 0, 0));
}

#[tokio::test]
async fn a_dropped_call_gives_everything_back() {
    let payments = MockPayments::serve(200).await;
    let guarded = payments.guarded(1);
    let mut call = Box::pin(guarded.call(permit(&guarded), a_call()));
    assert!(futures_util::FutureExt::now_or_never(&mut call).is_none());
    assert_eq!(only(&guarded).in_flight, 1);
    drop(call);
    assert_eq!(stands(&guarded), (BreakerState::Closed, 0, 0));
}

#[test]
fn replies_of_a_kafka_participant_settle_its_permits() {
    let guarded = guarded(kafka(), 1);
    assert_eq!(guarded.kafka_topic("payments").as_deref(), Some("payments.commands"));
    assert_eq!(guarded.kafka_topic("nobody"), None);
    let permits: Vec<_> = (0..2).map(|_| permit(&guarded)).collect();
    assert_eq!(only(&guarded).in_flight, 2);
    permits.into_iter().for_each(|permit| permit.settle(FAILED));
    assert!(refused_for(&guarded, "payments").is_some());
}

/// Two calls are out, two wait for their places, and one has not even tried to leave.
#[tokio::test(start_paused = true)]
async fn who_waits_in_memory_does_not_leave_after_the_breaker_has_opened() {
    let guarded = guarded(kafka(), 2);
    let [mut first, mut second, mut third, mut fourth, mut fifth] = std::array::from_fn(|_| permit(&guarded));
    assert!(first.acquire().await.is_ok() && second.acquire().await.is_ok());
    let waiting = async { tokio::join!(third.acquire(), fourth.acquire()) };
    let ending = async {
        tokio::task::yield_now().await;
        assert_eq!(only(&guarded).waiting, 2);
        first.settle(FAILED);
        second.settle(FAILED);
    };
    let ((third_left, fourth_left), ()) = tokio::join!(waiting, ending);
    let fifth_left = fifth.acquire().await;
    let by = [third_left, fourth_left, fifth_left].map(|left| left.map_err(|by| by.guard).err());
    assert_eq!(by, [Some(GuardKind::Breaker); 3]);
    drop([third, fourth, fifth]);
    assert_eq!((only(&guarded).in_flight, only(&guarded).waiting), (0, 0));
}

#[test]
fn a_participant_that_is_not_configured_is_waited_for() {
    let guarded = guarded(kafka(), 1);
    assert!(matches!(guarded.admit("nobody", FIRST), GuardAdmission::NotConfigured));
}

#[test]
fn a_snapshot_is_shown_in_camel_case() {
    let guarded = guarded(kafka(), 1);
    permit(&guarded).settle(FAILED);
    let expected = json!([{"name": "payments", "lifecycle": "running", "breaker": "closed", "calls": 1, "failures": 1, "slowCalls": 0, "limit": 1,
        "inFlight": 0, "waiting": 0, "pacing": 0, "inLine": 0, "retryBudget": 100, "share": 1.0}]);
    assert_eq!(serde_json::to_value(guarded.snapshot()).expect("serialisable"), expected);
}

#[test]
fn participants_are_guarded_as_their_file_says() {
    let text = r#"
participants:
  inventory:
    kafka: {commands: inventory.commands}
  payments:
    http: {endpoints: [{url: "http://localhost:9001", weight: 3}, {url: "http://localhost:9002", weight: 1}]}
    bulkhead: 8
    authorization: Bearer ${ env.TOKEN }
    retryOn: [409, 5xx]
"#;
    let env = |name: &str| (name == "TOKEN").then(|| "secret".to_owned());
    let participants = participants::parse("participants.yaml", text, &env).expect("a valid file");
    let payments = participants.get("payments").expect("it is in the file");
    let settings = ParticipantSettings::of("payments", payments);
    let TransportSettings::Http(http) = &settings.transport else { panic!("payments are called over HTTP") };
    assert_eq!((settings.gate.bulkhead.limit.get(), http.endpoints.len(), http.retry_on.len()), (8, 2, 2));
    assert_eq!(http.authorization.as_deref(), Some("Bearer secret"));
    let guarded = GuardRegistry::from_participants(&participants).expect("they can be guarded");
    assert_eq!(guarded.kafka_topic("inventory").as_deref(), Some("inventory.commands"));
    let names: Vec<_> = guarded.snapshot().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["inventory", "payments"]);
}
