//! What changes while it runs: settings, overrides, shares.

use super::*;
use saga_core::definition::participants::{DegradationConfig, EndpointConfig};
use saga_guards::balancer::BalancingStrategy;

fn open(guarded: &GuardRegistry) {
    for _ in 0..2 {
        permit(guarded).settle(FAILED);
    }
    assert_eq!(only(guarded).breaker, BreakerState::Open);
}

#[tokio::test]
async fn new_settings_keep_the_breakers_state_and_the_calls_that_are_out() {
    let guarded = guarded(kafka(), 1);
    open(&guarded);
    guarded.configure(&[settings(kafka(), gate(8))]).expect("settings that can be called");
    assert_eq!(only(&guarded).breaker, BreakerState::Open);
}

#[tokio::test]
async fn bad_settings_are_refused_whole() {
    let guarded = guarded(kafka(), 1);
    let other = ParticipantSettings { name: "other".into(), ..settings(kafka(), gate(8)) };
    let bad = settings(TransportSettings::Http(HttpSettings::at("payments", "ftp://nowhere")), gate(8));
    assert!(guarded.configure(&[other, bad]).is_err());
    assert_eq!(guarded.kafka_topic("payments").as_deref(), Some("payments.commands"));
    assert_eq!(guarded.kafka_topic("other"), None);
}

#[tokio::test]
async fn the_same_connections_go_on_where_nothing_about_them_changed() {
    let payments = MockPayments::serve(200).await;
    let guarded = payments.guarded(1);
    let before = guarded.http("payments").expect("it is there");
    let same = settings(TransportSettings::Http(HttpSettings::at("payments", &payments.url)), gate(9));
    guarded.configure(&[same]).expect("settings that can be called");
    assert!(Arc::ptr_eq(&before, &guarded.http("payments").expect("it is there")));
    let other = settings(TransportSettings::Http(HttpSettings::at("payments", "http://localhost:9")), gate(9));
    guarded.configure(&[other]).expect("settings that can be called");
    assert!(!Arc::ptr_eq(&before, &guarded.http("payments").expect("it is there")));
}

/// An endpoint that answers, and one without a listener: as good as chance, but a further try never goes where the last
/// one went.
fn half_dead(payments: &MockPayments) -> HttpSettings {
    let endpoint = |url: &str| EndpointConfig { url: url.to_owned(), weight: NonZeroU32::MIN };
    HttpSettings {
        endpoints: vec![endpoint(&payments.url), endpoint("http://127.0.0.1:9")],
        balance: BalancingStrategy::Random,
        ejection: None,
        ..HttpSettings::at("payments", "")
    }
}

fn known(guarded: &GuardRegistry) -> Vec<(String, u64, u64)> {
    only(guarded).endpoints.into_iter().map(|it| (it.state.url, it.state.calls, it.state.failed)).collect()
}

#[tokio::test]
async fn what_is_known_of_endpoints_outlives_new_settings_and_not_a_refused_file() {
    let payments = MockPayments::serve(200).await;
    let http = half_dead(&payments);
    let guarded = guarded(TransportSettings::Http(http.clone()), 1);
    payments.go.add_permits(12);
    for _ in 0..12 {
        let answer = guarded.call(permit(&guarded), a_call()).await;
        assert!(matches!(answer, CommandAnswer::Succeeded { .. }), "{answer:?}");
    }
    let before = known(&guarded);
    assert_eq!(before[0].1, 12);
    assert!(before[1].1 <= 12, "each call meets the dead one once at most: {before:?}");
    let sooner = HttpSettings { connect_timeout: Duration::from_millis(500), ..http.clone() };
    let mut fewer = sooner.clone();
    fewer.endpoints.pop();
    let bad = ParticipantSettings {
        name: "other".into(),
        ..settings(TransportSettings::Http(HttpSettings::at("other", "ftp://nowhere")), gate(1))
    };
    assert!(guarded.configure(&[settings(TransportSettings::Http(fewer.clone()), gate(1)), bad]).is_err());
    assert_eq!(known(&guarded), before);
    guarded.configure(&[settings(TransportSettings::Http(sooner), gate(1))]).expect("settings that can be called");
    assert_eq!(known(&guarded), before);
    guarded.configure(&[settings(TransportSettings::Http(fewer), gate(1))]).expect("settings that can be called");
    assert_eq!(known(&guarded), before[..1]);
}

