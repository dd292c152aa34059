//! `telemetry.slowOperation`: from which duration on an operation is slow.

use super::ConfigValidator;
use std::time::Duration;

/// The key of the threshold.
pub(super) const SLOW_OPERATION: &str = "telemetry.slowOperation";

impl ConfigValidator<'_> {
    pub(super) fn slow_operation(&mut self) -> Duration {
        let bounds = Duration::from_millis(1)..=Duration::from_secs(3600);
        self.checked(SLOW_OPERATION, "1s", "a time from 1ms to 1h, like `500ms`", |text| {
            saga_core::definition::span(text).ok().filter(|span| bounds.contains(span))
        })
    }
}
