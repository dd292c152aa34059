use super::{probe::HealthCheckRound, *};
use crate::{
    guard_events::GuardEventKind,
    outbound::{OutboundAddresses, ParticipantAddresses},
    transport::http::{HttpParticipantClient, HttpSettings},
};
use axum::{Router, http::StatusCode, routing::get};
use saga_core::definition::participants::{EndpointConfig, HealthCheckMethod};
use saga_guards::health::{HealthCheckOutcome, HealthState, HealthTrackerConfig};
use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};
use tokio::{net::TcpListener, sync::Notify};

const CONFIG: HealthTrackerConfig = HealthTrackerConfig {
    interval: Duration::from_secs(30),
    timeout: Duration::from_secs(5),
    unhealthy_after: NonZeroU32::new(2).expect("2 is not zero"),
    healthy_after: NonZeroU32::MIN,
};

/// Answers of a participant, as a test tells them.
#[derive(Debug, Default)]
pub(crate) struct ScriptedHealth {
    fails: AtomicBool,
    hangs: AtomicBool,
    under_way: AtomicU32,
    most_under_way: AtomicU32,
    asked: AtomicU32,
    answered: Notify,
}

impl ScriptedHealth {
    pub(super) async fn ask(&self) -> HealthCheckRound {
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answered.notify_one();
        let fails = self.fails.load(Ordering::SeqCst);
        HealthCheckRound::Whole(if fails {
            HealthCheckOutcome::Failed
        } else {
            HealthCheckOutcome::Passed { took: Duration::ZERO }
        })
    }

    fn say(&self, well: bool) {
        self.fails.store(!well, Ordering::SeqCst);
    }
}

fn told(well: bool) -> Arc<ScriptedHealth> {
    let told = Arc::new(ScriptedHealth::default());
    told.say(well);
    told
}

fn checks(told: &Arc<ScriptedHealth>) -> HealthMonitor {
    let checks = HealthMonitor::default();
    checks.watch("payments", Some((HealthProbe::Told(Arc::clone(told)), CONFIG)));
    checks
}

/// The next check is over, and what followed from it is known.
async fn next_check(told: &ScriptedHealth) {
    told.answered.notified().await;
    tokio::task::yield_now().await;
}

fn state(checks: &HealthMonitor) -> HealthState {
    checks.participant_health("payments").expect("it is checked").state
}