#[tokio::test]
async fn more_places_are_there_at_once_for_those_who_wait() {
    let payments = MockPayments::serve(200).await;
    let guarded = Arc::new(payments.guarded(1));
    let calls = [permit(&guarded), permit(&guarded)].map(|permit| {
        let guarded = Arc::clone(&guarded);
        tokio::spawn(async move { guarded.call(permit, a_call()).await })
    });
    while only(&guarded).waiting < 1 {
        tokio::task::yield_now().await;
    }
    let wider = settings(TransportSettings::Http(HttpSettings::at("payments", &payments.url)), gate(2));
    guarded.configure(&[wider]).expect("settings that can be called");
    assert_eq!(only(&guarded).waiting, 0);
    payments.go.add_permits(2);
    for call in calls {
        assert!(matches!(call.await, Ok(CommandAnswer::Succeeded { .. })));
    }
}

#[tokio::test]
async fn what_somebody_forces_holds_until_it_is_taken_back() {
    let guarded = guarded(kafka(), 1);
    guarded.apply_override(
        "payments",
        ManualOverride { mode: breaker::BreakerMode::ForcedOpen, ..ManualOverride::default() },
    );
    assert!(refused_for(&guarded, "payments").is_some());
    guarded.configure(&[settings(kafka(), gate(8))]).expect("settings that can be called");
    assert!(refused_for(&guarded, "payments").is_some(), "a new file does not take it back");
    guarded.apply_override("payments", ManualOverride::default());
    assert!(refused_for(&guarded, "payments").is_none());
}

#[tokio::test]
async fn a_reset_closes_an_open_breaker_once() {
    let guarded = guarded(kafka(), 1);
    open(&guarded);
    let reset = ManualOverride { resets: 1, ..ManualOverride::default() };
    guarded.apply_override("payments", reset);
    assert_eq!(only(&guarded).breaker, BreakerState::Closed);
    open(&guarded);
    guarded.apply_override("payments", reset);
    assert_eq!(only(&guarded).breaker, BreakerState::Open, "the same reset again is none");
}

#[tokio::test]
async fn a_share_leaves_so_many_places_and_never_none() {
    let guarded = guarded(kafka(), 8);
    let share =
        |share| guarded.apply_override("payments", ManualOverride { share: Some(share), ..ManualOverride::default() });
    let places = || guarded.participants.load()["payments"].gate.view().limit.get();
    share(0.25);
    assert_eq!(places(), 2);
    share(0.01);
    assert_eq!(places(), 1);
    guarded.apply_override("payments", ManualOverride { bulkhead: NonZeroU32::new(3), ..ManualOverride::default() });
    assert_eq!(places(), 3);
    guarded.apply_override("payments", ManualOverride::default());
    assert_eq!(places(), 8);
}

#[tokio::test(start_paused = true)]
async fn after_a_trip_it_works_at_its_degraded_share_for_a_time() {
    let degraded = DegradationConfig { share: 0.5, after_trip: Some(Duration::from_secs(60)) };
    let guarded = GuardRegistry::new(&[settings(kafka(), GateSettings { degraded, ..gate(8) })]).expect("settings");
    open(&guarded);
    tokio::time::sleep(Duration::from_secs(13)).await;
    permit(&guarded).settle(CallSignal::from_answer(&CommandAnswer::Succeeded { result: Value::Null }));
    let view = || guarded.participants.load()["payments"].gate.view();
    assert_eq!((only(&guarded).breaker, view().share, view().limit.get()), (BreakerState::Closed, 0.5, 4));
    tokio::time::sleep(Duration::from_secs(61)).await;
    permit(&guarded).settle(CallSignal::from_answer(&CommandAnswer::Succeeded { result: Value::Null }));
    assert_eq!((view().share, view().limit.get()), (1.0, 8));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_participant_that_is_removed_is_called_and_finds_out() {
    let guarded = Arc::new(guarded(kafka(), 1));
    tokio::spawn(Arc::clone(&guarded).run_wait_scheduler());
    open(&guarded);
    let (calls, mut called) = tokio::sync::mpsc::channel(8);
    let saga = SagaId::new(Timestamp(1), ShardId(0), 4);
    let command = saga_core::command::CommandRef { step: saga_core::id::StepIndex(0), direction: CommandDirection::Do };
    let since = WaitRequest {
        guard: GuardKind::Breaker,
        since_ms: 1,
        not_before: Duration::from_secs(3600),
        after_failed_probe: false,
    };
    let _place =
        guarded.enqueue("payments", since, SagaWaiter { wake_sender: calls.clone(), saga, command: Some(command) });
    guarded.configure(&[]).expect("nobody");
    assert_eq!(called.recv().await.expect("called").saga, saga);
    assert!(matches!(guarded.admit("payments", FIRST), GuardAdmission::NotConfigured));
    let nowhere = guarded.enqueue("payments", since, SagaWaiter { wake_sender: calls, saga, command: Some(command) });
    tokio::time::sleep(Duration::from_secs(3601)).await;
    assert_eq!(called.recv().await.expect("called").saga, saga);
    drop(nowhere);
}
