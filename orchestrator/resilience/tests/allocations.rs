//! The chain of guards allocates nothing around a call that nobody has to wait with. Counted by an allocator that
//! stands in for the system's in this program, by thread.

use allocation_counter::measure;
use futures_util::FutureExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use saga_core::definition::participants::{HealthCheckConfig, HealthCheckMethod};
use saga_guards::{
    PriorityLane, adaptive,
    breaker::{self, CallVerdict},
    rate::CallRate,
};
use saga_resilience::{
    registry::{GuardRegistry, guarded_call::GuardedCallError},
    settings::{GateSettings, ParticipantSettings, TransportSettings},
    transport::http::HttpSettings,
};
use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

const CALLS: u64 = 1_000;

fn guarded(change: impl FnOnce(&mut ParticipantSettings)) -> GuardRegistry {
    let mut settings = ParticipantSettings {
        name: "payments".into(),
        transport: TransportSettings::Http(HttpSettings::at("payments", "http://127.0.0.1:9")),
        gate: GateSettings::of_limit(NonZeroU32::new(64).expect("64 is not zero")),
        health: None,
        capabilities: BTreeSet::new(),
        timeout: Duration::from_secs(10),
        depends_on: Vec::new(),
    };
    change(&mut settings);
    GuardRegistry::new(&[settings]).expect("a participant that can be called")
}

fn call(guarded: &GuardRegistry, verdict: CallVerdict) -> Result<(), GuardedCallError> {
    let passed = guarded.acquire("payments", PriorityLane::Do).now_or_never().expect("nobody waits");
    passed.map(|passage| passage.end(verdict))
}

/// After a first call, which sets up what belongs to the thread.
fn allocations_of_calls(guarded: &GuardRegistry) -> u64 {
    assert_eq!(call(guarded, CallVerdict::Succeeded), Ok(()));
    let calls = || (0..CALLS).all(|_| call(guarded, CallVerdict::Succeeded).is_ok());
    measure(|| assert!(calls(), "a call was refused")).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(7)))).count_total, 1);
}

#[test]
fn a_call_allocates_nothing() {
    assert_eq!(allocations_of_calls(&guarded(|_| {})), 0);
}

#[test]
fn nor_does_one_that_passes_all_there_is() {
    let many = NonZeroU32::MAX;
    let guarded = guarded(|it| {
        it.gate.rate = Some(CallRate { calls: many, per: Duration::from_secs(1), burst: many });
        it.gate.bulkhead.adaptive =
            Some(adaptive::AdaptiveLimitConfig::new(NonZeroU32::MIN, many, many).expect("min is below max"));
        it.health = Some(HealthCheckConfig {
            check: HealthCheckMethod::Connect,
            config: saga_guards::health::HealthTrackerConfig::default(),
        });
    });
    assert_eq!(allocations_of_calls(&guarded), 0);
}

#[test]
fn nor_does_one_that_an_open_breaker_refuses() {
    let brittle = breaker::BreakerParameters { minimum_calls: 1, ..breaker::BreakerParameters::default() };
    let guarded = guarded(|it| it.gate.breaker = breaker::BreakerConfig::new(brittle).expect("valid settings"));
    assert_eq!(call(&guarded, CallVerdict::Failed), Ok(()));
    assert!(call(&guarded, CallVerdict::Succeeded).is_err(), "the first failure opens it");
    let refused = || (0..CALLS).all(|_| call(&guarded, CallVerdict::Succeeded).is_err());
    assert_eq!(measure(|| assert!(refused(), "a call was let through")).count_total, 0);
}

/// The recorder keeps each duration until it is asked, in blocks of 64.
#[test]
fn recording_its_duration_costs_an_allocation_in_64_calls() {
    let recorder = PrometheusBuilder::new().set_buckets(&[1.0]).expect("a bucket").build_recorder();
    let guarded = metrics::with_local_recorder(&recorder, || guarded(|_| {}));
    assert!(allocations_of_calls(&guarded) <= CALLS / 64 + 2);
}
