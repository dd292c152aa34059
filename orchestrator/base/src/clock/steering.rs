//! What the clock says, computed from what was read. Pure.

use saga_core::time::Timestamp;
use std::time::Duration;

/// The clock runs at most this part faster or slower than real time: an hour is made good in twenty. As chrony does.
pub const STEERING: u32 = 20;

/// How often the wall clock is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The system reports its uptime in hundredths of a second, and both clocks are not read at the same moment. Only a
/// larger difference is a suspension.
const SUSPENDED: Duration = Duration::from_secs(1);

/// What the machine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockReadings {
    /// Runs while the machine is awake. It cannot be set.
    pub(super) monotonic: Duration,
    /// Runs while the machine is suspended too, from another beginning.
    pub(super) suspended: Option<Duration>,
    /// The machine's time of day, which can be set.
    pub(super) wall: Timestamp,
}

/// The clock between two readings of the machine's clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlewedClock {
    /// The machine's clocks at the last reading.
    read: ClockReadings,
    /// What the clock said then, in microseconds.
    said_us: i64,
    /// How far the wall clock was ahead then, in microseconds.
    ahead_us: i64,
}

impl SlewedClock {
    /// A clock that says what the wall clock says.
    pub(super) fn begun(read: ClockReadings) -> SlewedClock {
        SlewedClock { read, said_us: read.wall.0.saturating_mul(1000), ahead_us: 0 }
    }

    /// The time at `monotonic`. Reads the machine's clocks once a second.
    pub(super) fn now(&mut self, monotonic: Duration, read: impl FnOnce() -> ClockReadings) -> Timestamp {
        if monotonic.saturating_sub(self.read.monotonic) >= LOOK_EVERY {
            self.look(read());
        }
        Timestamp(self.at(monotonic.max(self.read.monotonic)) / 1000)
    }

    #[cfg(test)]
    fn wall_ahead_ms(&self) -> i64 {
        self.ahead_us / 1000
    }

    fn look(&mut self, read: ClockReadings) {
        let slept = match (self.read.suspended, read.suspended) {
            (Some(before), Some(now)) => {
                let awake = read.monotonic.saturating_sub(self.read.monotonic);
                Some(now.saturating_sub(before).saturating_sub(awake)).filter(|slept| *slept > SUSPENDED)
            }
            _ => None,
        };
        let said_us = self.at(read.monotonic).saturating_add(micros(slept.unwrap_or_default()));
        *self = SlewedClock { read, said_us, ahead_us: read.wall.0.saturating_mul(1000).saturating_sub(said_us) };
    }

    /// In microseconds: real time, and as much of the distance to the wall clock as may be corrected in it.
    fn at(&self, monotonic: Duration) -> i64 {
        let passed = micros(monotonic.saturating_sub(self.read.monotonic));
        let most = passed / i64::from(STEERING);
        self.said_us.saturating_add(passed).saturating_add(self.ahead_us.clamp(-most, most))
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_MS: i64 = 3_600_000;

    /// A machine whose clocks are set by the test.
    struct FakeMachineClock {
        awake_ms: i64,
        slept_ms: i64,
        wall_ms: i64,
        clock: SlewedClock,
    }

    impl FakeMachineClock {
        fn new() -> FakeMachineClock {
            let mut machine = FakeMachineClock {
                awake_ms: 0,
                slept_ms: 0,
                wall_ms: 1_700_000_000_000,
                clock: SlewedClock::begun(NEVER),
            };
            machine.clock = SlewedClock::begun(machine.read());
            machine
        }

        fn read(&self) -> ClockReadings {
            let span = |ms: i64| Duration::from_millis(ms.unsigned_abs());
            let suspended = Some(span(70_000 + self.awake_ms + self.slept_ms));
            ClockReadings { monotonic: span(self.awake_ms), suspended, wall: Timestamp(self.wall_ms) }
        }

        fn passes(&mut self, ms: i64) -> i64 {
            self.awake_ms += ms;
            self.wall_ms += ms;
            self.says()
        }

        fn sleeps(&mut self, ms: i64) {
            self.slept_ms += ms;
            self.wall_ms += ms;
        }

        fn says(&mut self) -> i64 {
            let read = self.read();
            self.clock.now(read.monotonic, || read).0
        }

        /// Time passes in steps, as it does where something looks at the clock now and then.
        fn passes_in_steps(&mut self, ms: i64) -> i64 {
            (0..ms / 1000).for_each(|_| {
                self.passes(1000);
            });
            self.says()
        }
    }

    const NEVER: ClockReadings = ClockReadings { monotonic: Duration::ZERO, suspended: None, wall: Timestamp(0) };

    #[test]
    fn a_wall_clock_that_is_set_back_an_hour_stops_nothing() {
        let mut machine = FakeMachineClock::new();
        let before = machine.passes(10_000);
        machine.wall_ms -= HOUR_MS;
        let after = machine.passes_in_steps(100_000);
        assert!((94_000..=100_000).contains(&(after - before)), "{}", after - before);
        assert!(machine.clock.wall_ahead_ms() < -HOUR_MS + 10_000);
    }

    #[test]
    fn a_wall_clock_that_jumps_ahead_fires_nothing_early() {
        let mut machine = FakeMachineClock::new();
        let before = machine.passes(10_000);
        machine.wall_ms += HOUR_MS;
        let after = machine.passes_in_steps(100_000);
        assert!((100_000..=106_000).contains(&(after - before)), "{}", after - before);
    }

    #[test]
    fn what_was_set_wrong_is_made_good_and_then_followed() {
        let mut machine = FakeMachineClock::new();
        machine.wall_ms += 10_000;
        machine.passes_in_steps(250_000);
        assert!((machine.says() - machine.wall_ms).abs() <= 60, "{}", machine.says() - machine.wall_ms);
        machine.wall_ms -= 5_000;
        machine.passes_in_steps(150_000);
        assert!((machine.says() - machine.wall_ms).abs() <= 60, "{}", machine.says() - machine.wall_ms);
    }

    #[test]
    fn a_suspended_machine_has_lost_no_time() {
        let mut machine = FakeMachineClock::new();
        machine.passes(10_000);
        machine.sleeps(HOUR_MS);
        let after = machine.passes(1_000);
        assert!((after - machine.wall_ms).abs() <= 60, "{}", after - machine.wall_ms);
    }

    #[test]
    fn a_clock_that_nobody_reads_for_long_is_made_good_once() {
        let mut machine = FakeMachineClock::new();
        machine.wall_ms += 2_000;
        machine.passes(1_000);
        let after = machine.passes(HOUR_MS);
        assert!((after - machine.wall_ms).abs() <= 60, "{}", after - machine.wall_ms);
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_never_runs_faster_or_slower_than_it_may(
            steps in prop::collection::vec((0i64..5_000, -HOUR_MS..HOUR_MS, any::<bool>()), 1..60),
        ) {
            let mut machine = FakeMachineClock::new();
            let mut last = machine.says();
            for (passes, sets, is_set) in steps {
                if is_set {
                    machine.wall_ms += sets;
                }
                let says = machine.passes(passes);
                let most = passes / i64::from(STEERING) + 2;
                prop_assert!((says - last - passes).abs() <= most, "{passes} ms became {}", says - last);
                last = says;
            }
        }
    }
}
