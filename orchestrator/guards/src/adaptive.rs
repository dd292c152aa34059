//! The adaptive limit: how many calls a participant takes at once, found out from how long it takes to answer.
//!
//! Additive increase, multiplicative decrease with a deviation of response times as the sign of congestion, as in
//! Vector's adaptive request concurrency (Datadog, 2020): once per mean response time the limit grows by one if it was
//! reached and answers came as soon as usual, and shrinks by a tenth if an answer says "too much", or answers took much
//! longer than usual. A limit that creeps upwards takes the mean along, so answers are held against the best mean of a
//! long time too. At the least limit that begins anew: what answers take then is not the limit's making, and neither is
//! it while less than half of the limit is used. Calls that wait for us are no part of it: a response time begins when
//! a call leaves.

mod config;

#[cfg(test)]
mod tests;

pub use config::{AdaptiveLimitConfig, AdaptiveLimitError};

use crate::MonotonicTime;
use std::{num::NonZeroU32, time::Duration};

/// Weight of the latest window in the mean of all before: a few windows are the memory.
const SMOOTHING: f64 = 0.4;
/// Mean deviations above the mean from which on answers are slow.
const DEVIATIONS: f64 = 2.5;
/// What a limit that is too high is multiplied by.
const DECREASE: f64 = 0.9;
/// Slower than this in proportion to the mean is the least that counts as slow: a participant that always takes 10 ms
/// must not be slowed down because it took 11.
const LEAST_SLOWER: f64 = 1.2;
/// Up to this in proportion to the best mean, answers come as soon as usual: half as long again is a participant's own
/// queue (the tolerance of Netflix's Gradient2 limit).
const TOLERATED: f64 = 1.5;
/// How far the best mean is forgotten each time: a participant that has become slower permanently is believed after
/// some minutes.
const FORGETTING: f64 = 1e-4;
/// Between two looks at the limit at least: below it, response times are those of a queue in memory.
const SHORTEST_WINDOW: Duration = Duration::from_millis(10);

/// A limit of calls in flight that follows the response times of its participant.
#[derive(Clone, Debug)]
pub struct AdaptiveLimit {
    config: AdaptiveLimitConfig,
    limit: f64,
    mean: Option<LatencyMean>,
    /// The best mean in seconds, slowly forgotten.
    best: f64,
    window: SampleWindow,
    window_ends: MonotonicTime,
}

/// What a finished call says of its participant's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadSample {
    /// It answered after this long.
    Answered(Duration),
    /// It asks for less, or did not answer in time.
    Overload,
    /// Nothing: no connection, or given up by us.
    None,
}

#[derive(Clone, Copy, Debug)]
struct LatencyMean {
    seconds: f64,
    deviation: f64,
}

#[derive(Clone, Debug, Default)]
struct SampleWindow {
    answers: u32,
    seconds: f64,
    most_in_flight: u32,
    was_overloaded: bool,
}

impl AdaptiveLimit {
    /// Starts where `config` says.
    #[must_use]
    pub fn new(config: AdaptiveLimitConfig, now: MonotonicTime) -> AdaptiveLimit {
        let limit = f64::from(config.start().get());
        AdaptiveLimit {
            config,
            limit,
            mean: None,
            best: f64::INFINITY,
            window: SampleWindow::default(),
            window_ends: now.plus(SHORTEST_WINDOW),
        }
    }

    /// A call has finished while `in_flight` were out, itself included.
    pub fn finished(&mut self, load: LoadSample, in_flight: u32, now: MonotonicTime) {
        self.window.most_in_flight = self.window.most_in_flight.max(in_flight);
        match load {
            LoadSample::Answered(took) => {
                self.window.answers += 1;
                self.window.seconds += took.as_secs_f64();
            }
            LoadSample::Overload => self.window.was_overloaded = true,
            LoadSample::None => {}
        }
        if now >= self.window_ends {
            self.close_window(now);
        }
    }

    /// How many calls may be in flight now, within the bounds.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn limit(&self) -> NonZeroU32 {
        // Kept between the bounds, which are not zero.
        NonZeroU32::new(self.limit as u32).unwrap_or(NonZeroU32::MIN)
    }

    /// Other bounds from now on; the limit stays where they allow it.
    pub fn configure(&mut self, config: AdaptiveLimitConfig) {
        self.config = config;
        self.keep_within();
    }

    /// The bounds within which the limit stays.
    #[must_use]
    pub fn config(&self) -> AdaptiveLimitConfig {
        self.config
    }

    fn close_window(&mut self, now: MonotonicTime) {
        let window = std::mem::take(&mut self.window);
        let latest = (window.answers > 0).then(|| window.seconds / f64::from(window.answers));
        self.adapt(&window, latest);
        if let Some(latest) = latest {
            let mean = LatencyMean::after(self.mean, latest);
            let best = if self.limit() == self.config.min() { mean.seconds } else { self.best * (1.0 + FORGETTING) };
            self.best = mean.seconds.min(best);
            self.mean = Some(mean);
        }
        let usual = self.mean.map_or(0.0, |mean| mean.seconds);
        self.window_ends = now.plus(Duration::try_from_secs_f64(usual).unwrap_or_default().max(SHORTEST_WINDOW));
    }

    fn adapt(&mut self, window: &SampleWindow, latest: Option<f64>) {
        let is_crowded = latest.is_some_and(|latest| latest > self.best * TOLERATED);
        let is_slow = latest.zip(self.mean).is_some_and(|(latest, mean)| latest >= mean.slow_from());
        let is_ours = window.most_in_flight.saturating_mul(2) >= self.limit().get();
        if window.was_overloaded || (is_ours && (is_slow || is_crowded)) {
            self.limit *= DECREASE;
        } else if window.most_in_flight >= self.limit().get() && latest.is_some() {
            self.limit += 1.0;
        }
        self.keep_within();
    }

    fn keep_within(&mut self) {
        let (min, max) = (f64::from(self.config.min().get()), f64::from(self.config.max().get()));
        self.limit = self.limit.clamp(min, max);
    }
}

impl LatencyMean {
    fn after(before: Option<LatencyMean>, latest: f64) -> LatencyMean {
        let Some(before) = before else { return LatencyMean { seconds: latest, deviation: 0.0 } };
        let off = latest - before.seconds;
        LatencyMean {
            seconds: before.seconds + SMOOTHING * off,
            deviation: before.deviation + SMOOTHING * (off.abs() - before.deviation),
        }
    }

    fn slow_from(self) -> f64 {
        (self.seconds + DEVIATIONS * self.deviation).max(self.seconds * LEAST_SLOWER)
    }
}
