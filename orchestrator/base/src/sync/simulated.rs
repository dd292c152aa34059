//! Schedules that are drawn: by chance, and by PCT (Burckhardt et al., 2010), which finds a fault that needs few
//! changes of turn soon.
//!
//! Threads and futures are shuttle's; there is one thread of the system. A task that takes or releases a lock lets
//! others go first, and when all wait for each other the test fails. Time stands still unless a scenario lets it pass,
//! so nothing is saved by a timeout.

use shuttle::{
    Runner,
    scheduler::{PctScheduler, RandomScheduler},
};
use std::{
    cell::Cell,
    ops::{Deref, DerefMut},
    time::Duration,
};

/// Of each kind, for each scenario: seconds for all of them.
const SCHEDULES: usize = 300;
/// More of them, and others in each run: `SAGA_TEST_SCHEDULES=100000 cargo test …`.
const MORE: &str = "SAGA_TEST_SCHEDULES";
const SEED: u64 = 4;
/// Changes of turn that matter for a fault: most need one or two.
const DEPTH: usize = 3;
/// What a thread of a scenario has; shuttle's 32 kB are too few for a build without optimisation.
const STACK_BYTES: usize = 1 << 20;

thread_local! {
    static SIMULATED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `scenario` under many schedules. A failure prints the schedule that led to it.
pub fn under_all_schedules(scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let clock = clock.expect("a runtime");
    let (_clock, _simulated) = (clock.enter(), SimulationScope::begin());
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    let (by_chance, by_priority) = match std::env::var(MORE).ok().and_then(|many| many.parse().ok()) {
        Some(many) => (RandomScheduler::new(many), PctScheduler::new(DEPTH, many)),
        None => (RandomScheduler::new_from_seed(SEED, SCHEDULES), PctScheduler::new_from_seed(SEED, DEPTH, SCHEDULES)),
    };
    Runner::new(by_chance, config.clone()).run(scenario.clone());
    Runner::new(by_priority, config).run(scenario);
}

/// Lets time pass for everybody.
pub fn pass(time: Duration) {
    // It gives way once afterwards, to a runtime that is not there.
    let _ = futures_util::FutureExt::now_or_never(tokio::time::advance(time));
}

struct SimulationScope;

impl SimulationScope {
    fn begin() -> SimulationScope {
        SIMULATED.set(true);
        SimulationScope
    }
}

impl Drop for SimulationScope {
    fn drop(&mut self) {
        SIMULATED.set(false);
    }
}

/// Whose turn it is, within a schedule; nothing outside of one.
#[derive(Debug)]
pub struct ScheduleTurn(Option<shuttle::sync::Mutex<()>>);

impl Default for ScheduleTurn {
    fn default() -> ScheduleTurn {
        ScheduleTurn(SIMULATED.get().then(|| shuttle::sync::Mutex::new(())))
    }
}

impl ScheduleTurn {
    pub(super) fn wait(&self) -> Option<shuttle::sync::MutexGuard<'_, ()>> {
        self.0.as_ref().map(|turn| turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Fields are released in order: no other task gets the turn before the lock is free.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    guarded: std::sync::MutexGuard<'a, T>,
    _turn: Option<shuttle::sync::MutexGuard<'a, ()>>,
}

impl<'a, T> MutexGuard<'a, T> {
    pub(super) fn new(
        guarded: std::sync::MutexGuard<'a, T>,
        turn: Option<shuttle::sync::MutexGuard<'a, ()>>,
    ) -> MutexGuard<'a, T> {
        MutexGuard { guarded, _turn: turn }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guarded
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guarded
    }
}
