//! How the variables of OpenTelemetry (`OTEL_*`) are read: an empty one is not set, and a general one counts where none
//! is set for the signal alone.

use super::ConfigValidator;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// What is told: its variables have its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OtelSignal {
    /// Spans.
    Traces,
    /// Numbers.
    Metrics,
}

/// How spans and metrics are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protocol buffers over HTTP.
    Http,
}

impl OtelSignal {
    fn word(self) -> &'static str {
        match self {
            OtelSignal::Traces => "TRACES",
            OtelSignal::Metrics => "METRICS",
        }
    }

    /// The variable of this signal alone, and the one of all.
    fn variables(self, what: &str) -> [String; 2] {
        [format!("OTEL_EXPORTER_OTLP_{}_{what}", self.word()), format!("OTEL_EXPORTER_OTLP_{what}")]
    }
}

/// The values of headers for collectors: they are credentials.
pub(super) fn secrets_of(env: &BTreeMap<String, String>) -> Vec<String> {
    let names = [OtelSignal::Traces, OtelSignal::Metrics].map(|signal| signal.variables("HEADERS"));
    let pairs = names.iter().flatten().filter_map(|name| env.get(name)).flat_map(|pairs| pairs.split(','));
    pairs.filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.trim().to_owned()).collect()
}

impl ConfigValidator<'_> {
    /// The variable with the collector's address, if the signal is to be sent.
    pub(super) fn otel_endpoint(&mut self, signal: OtelSignal) -> Option<String> {
        const DISABLED: &str = "OTEL_SDK_DISABLED";
        if self.variable(DISABLED).is_some_and(|said| said.eq_ignore_ascii_case("true")) {
            return None;
        }
        let exporter = format!("OTEL_{}_EXPORTER", signal.word());
        let expected = match signal {
            OtelSignal::Traces => "otlp or none",
            OtelSignal::Metrics => "otlp, prometheus (only `/metrics`) or none",
        };
        let is_on = self.of_variable(&exporter, true, expected, |said| match (said, signal) {
            ("otlp", _) => Some(true),
            ("none", _) | ("prometheus", OtelSignal::Metrics) => Some(false),
            _ => None,
        });
        let name = self.set_for(signal, "ENDPOINT");
        if !is_on || self.variable(&name).is_none() {
            return None;
        }
        self.of_variable(&name, (), "an address like http://localhost:4318", is_address);
        Some(name)
    }

    pub(super) fn otlp_protocol(&mut self, signal: OtelSignal) -> OtlpProtocol {
        let name = self.set_for(signal, "PROTOCOL");
        self.of_variable(&name, OtlpProtocol::Http, "grpc or http/protobuf", |said| match said {
            "grpc" => Some(OtlpProtocol::Grpc),
            "http/protobuf" => Some(OtlpProtocol::Http),
            _ => None,
        })
    }

    /// Headers of each request, their values decoded.
    pub(super) fn otlp_headers(&mut self, signal: OtelSignal) -> Vec<(String, String)> {
        let name = self.set_for(signal, "HEADERS");
        let pairs = self.variable(&name).unwrap_or_default().split(',').filter(|pair| !pair.trim().is_empty());
        let read: Option<Vec<(String, String)>> = pairs.map(header).collect();
        read.unwrap_or_else(|| {
            self.errors
                .push(format!("environment: `{name}`: expected `name=value,name=value`, values percent-encoded"));
            Vec::new()
        })
    }

    /// Milliseconds that a request may take.
    pub(super) fn otlp_timeout_ms(&mut self, signal: OtelSignal) -> usize {
        let name = self.set_for(signal, "TIMEOUT");
        self.number(&name, 10_000, 1..=300_000)
    }

    pub(super) fn number(&mut self, name: &str, default: usize, bounds: std::ops::RangeInclusive<usize>) -> usize {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        self.of_variable(name, default, &expected, |said| said.parse().ok().filter(|number| bounds.contains(number)))
    }

    /// The variable of the signal alone if it is set, else the one of all.
    fn set_for(&self, signal: OtelSignal, what: &str) -> String {
        let [own, general] = signal.variables(what);
        if self.variable(&own).is_some() { own } else { general }
    }

    /// An empty variable is one that is not set, by OpenTelemetry's rules.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.layers.env.get(name).map(|said| said.trim()).filter(|said| !said.is_empty())
    }

    pub(super) fn of_variable<T>(
        &mut self,
        name: &str,
        default: T,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Some(said) = self.variable(name) else { return default };
        match read(said) {
            Some(value) => value,
            None => {
                let error = format!("environment: `{name}` is `{said}`: expected {expected}");
                // Traces and metrics share variables.
                if !self.errors.contains(&error) {
                    self.errors.push(error);
                }
                default
            }
        }
    }
}

fn header(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let name = axum::http::HeaderName::try_from(name.trim()).ok()?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
    axum::http::HeaderValue::try_from(value.as_str()).ok()?;
    Some((name.to_string(), value))
}

fn is_address(said: &str) -> Option<()> {
    let address = url::Url::parse(said).ok()?;
    (matches!(address.scheme(), "http" | "https") && address.host().is_some()).then_some(())
}
