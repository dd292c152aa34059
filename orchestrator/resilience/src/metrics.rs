//! What Prometheus reads of guards: in the names that Resilience4j has made familiar, and in names of this project for
//! what Resilience4j does not have.
//!
//! Counters and histograms move where things happen, through handles that are made once per participant; gauges are set
//! when Prometheus reads them.

pub mod scrape;

use super::{lifecycle::LifecyclePhase, snapshot::ParticipantSnapshot};
use metrics::{counter, gauge};
use saga_core::command::GuardKind;
use saga_guards::breaker::BreakerState;

/// How a command ended, for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryResultKind {
    /// The call succeeded at its first attempt.
    SuccessfulWithoutRetry,
    /// The call succeeded at a later attempt.
    SuccessfulWithRetry,
    /// The call failed permanently at its first attempt.
    FailedWithoutRetry,
    /// The call failed permanently at a later attempt.
    FailedWithRetry,
}

/// A command to the participant called `name` has ended. Once per command and after its commit, so that it need not be
/// cheap.
pub fn retried(name: &str, kind: RetryResultKind) {
    let kind = match kind {
        RetryResultKind::SuccessfulWithoutRetry => "successful_without_retry",
        RetryResultKind::SuccessfulWithRetry => "successful_with_retry",
        RetryResultKind::FailedWithoutRetry => "failed_without_retry",
        RetryResultKind::FailedWithRetry => "failed_with_retry",
    };
    counter!("resilience4j_retry_calls_total", "name" => name.to_owned(), "kind" => kind).increment(1);
}

/// Sets what is a state and not an event: how each participant stands.
pub fn set_gauges(participants: &[ParticipantSnapshot]) {
    participants.iter().for_each(show_one);
}

fn show_one(it: &ParticipantSnapshot) {
    for state in BreakerState::ALL {
        gauge!("resilience4j_circuitbreaker_state", "name" => it.name.clone(), "state" => state_word(state))
            .set(f64::from(u8::from(state == it.breaker)));
    }
    let by_kind = |metric: &'static str, kind: &'static str, count: u32| {
        gauge!(metric, "name" => it.name.clone(), "kind" => kind).set(f64::from(count));
    };
    by_kind("resilience4j_circuitbreaker_buffered_calls", "successful", it.calls.saturating_sub(it.failures));
    by_kind("resilience4j_circuitbreaker_buffered_calls", "failed", it.failures);
    by_kind("resilience4j_circuitbreaker_slow_calls", "all", it.slow_calls);
    let plain = |metric: &'static str, value: f64| gauge!(metric, "name" => it.name.clone()).set(value);
    plain("resilience4j_circuitbreaker_failure_rate", percent(it.failure_rate));
    plain("resilience4j_circuitbreaker_slow_call_rate", percent(it.slow_call_rate));
    plain("resilience4j_bulkhead_max_allowed_concurrent_calls", f64::from(it.limit));
    plain("resilience4j_bulkhead_available_concurrent_calls", f64::from(it.limit.saturating_sub(it.in_flight)));
    if let Some(room) = it.rate_room {
        plain("resilience4j_ratelimiter_available_permissions", f64::from(room));
        plain("resilience4j_ratelimiter_waiting_threads", f64::from(it.pacing));
    }
    for phase in LifecyclePhase::ALL {
        gauge!("saga_participant_lifecycle", "participant" => it.name.clone(), "phase" => phase.as_str())
            .set(f64::from(u8::from(phase == it.lifecycle)));
    }
    let ours = |metric: &'static str, value: f64| gauge!(metric, "participant" => it.name.clone()).set(value);
    ours("saga_retry_budget_balance", f64::from(it.retry_budget));
    ours("saga_guard_share", it.share);
    counter!("saga_guard_stale_results_total", "participant" => it.name.clone()).absolute(it.stale_results);
    counter!("saga_guard_probes_expired_total", "participant" => it.name.clone()).absolute(it.probes_expired);
}

/// Sagas that one guard holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardBacklog<'a> {
    /// The guard's word, as in the journal.
    pub guard: &'a str,
    /// Of which participant or topic.
    pub name: &'a str,
    /// Number of sagas that the guard holds back.
    pub sagas: i64,
}

/// How many sagas of the whole installation each guard holds back; those of `participants` that hold none are set to 0.
pub fn set_waiting_gauges(participants: &[ParticipantSnapshot], held: &[GuardBacklog<'_>]) {
    let set = |participant: &str, guard: &str, sagas: f64| {
        gauge!("saga_guard_parked", "participant" => participant.to_owned(), "guard" => guard.to_owned()).set(sagas);
    };
    for participant in participants {
        GuardKind::ALL.iter().for_each(|guard| set(&participant.name, guard.as_str(), 0.0));
    }
    for GuardBacklog { guard, name, sagas } in held {
        // Above 2^53, the gauge cannot show a difference of one saga.
        #[allow(clippy::cast_precision_loss)]
        set(name, guard, *sagas as f64);
    }
}

/// Resilience4j's words; `disabled` is forced closed.
fn state_word(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
        BreakerState::ForcedOpen => "forced_open",
        BreakerState::ForcedClosed => "disabled",
        BreakerState::MetricsOnly => "metrics_only",
    }
}

