//! Traces: the variables of OpenTelemetry (`OTEL_*`), and `traces.slow`. Without an endpoint there are none.

use super::{
    ConfigValidator,
    otel::{OtelSignal, OtlpProtocol},
};
use saga_engine::traces::TraceSampling;
use std::time::Duration;

/// The key of the time from which on a saga is slow.
pub(super) const SLOW: &str = "traces.slow";

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// Where spans go, and of which sagas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TraceConfig {
    /// How they are sent.
    pub protocol: OtlpProtocol,
    /// Of which sagas.
    pub sampling: TraceSampling,
    /// Spans that wait at most; more are left out.
    pub queue: usize,
    /// Spans of one request at most.
    pub batch: usize,
    /// How long a span waits for others at most.
    pub delay: Duration,
}

/// Why a saga is told of from its start on.
#[derive(Clone, Copy)]
struct NamedSampler {
    follows_trigger: bool,
    /// `None`: the argument says it.
    share: Option<f64>,
}

impl ConfigValidator<'_> {
    /// `None`: no endpoint is set, or traces are off.
    pub(super) fn traces(&mut self) -> Option<TraceConfig> {
        let slow = self.slow();
        self.otel_endpoint(OtelSignal::Traces)?;
        let protocol = self.otlp_protocol(OtelSignal::Traces);
        let queue = self.number(QUEUE, 2_048, 1..=65_536);
        Some(TraceConfig {
            protocol,
            sampling: self.sampling(slow),
            queue,
            batch: self.number(BATCH, 512, 1..=4_096).min(queue),
            delay: Duration::from_millis(u64::try_from(self.number(DELAY, 5_000, 1..=60_000)).unwrap_or_default()),
        })
    }

    fn slow(&mut self) -> Option<Duration> {
        self.checked(SLOW, "1m", "a time like `30s`, or `off`", |said| match said {
            "off" => Some(None),
            said => saga_core::definition::span(said).ok().map(Some),
        })
    }

    fn sampling(&mut self, slow: Option<Duration>) -> TraceSampling {
        let expected = "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
                        parentbased_traceidratio";
        let fall_back = NamedSampler { follows_trigger: true, share: Some(1.0) };
        let NamedSampler { follows_trigger, share } = self.of_variable(SAMPLER, fall_back, expected, sampler);
        let share = share.unwrap_or_else(|| {
            self.of_variable(SAMPLER_ARGUMENT, 1.0, "a share from 0 to 1, like 0.1", |said| {
                said.parse().ok().filter(|share| (0.0..=1.0).contains(share))
            })
        });
        TraceSampling { follows_trigger, share, slow }
    }
}

fn sampler(name: &str) -> Option<NamedSampler> {
    let (name, follows_trigger) = name.strip_prefix("parentbased_").map_or((name, false), |name| (name, true));
    let share = match name {
        "always_on" => Some(1.0),
        "always_off" => Some(0.0),
        "traceidratio" => None,
        _ => return None,
    };
    Some(NamedSampler { follows_trigger, share })
}
