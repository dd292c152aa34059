//! What operators see of participants, and which changes are reported to them.

use super::*;
use crate::{
    guard_events::{GuardEvent, GuardEventKind},
    lifecycle::LifecyclePhase,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use saga_core::definition::participants::DegradationConfig;
use saga_guards::balancer::EjectionConfig;
use tokio::sync::broadcast::Receiver;

fn named(name: &str, depends_on: &[&str]) -> ParticipantSettings {
    let depends_on = depends_on.iter().map(|it| (*it).to_owned()).collect();
    ParticipantSettings { name: name.into(), depends_on, ..settings(kafka(), gate(8)) }
}

fn succeeded() -> CallSignal {
    CallSignal::from_answer(&CommandAnswer::Succeeded { result: Value::Null })
}

fn open(guarded: &GuardRegistry) {
    let permits = [permit(guarded), permit(guarded)];
    permits.into_iter().for_each(|permit| permit.settle(FAILED));
}

fn lives(guarded: &GuardRegistry) -> Vec<(String, LifecyclePhase)> {
    guarded.snapshot().into_iter().map(|it| (it.name, it.lifecycle)).collect()
}

fn told(changes: &mut Receiver<Arc<GuardEvent>>) -> Vec<GuardEventKind> {
    std::iter::from_fn(|| changes.try_recv().ok()).map(|change| change.what.clone()).collect()
}

/// Everything that follows by time alone is reported by then.
async fn a_look() {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_is_told_where_a_participant_is_in_its_life() {
    let guarded = Arc::new(guarded(kafka(), 8));
    let mut changes = guarded.changes().follow();
    tokio::spawn(Arc::clone(&guarded).run_wait_scheduler());
    a_look().await;
    assert_eq!(told(&mut changes), [], "that it is there is no news");
    let first = permit(&guarded);
    a_look().await;
    first.settle(succeeded());
    a_look().await;
    let phases = [LifecyclePhase::Starting, LifecyclePhase::Running].map(|phase| GuardEventKind::Lifecycle { phase });
    assert_eq!(told(&mut changes), phases);
    open(&guarded);
    a_look().await;
    assert!(told(&mut changes).contains(&GuardEventKind::Lifecycle { phase: LifecyclePhase::Failed }));
}

#[tokio::test]
async fn one_that_is_removed_is_stopping_until_its_last_call_is_back() {
    let guarded = guarded(kafka(), 8);
    let out = permit(&guarded);
    guarded.configure(&[]).expect("nobody");
    assert_eq!(lives(&guarded), [("payments".to_owned(), LifecyclePhase::Stopping)]);
    assert_eq!(guarded.names(), [""; 0]);
    out.settle(succeeded());
    assert_eq!(lives(&guarded), []);
}

#[tokio::test]
async fn whoever_needs_one_that_failed_is_degraded_and_the_slowest_chain_is_known() {
    let guarded = GuardRegistry::new(&[named("web", &["payments"]), named("payments", &[])]).expect("settings");
    match guarded.admit("web", FIRST) {
        GuardAdmission::Admitted(permit) => permit.settle(succeeded()),
        GuardAdmission::Refused { .. } | GuardAdmission::NotConfigured => panic!("nobody keeps it"),
    }
    open(&guarded);
    let expected = [("payments", LifecyclePhase::Failed), ("web", LifecyclePhase::Degraded)];
    assert_eq!(lives(&guarded), expected.map(|(name, life)| (name.to_owned(), life)));
    let path = guarded.critical_path().expect("one needs the other");
    assert_eq!((path.names, path.total), (vec!["web".to_owned(), "payments".into()], Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn the_share_after_a_trip_is_told_when_it_begins_and_when_it_ends() {
    let degraded = DegradationConfig { share: 0.5, after_trip: Some(Duration::from_secs(60)) };
    let guarded = GuardRegistry::new(&[settings(kafka(), GateSettings { degraded, ..gate(8) })]).expect("settings");
    let guarded = Arc::new(guarded);
    tokio::spawn(Arc::clone(&guarded).run_wait_scheduler());
    open(&guarded);
    tokio::time::sleep(Duration::from_secs(13)).await;
    let mut changes = guarded.changes().follow();
    let shares = |changes: &mut Receiver<Arc<GuardEvent>>| {
        let is_share =
            |what: &GuardEventKind| matches!(what, GuardEventKind::Degraded { .. } | GuardEventKind::Restored);
        told(changes).into_iter().filter(is_share).collect::<Vec<_>>()
    };
    permit(&guarded).settle(succeeded());
    assert_eq!(shares(&mut changes), [GuardEventKind::Degraded { share: 0.5 }]);
    tokio::time::sleep(Duration::from_secs(58)).await;
    assert_eq!(shares(&mut changes), []);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(shares(&mut changes), [GuardEventKind::Restored]);
    let view = guarded.participants.load()["payments"].gate.view();
    assert_eq!((view.share, view.limit.get()), (1.0, 8), "without a call that would bring it about");
}

#[tokio::test(start_paused = true)]
async fn a_share_by_hand_goes_before_that_of_a_trip_and_is_told_once() {
    let degraded = DegradationConfig { share: 0.5, after_trip: Some(Duration::from_secs(60)) };
    let guarded = GuardRegistry::new(&[settings(kafka(), GateSettings { degraded, ..gate(8) })]).expect("settings");
    let mut changes = guarded.changes().follow();
    let share = |share| guarded.apply_override("payments", ManualOverride { share, ..ManualOverride::default() });
    share(Some(0.25));
    share(Some(0.25));
    share(Some(1.0));
    share(None);
    assert_eq!(told(&mut changes), [GuardEventKind::Degraded { share: 0.25 }, GuardEventKind::Restored]);
}

#[tokio::test]
async fn an_endpoint_that_is_left_out_and_comes_back_is_told() {
    // Only the superuser can listen on port 1, and no process does.
    let at_once = EjectionConfig {
        consecutive_failures: NonZeroU32::MIN,
        eject_for: Duration::ZERO,
        ..EjectionConfig::default()
    };
    let endpoint =
        |port: u16| participants::EndpointConfig { url: format!("http://127.0.0.1:{port}"), weight: NonZeroU32::MIN };
    let http = HttpSettings {
        endpoints: vec![endpoint(1), endpoint(1)],
        ejection: Some(at_once),
        ..HttpSettings::at("payments", "")
    };
    let guarded = guarded(TransportSettings::Http(http), 8);
    let mut changes = guarded.changes().follow();
    let answer = guarded.call(permit(&guarded), a_call()).await;
    assert!(matches!(answer, CommandAnswer::Failed { .. }), "{answer:?}");
    guarded.publish_elapsed_changes();
    guarded.publish_elapsed_changes();
    let endpoint = "http://127.0.0.1:1/".to_owned();
    let (ejected, returned): (Vec<GuardEventKind>, Vec<GuardEventKind>) =
        told(&mut changes).into_iter().partition(|what| matches!(what, GuardEventKind::EndpointEjected { .. }));
    assert!(ejected.contains(&GuardEventKind::EndpointEjected { endpoint: endpoint.clone(), span: Duration::ZERO }));
    assert!(returned.contains(&GuardEventKind::EndpointReturned { endpoint }) && returned.len() <= 2, "{returned:?}");
    let shown = guarded.snapshot_of("payments").expect("it is configured");
    assert!(shown.endpoints.iter().map(|it| it.state.failed).sum::<u64>() > 0);
}

/// `make` with meters that can be read.
fn metered<T>(make: impl FnOnce() -> T) -> (T, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().set_buckets(&[60.0]).expect("buckets").build_recorder();
    let handle = recorder.handle();
    (::metrics::with_local_recorder(&recorder, make), handle)
}

fn waits(handle: &PrometheusHandle, guard: &str) -> u32 {
    let line = format!(r#"saga_guard_wait_seconds_count{{participant="payments",guard="{guard}"}} "#);
    let text = handle.render();
    text.lines().find_map(|it| it.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_or_the_rate_is_counted_and_who_does_not_is_not() {
    let second =
        saga_guards::rate::CallRate { calls: NonZeroU32::MIN, per: Duration::from_millis(100), burst: NonZeroU32::MIN };
    let limits = GateSettings { rate: Some(second), ..gate(1) };
    let (guarded, handle) = metered(|| GuardRegistry::new(&[settings(kafka(), limits)]).expect("settings"));
    let (mut one, mut two) = (permit(&guarded), permit(&guarded));
    one.acquire().await.expect("there is room");
    assert_eq!((waits(&handle, "rateLimit"), waits(&handle, "bulkhead")), (0, 0));
    let free = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(one);
    };
    let (passed, ()) = tokio::join!(two.acquire(), free);
    assert!(passed.is_ok());
    assert_eq!((waits(&handle, "rateLimit"), waits(&handle, "bulkhead")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_line_is_counted_when_it_is_called() {
    let (guarded, handle) = metered(|| Arc::new(guarded(kafka(), 1)));
    tokio::spawn(Arc::clone(&guarded).run_wait_scheduler());
    let (calls, mut called) = tokio::sync::mpsc::channel(8);
    let saga = SagaId::new(Timestamp(1), ShardId(0), 4);
    let command = saga_core::command::CommandRef { step: saga_core::id::StepIndex(0), direction: CommandDirection::Do };
    let since = WaitRequest {
        guard: GuardKind::Health,
        since_ms: 1,
        not_before: Duration::from_secs(40),
        after_failed_probe: false,
    };
    let _place = guarded.enqueue("payments", since, SagaWaiter { wake_sender: calls, saga, command: Some(command) });
    tokio::time::sleep(Duration::from_secs(39)).await;
    assert_eq!(waits(&handle, "health"), 0);
    assert!(called.recv().await.is_some());
    assert_eq!(waits(&handle, "health"), 1);
    assert!(handle.render().contains(r#"saga_guard_wait_seconds_sum{participant="payments",guard="health"} 4"#));
}
