//! `telemetry.buckets`: the bounds of histograms of durations.

use super::ConfigValidator;
use std::time::Duration;

/// The key of the bounds.
pub(super) const BUCKETS: &str = "telemetry.buckets";
/// Each bucket is a time series of each histogram.
const MOST: usize = 30;

impl ConfigValidator<'_> {
    /// Seconds, ascending; `None`: each family has its own.
    pub(super) fn buckets(&mut self) -> Option<Vec<f64>> {
        let expected = "times that grow, at most 30, like `5ms, 50ms, 500ms, 5s`, or `default`";
        self.checked(BUCKETS, "default", expected, |said| match said {
            "default" => Some(None),
            said => bounds(said).map(Some),
        })
    }
}

fn bounds(said: &str) -> Option<Vec<f64>> {
    let times: Option<Vec<Duration>> =
        said.split(',').map(|time| saga_core::definition::span(time.trim()).ok()).collect();
    let times = times.filter(|times| times.len() <= MOST && times.is_sorted_by(|one, other| one < other))?;
    Some(times.iter().map(Duration::as_secs_f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_times_that_grow() {
        assert_eq!(bounds("5ms, 1s,2m"), Some(vec![0.005, 1.0, 120.0]));
        for wrong in ["", "1s, 1s", "2s, 1s", "1", "fast"] {
            assert_eq!(bounds(wrong), None, "{wrong}");
        }
        let many: Vec<String> = (1..=31).map(|seconds| format!("{seconds}s")).collect();
        assert_eq!(bounds(&many.join(", ")), None, "31 are too many");
    }
}
