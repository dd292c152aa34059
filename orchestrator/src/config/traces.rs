//! Traces: the variables of OpenTelemetry (`OTEL_*`), and `traces.slow`. Without an endpoint there are none.

use super::ConfigValidator;
use saga_engine::traces::TraceSampling;
use std::{collections::BTreeMap, time::Duration};

/// The key of the time from which on a saga is slow.
pub(super) const SLOW: &str = "traces.slow";

const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// Their values are credentials.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";

/// The values of headers for the collector.
pub(super) fn secrets_of(env: &BTreeMap<String, String>) -> Vec<String> {
    let pairs = HEADERS.iter().filter_map(|name| env.get(*name)).flat_map(|pairs| pairs.split(','));
    pairs.filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.trim().to_owned()).collect()
}

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

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protocol buffers over HTTP.
    Http,
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
        if self.variable(DISABLED).is_some_and(|said| said.eq_ignore_ascii_case("true")) {
            return None;
        }
        let is_on = self.of_variable(EXPORTER, true, "otlp or none", |said| match said {
            "otlp" => Some(true),
            "none" => Some(false),
            _ => None,
        });
        let name = ENDPOINTS.into_iter().find(|name| self.variable(name).is_some())?;
        if !is_on {
            return None;
        }
        self.of_variable(name, (), "an address like http://localhost:4318", is_address);
        let name = PROTOCOLS.into_iter().find(|name| self.variable(name).is_some()).unwrap_or(PROTOCOLS[1]);
        let protocol = self.of_variable(name, OtlpProtocol::Http, "grpc or http/protobuf", |said| match said {
            "grpc" => Some(OtlpProtocol::Grpc),
            "http/protobuf" => Some(OtlpProtocol::Http),
            _ => None,
        });
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

    fn number(&mut self, name: &str, default: usize, bounds: std::ops::RangeInclusive<usize>) -> usize {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.of_variable(name, default, &expected, |said| said.parse().ok().filter(|number| bounds.contains(number)))
    }

    /// An empty variable is one that is not set, by OpenTelemetry's rules.
    fn variable(&self, name: &str) -> Option<&str> {
        self.layers.env.get(name).map(|said| said.trim()).filter(|said| !said.is_empty())
    }

    fn of_variable<T>(&mut self, name: &str, default: T, expected: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let Some(said) = self.variable(name) else { return default };
        match read(said) {
            Some(value) => value,
            None => {
                let error = format!("environment: `{name}` is `{said}`: expected {expected}");
                self.errors.push(error);
                default
            }
        }
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

fn is_address(said: &str) -> Option<()> {
    let address = url::Url::parse(said).ok()?;
    (matches!(address.scheme(), "http" | "https") && address.host().is_some()).then_some(())
}
