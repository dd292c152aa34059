//! What the guards cost that every call passes: `cargo bench -p saga-guards`. The clock is an argument, so its price is
//! not in here.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use saga_guards::{
    MonotonicTime,
    breaker::{
        BreakerAdmission, BreakerConfig, BreakerMode, BreakerParameters, CallVerdict, CircuitBreaker, WindowConfig,
    },
    budget::{self, RetryBudget},
};
use std::{hint::black_box, time::Duration};

const HOLD: Duration = Duration::from_secs(30);
const TOOK: Duration = Duration::from_millis(12);
/// Calls come so far apart: one bucket of a window of 30 seconds holds 30,000 of them.
const APART: Duration = Duration::from_micros(100);

/// A clock that moves on by itself.
struct Clock(Duration);

impl Clock {
    fn read(&mut self) -> MonotonicTime {
        self.0 += APART;
        MonotonicTime::since_origin(self.0)
    }
}

fn breaker(change: impl FnOnce(&mut BreakerParameters)) -> CircuitBreaker {
    let mut settings = BreakerParameters { slow_call: Some(Duration::from_secs(2)), ..BreakerParameters::default() };
    change(&mut settings);
    CircuitBreaker::new(BreakerConfig::new(settings).expect("valid settings"), MonotonicTime::default())
}

/// One call that goes well, or is refused.
fn call(breaker: &mut CircuitBreaker, clock: &mut Clock) {
    match breaker.admit(clock.read(), HOLD, 7) {
        BreakerAdmission::Admitted(ticket) => {
            black_box(breaker.settle(ticket, CallVerdict::Succeeded, TOOK, clock.read(), 7));
        }
        BreakerAdmission::Refused { retry_after, .. } => {
            black_box(retry_after);
        }
    }
}

fn breakers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker");
    for (name, mut breaker) in [
        ("closed, window of time", breaker(|_| {})),
        ("closed, window of 100 calls", breaker(|it| it.window = WindowConfig::Calls(100))),
        ("closed, window of 10,000 calls", breaker(|it| it.window = WindowConfig::Calls(10_000))),
        ("closed, shedding", breaker(|it| it.shed_above = Some(2.0))),
    ] {
        let mut clock = Clock(Duration::ZERO);
        group.bench_function(name, |bencher| bencher.iter(|| call(&mut breaker, &mut clock)));
    }
    group.finish();
}

/// Time stands still, so that it goes on refusing.
fn refusals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("breaker");
    let now = MonotonicTime::since_origin(Duration::from_secs(60));
    let mut open = breaker(|it| it.minimum_calls = 1);
    if let BreakerAdmission::Admitted(ticket) = open.admit(now, HOLD, 7) {
        black_box(open.settle(ticket, CallVerdict::Failed, TOOK, now, 7));
    }
    let mut forced = breaker(|_| {});
    forced.set_mode(BreakerMode::ForcedOpen, now);
    let mut paused = breaker(|_| {});
    paused.open_for_at_least(Duration::MAX, now);
    for (name, mut breaker) in [("open", open), ("forced open", forced), ("asked to pause", paused)] {
        group.bench_function(format!("refused, {name}"), |bencher| {
            bencher.iter(|| black_box(breaker.admit(black_box(now), HOLD, 7)));
        });
    }
    group.finish();
}

fn opening(criterion: &mut Criterion) {
    criterion.bench_function("breaker/opens and closes", |bencher| {
        bencher.iter_batched(
            || breaker(|it| (it.minimum_calls, it.probes) = (1, 1)),
            |mut breaker| {
                let closed = MonotonicTime::default();
                if let BreakerAdmission::Admitted(ticket) = breaker.admit(closed, HOLD, 7) {
                    black_box(breaker.settle(ticket, CallVerdict::Failed, TOOK, closed, 7));
                }
                let later = closed.plus(Duration::from_secs(60));
                if let BreakerAdmission::Admitted(ticket) = breaker.admit(later, HOLD, 7) {
                    black_box(breaker.settle(ticket, CallVerdict::Succeeded, TOOK, later, 7));
                }
                breaker
            },
            BatchSize::SmallInput,
        );
    });
}

fn budgets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("budget");
    let (mut budget, mut clock) =
        (RetryBudget::new(budget::RetryBudgetConfig::default(), MonotonicTime::default()), Clock(Duration::ZERO));
    group.bench_function("a first attempt", |bencher| bencher.iter(|| budget.first(clock.read())));
    group.bench_function("a further attempt", |bencher| bencher.iter(|| black_box(budget.take(clock.read()))));
    let mut empty =
        RetryBudget::new(budget::RetryBudgetConfig { share: 0.0, reserve_per_second: 0 }, MonotonicTime::default());
    group.bench_function("refused", |bencher| bencher.iter(|| black_box(empty.take(clock.read()))));
    group.finish();
}

criterion_group!(benches, breakers, refusals, opening, budgets);
criterion_main!(benches);
