//! What the whole chain of guards costs around a call that does nothing: `cargo bench -p saga-guard-bench --bench
//! chain`. Everything is in it that a step's call passes: lookup, health, line, breaker, retry budget, rate limit,
//! bulkhead, meters and the readings of the clock.

use criterion::{Criterion, criterion_group, criterion_main};
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
use std::{
    collections::BTreeSet,
    hint::black_box,
    num::NonZeroU32,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// More than there are threads, so that nobody waits for a place.
const PLACES: NonZeroU32 = NonZeroU32::new(64).expect("64 is not zero");
/// So many that nobody waits for the rate.
const ALL: NonZeroU32 = NonZeroU32::MAX;
const NAMES: [&str; 8] =
    ["payments", "warehouse", "ledger", "couriers", "customers", "invoices", "insurance", "notifications"];
/// Settings that change nothing.
const AS_IT_IS: fn(&mut ParticipantSettings) = |_| {};

fn participant(name: &str) -> ParticipantSettings {
    ParticipantSettings {
        name: name.to_owned(),
        transport: TransportSettings::Http(HttpSettings::at(name, "http://127.0.0.1:9")),
        gate: GateSettings::of_limit(PLACES),
        health: None,
        capabilities: BTreeSet::new(),
        timeout: Duration::from_secs(10),
        depends_on: Vec::new(),
    }
}

fn guarded(change: impl Fn(&mut ParticipantSettings)) -> GuardRegistry {
    let all = NAMES.map(|name| {
        let mut settings = participant(name);
        change(&mut settings);
        settings
    });
    GuardRegistry::new(&all).expect("participants that can be called")
}

fn limited(settings: &mut ParticipantSettings) {
    settings.gate.rate = Some(CallRate { calls: ALL, per: Duration::from_secs(1), burst: ALL });
}

fn adapting(settings: &mut ParticipantSettings) {
    settings.gate.bulkhead.adaptive =
        Some(adaptive::AdaptiveLimitConfig::new(PLACES, PLACES, PLACES).expect("equal bounds"));
}

fn checked(settings: &mut ParticipantSettings) {
    settings.health = Some(HealthCheckConfig {
        check: HealthCheckMethod::Connect,
        config: saga_guards::health::HealthTrackerConfig::default(),
    });
}

/// A first failure opens it, for longer than is measured.
fn brittle(settings: &mut ParticipantSettings) {
    let brittle = breaker::BreakerParameters {
        minimum_calls: 1,
        open_for: Duration::from_secs(120),
        ..breaker::BreakerParameters::default()
    };
    settings.gate.breaker = breaker::BreakerConfig::new(brittle).expect("valid settings");
}

/// One call that goes well, through all guards and back. Nobody has to wait, so the future is ready at once.
fn call(guarded: &GuardRegistry, name: &str) {
    let passed = guarded.acquire(black_box(name), PriorityLane::Do).now_or_never().expect("nobody waits");
    passed.expect("nobody refuses").end(CallVerdict::Succeeded);
}

fn refusal(guarded: &GuardRegistry, name: &str) -> Option<GuardedCallError> {
    guarded.acquire(black_box(name), PriorityLane::Do).now_or_never()?.err()
}

fn open() -> GuardRegistry {
    let guarded = guarded(brittle);
    for name in NAMES {
        let passed = guarded.acquire(name, PriorityLane::Do).now_or_never().expect("nobody waits");
        passed.expect("it is closed").end(CallVerdict::Failed);
        assert!(refusal(&guarded, name).is_some(), "one failure opens it");
    }
    guarded
}

fn one_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chain");
    let recorder = PrometheusBuilder::new().set_buckets(&[0.01, 0.1, 1.0]).expect("buckets").build_recorder();
    let recorded = metrics::with_local_recorder(&recorder, || guarded(AS_IT_IS));
    for (name, guarded) in [
        ("as it is", guarded(AS_IT_IS)),
        ("with a rate limit", guarded(limited)),
        ("with an adaptive limit", guarded(adapting)),
        ("with a health check", guarded(checked)),
        ("with all of them", guarded(|it| [limited, adapting, checked].iter().for_each(|change| change(it)))),
        ("with a recorder of metrics", recorded),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| call(&guarded, NAMES[0])));
    }
    let guarded = open();
    group.bench_function("refused by an open breaker", |bencher| {
        bencher.iter(|| black_box(refusal(&guarded, NAMES[0])));
    });
    group.finish();
}

/// Calls of all threads together: the time between two of them.
fn many_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("contended");
    let (closed, open) = (guarded(limited), open());
    for threads in [2, 8] {
        for (among, names) in [("one participant", &NAMES[..1]), ("eight participants", &NAMES[..])] {
            group.bench_function(format!("{threads} threads, {among}"), |bencher| {
                bencher.iter_custom(|calls| together(threads, calls, names, |name| call(&closed, name)));
            });
        }
        group.bench_function(format!("{threads} threads, one open breaker"), |bencher| {
            bencher.iter_custom(|calls| {
                together(threads, calls, &NAMES[..1], |name| {
                    black_box(refusal(&open, name));
                })
            });
        });
    }
    group.finish();
}

/// How long `threads` take for `calls`, each thread with the participant whose turn it is.
fn together(threads: usize, calls: u64, names: &[&str], call: impl Fn(&str) + Sync) -> Duration {
    let each = calls.div_ceil(threads as u64);
    let start = Barrier::new(threads + 1);
    let (start, call) = (&start, &call);
    let began = thread::scope(|scope| {
        for name in names.iter().cycle().take(threads) {
            scope.spawn(move || {
                start.wait();
                (0..each).for_each(|_| call(name));
            });
        }
        let began = Instant::now();
        start.wait();
        began
    });
    began.elapsed()
}

criterion_group!(benches, one_thread, many_threads);
criterion_main!(benches);