/// 0 to 100, and -1 without enough calls, as Resilience4j has it.
fn percent(share: Option<f64>) -> f64 {
    share.map_or(-1.0, |share| share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_metrics::{CallResultKind, GuardMetrics};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use std::time::Duration;

    /// A database of metrics is paid for by series, and most participants are idle most of the time.
    const MOST_IDLE_SERIES: usize = 40;

    fn payments() -> ParticipantSnapshot {
        ParticipantSnapshot {
            name: "payments".into(),
            lifecycle: LifecyclePhase::Degraded,
            breaker: BreakerState::HalfOpen,
            opened: None,
            paused_for_ms: None,
            calls: 10,
            failures: 4,
            slow_calls: 2,
            failure_rate: Some(0.4),
            slow_call_rate: None,
            last_failures: Vec::new(),
            stale_results: 7,
            probes_expired: 1,
            limit: 64,
            in_flight: 3,
            waiting: 0,
            pacing: 1,
            queued: 12,
            rate_room: Some(5),
            retry_budget: 2,
            share: 1.0,
            depends_on: Vec::new(),
            health: None,
            endpoints: Vec::new(),
        }
    }

    #[test]
    fn a_participant_that_nobody_calls_makes_few_series() {
        let recorder = PrometheusBuilder::new().set_buckets(&[0.1, 0.5, 1.0, 5.0]).expect("buckets").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let _meters = GuardMetrics::of("payments");
            set_gauges(&[payments()]);
            set_waiting_gauges(&[payments()], &[]);
        });
        let text = scrape::shown(&handle.render(), &|_| true);
        let series = text.lines().filter(|line| line.contains("payments")).count();
        assert!((20..=MOST_IDLE_SERIES).contains(&series), "{series} series:\n{text}");
    }

    #[test]
    fn a_scrape_finds_familiar_names() {
        let recorder = PrometheusBuilder::new().set_buckets(&[0.1]).expect("buckets").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let meters = GuardMetrics::of("payments");
            meters.called(CallResultKind::Failed, Duration::from_millis(50));
            meters.not_permitted();
            retried("payments", RetryResultKind::SuccessfulWithRetry);
            meters.waited(GuardKind::RateLimit, Duration::from_millis(50));
            let held = GuardBacklog { guard: "breaker", name: "payments", sagas: 12 };
            set_gauges(&[payments()]);
            set_waiting_gauges(&[payments()], &[held]);
        });
        let text = handle.render();
        for line in [
            r#"resilience4j_circuitbreaker_state{name="payments",state="half_open"} 1"#,
            r#"resilience4j_circuitbreaker_state{name="payments",state="disabled"} 0"#,
            r#"resilience4j_circuitbreaker_calls_seconds_bucket{name="payments",kind="failed",le="0.1"} 1"#,
            r#"resilience4j_circuitbreaker_not_permitted_calls_total{name="payments",kind="not_permitted"} 1"#,
            r#"resilience4j_circuitbreaker_buffered_calls{name="payments",kind="successful"} 6"#,
            r#"resilience4j_circuitbreaker_buffered_calls{name="payments",kind="failed"} 4"#,
            r#"resilience4j_circuitbreaker_slow_calls{name="payments",kind="all"} 2"#,
            r#"resilience4j_circuitbreaker_failure_rate{name="payments"} 40"#,
            r#"resilience4j_circuitbreaker_slow_call_rate{name="payments"} -1"#,
            r#"resilience4j_retry_calls_total{name="payments",kind="successful_with_retry"} 1"#,
            r#"resilience4j_bulkhead_max_allowed_concurrent_calls{name="payments"} 64"#,
            r#"resilience4j_bulkhead_available_concurrent_calls{name="payments"} 61"#,
            r#"resilience4j_ratelimiter_available_permissions{name="payments"} 5"#,
            r#"resilience4j_ratelimiter_waiting_threads{name="payments"} 1"#,
            r#"saga_guard_parked{participant="payments",guard="breaker"} 12"#,
            r#"saga_guard_parked{participant="payments",guard="health"} 0"#,
            r#"saga_guard_wait_seconds_count{participant="payments",guard="rateLimit"} 1"#,
            r#"saga_guard_stale_results_total{participant="payments"} 7"#,
            r#"saga_guard_probes_expired_total{participant="payments"} 1"#,
            r#"saga_participant_lifecycle{participant="payments",phase="degraded"} 1"#,
            r#"saga_participant_lifecycle{participant="payments",phase="failed"} 0"#,
            r#"saga_guard_share{participant="payments"} 1"#,
            r#"saga_retry_budget_balance{participant="payments"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is missing:\n{text}");
        }
    }
}