#[tokio::test(start_paused = true)]
async fn a_participant_that_says_so_is_left_alone_until_a_check_finds_it_well() {
    let told = told(false);
    let checks = checks(&told);
    checks.start();
    assert_eq!(checks.is_well("payments"), Ok(()));
    next_check(&told).await;
    assert_eq!(checks.is_well("payments"), Ok(()));
    next_check(&told).await;
    assert_eq!(checks.is_well("payments"), Err(CONFIG.interval));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(checks.is_well("payments"), Err(Duration::from_secs(20)));
    told.say(true);
    next_check(&told).await;
    assert_eq!(checks.is_well("payments"), Ok(()));
    assert_eq!(state(&checks), HealthState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_is_told_when_checks_say_otherwise_than_before() {
    let told = told(true);
    let changes = GuardEventBus::default();
    let mut followed = changes.follow();
    let checks = HealthMonitor::new(changes);
    checks.watch("payments", Some((HealthProbe::Told(Arc::clone(&told)), CONFIG)));
    checks.start();
    next_check(&told).await;
    assert!(followed.try_recv().is_err(), "it was believed to be well");
    for healthy in [false, true] {
        told.say(healthy);
        let change = followed.recv().await.expect("it is told");
        assert_eq!(change.what, GuardEventKind::HealthChanged { endpoint: None, healthy });
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_check_comes_soon_and_the_next_an_interval_later() {
    let told = told(true);
    let checks = checks(&told);
    let begun = Instant::now();
    checks.start();
    next_check(&told).await;
    let first = begun.elapsed();
    assert!(first <= Duration::from_secs(3), "{first:?}");
    next_check(&told).await;
    let rest = begun.elapsed().saturating_sub(first);
    // Timers have a resolution of a millisecond.
    assert!(rest.abs_diff(CONFIG.interval) <= Duration::from_millis(2), "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_is_alone() {
    let told = told(true);
    told.hangs.store(true, Ordering::SeqCst);
    let checks = checks(&told);
    checks.start();
    next_check(&told).await;
    next_check(&told).await;
    assert_eq!(told.most_under_way.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn once_stopped_nobody_asks_and_old_answers_refuse_nobody() {
    let told = told(false);
    let checks = checks(&told);
    checks.start();
    next_check(&told).await;
    next_check(&told).await;
    checks.stop();
    let asked = told.asked.load(Ordering::SeqCst);
    assert!(checks.is_well("payments").is_err());
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(told.asked.load(Ordering::SeqCst), asked);
    assert_eq!(checks.is_well("payments"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn other_settings_keep_what_is_known_and_no_settings_forget_it() {
    let told = told(false);
    let checks = checks(&told);
    checks.start();
    next_check(&told).await;
    next_check(&told).await;
    let often = HealthTrackerConfig { interval: Duration::from_secs(1), ..CONFIG };
    checks.watch("payments", Some((HealthProbe::Told(Arc::clone(&told)), often)));
    assert_eq!(state(&checks), HealthState::Unhealthy);
    let begun = Instant::now();
    next_check(&told).await;
    assert!(begun.elapsed() <= Duration::from_secs(1));
    checks.watch("payments", None);
    assert_eq!(checks.participant_health("payments"), None);
    assert_eq!(checks.is_well("payments"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_is_asked_too_and_who_goes_is_not() {
    let told = told(true);
    let checks = HealthMonitor::default();
    checks.start();
    checks.watch("payments", Some((HealthProbe::Told(Arc::clone(&told)), CONFIG)));
    next_check(&told).await;
    checks.forget_all_but(&|name| name != "payments");
    assert_eq!(checks.participant_health("payments"), None);
}

/// A server whose `/health` wants the header that `settings` sends.
async fn serving(status: StatusCode) -> EndpointConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let health = move |headers: axum::http::HeaderMap| async move {
        if headers.get("authorization").is_some_and(|value| value == "Bearer key") {
            status
        } else {
            StatusCode::UNAUTHORIZED
        }
    };
    let app = Router::new().route("/api/health", get(health));
    tokio::spawn(async move { axum::serve(listener, app).await });
    EndpointConfig { url: format!("http://{address}/api"), weight: NonZeroU32::MIN }
}

/// An endpoint without a listener: the port was given back.
async fn nobody() -> EndpointConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    EndpointConfig { url: format!("http://{address}"), weight: NonZeroU32::MIN }
}

fn participant(endpoints: Vec<EndpointConfig>) -> HttpParticipantClient {
    let authorization = Some("Bearer key".to_owned());
    let settings = HttpSettings { endpoints, authorization, ..HttpSettings::at("payments", "") };
    HttpParticipantClient::new(&settings).expect("settings that can be called")
}

fn anywhere() -> ParticipantAddresses {
    OutboundAddresses::default().of_participant("payments")
}

async fn asked(check: &HealthCheckMethod, participant: &HttpParticipantClient) -> (HealthProbe, HealthCheckRound) {
    let question = HealthProbe::of(check, Some(participant.prober()), anywhere());
    let question = question.expect("a client").expect("endpoints to ask");
    let round = question.ask(Duration::from_secs(60)).await;
    (question, round)
}

fn passed(round: &HealthCheckRound) -> bool {
    matches!(round.outcome(), HealthCheckOutcome::Passed { .. })
}

#[tokio::test]
async fn each_endpoint_is_asked_with_the_participants_headers_and_one_that_is_well_suffices() {
    let endpoints = vec![serving(StatusCode::NO_CONTENT).await, serving(StatusCode::SERVICE_UNAVAILABLE).await];
    let participant = participant(endpoints);
    let (question, round) = asked(&HealthCheckMethod::Path("/health".into()), &participant).await;
    assert!(passed(&round));
    let once = HealthTrackerConfig { unhealthy_after: NonZeroU32::MIN, ..CONFIG };
    let changes = GuardEventBus::default();
    let mut followed = changes.follow();
    let watched = MonitoredParticipant::new("payments", Instant::now(), question.clone(), once, changes);
    watched.take(&question, &round);
    let endpoint = Some(participant.endpoints()[1].url.clone());
    assert_eq!(followed.try_recv().expect("told").what, GuardEventKind::HealthChanged { endpoint, healthy: false });
    assert!(followed.try_recv().is_err(), "the participant as a whole is well");
    let healthy: Vec<bool> = participant.endpoints().iter().map(|it| it.healthy).collect();
    assert_eq!(healthy, [true, false]);
    let (_, elsewhere) = asked(&HealthCheckMethod::Path("/elsewhere".into()), &participant).await;
    assert!(!passed(&elsewhere));
}

#[tokio::test]
async fn a_connection_suffices_where_only_that_is_asked_for() {
    let there = participant(vec![serving(StatusCode::SERVICE_UNAVAILABLE).await]);
    assert!(passed(&asked(&HealthCheckMethod::Connect, &there).await.1));
    let away = participant(vec![nobody().await]);
    assert!(!passed(&asked(&HealthCheckMethod::Connect, &away).await.1));
}

#[tokio::test]
async fn a_url_of_its_own_is_asked_without_the_participants_headers() {
    let url = format!("{}/health", serving(StatusCode::OK).await.url);
    let question = HealthProbe::of(&HealthCheckMethod::Url(url), None, anywhere()).expect("a client");
    let round = question.expect("a URL").ask(Duration::from_secs(60)).await;
    assert!(!passed(&round), "who asks without the key is told no");
}

#[test]
fn nobody_is_asked_where_there_are_no_endpoints() {
    let question = HealthProbe::of(&HealthCheckMethod::Connect, None, anywhere());
    assert!(question.expect("no client is needed").is_none());
}

#[test]
fn a_view_names_what_is_known() {
    let mut health = saga_guards::health::HealthTracker::new(CONFIG);
    let at = |seconds| MonotonicTime::since_origin(Duration::from_secs(seconds));
    health.checked(HealthCheckOutcome::Passed { took: Duration::from_millis(12) }, at(1));
    health.checked(HealthCheckOutcome::Failed, at(2));
    let view = serde_json::to_value(HealthView::from(&health.snapshot(at(3)))).expect("JSON");
    let expected = serde_json::json!({
        "state": "healthy", "checkedAgoMs": 1000, "fresh": true, "passedShare": 0.5, "recentPassedShare": 0.5, "trend": "steady",
        "latencyMs": 12, "recentLatencyMs": 12,
        "history": [{"agoMs": 1000, "passed": false}, {"agoMs": 2000, "passed": true, "tookMs": 12}],
    });
    assert_eq!(view, expected);
}

#[test]
fn what_rounds_find_while_settings_change_and_calls_ask_is_not_lost() {
    saga_base::sync::simulated::under_all_schedules(|| {
        let told = told(true);
        let checks = Arc::new(checks(&told));
        let (again, asking) = (Arc::clone(&checks), Arc::clone(&checks));
        let question = HealthProbe::Told(Arc::clone(&told));
        let settings = shuttle::thread::spawn(move || {
            again.watch(
                "payments",
                Some((question, HealthTrackerConfig { interval: Duration::from_secs(9), ..CONFIG })),
            );
            again.forget_all_but(&|name| name == "payments");
        });
        let calls = shuttle::thread::spawn(move || [asking.is_well("payments"), asking.is_well("somebody else")]);
        let watched = checks.watched("payments").expect("it is checked");
        for _ in 0..2 {
            watched.take(&HealthProbe::Told(Arc::clone(&told)), &HealthCheckRound::Whole(HealthCheckOutcome::Failed));
        }
        settings.join().expect("it does not panic");
        assert_eq!(calls.join().expect("it does not panic")[1], Ok(()));
        assert_eq!(checks.participant_health("payments").map(|found| found.state), Some(HealthState::Unhealthy));
    });
}
