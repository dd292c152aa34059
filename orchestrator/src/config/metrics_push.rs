//! Metrics that are sent to a collector: by the variables of OpenTelemetry. Without an endpoint none are.

use super::{
    ConfigValidator, EngineConfigError,
    layers::ConfigLayers,
    otel::{OtelSignal, OtlpProtocol},
};
use std::{collections::BTreeMap, fmt, time::Duration};
use url::Url;

const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
/// Where a collector takes metrics over HTTP, below the address of all signals.
const PATH: &str = "v1/metrics";

/// Where metrics go, and how often.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MetricsPush {
    /// How they are sent.
    pub protocol: OtlpProtocol,
    /// The collector: over HTTP with the path.
    pub address: Url,
    /// Sent with each request; their values are credentials.
    pub headers: Vec<(String, String)>,
    /// Between two requests.
    pub interval: Duration,
    /// What a request may take.
    pub timeout: Duration,
}

impl fmt::Debug for MetricsPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("MetricsPush")
            .field("protocol", &self.protocol)
            .field("address", &self.address.host_str())
            .field("headers", &headers)
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// Reads only where metrics are sent, from the variables of OpenTelemetry alone; `None`: nowhere.
///
/// # Errors
/// When one of them is wrong.
pub(crate) fn metrics_push(env: BTreeMap<String, String>) -> Result<Option<MetricsPush>, EngineConfigError> {
    let layers = ConfigLayers::of_environment(env);
    let mut check = ConfigValidator::new(&layers);
    let push = check.metrics_push();
    if check.errors.is_empty() { Ok(push) } else { Err(EngineConfigError(check.errors)) }
}

impl ConfigValidator<'_> {
    /// `None`: no endpoint is set, or metrics are only scraped.
    pub(super) fn metrics_push(&mut self) -> Option<MetricsPush> {
        let endpoint = self.otel_endpoint(OtelSignal::Metrics)?;
        let protocol = self.otlp_protocol(OtelSignal::Metrics);
        let headers = self.otlp_headers(OtelSignal::Metrics);
        let interval = self.milliseconds(INTERVAL, 60_000, 100..=3_600_000);
        let timeout = self.otlp_timeout_ms(OtelSignal::Metrics);
        let said = self.variable(&endpoint)?;
        // What is wrong with it is told already.
        let mut address = Url::parse(said).ok()?;
        let is_whole = endpoint.contains("METRICS");
        if protocol == OtlpProtocol::Http && !is_whole {
            address.set_path(&format!("{}/{PATH}", address.path().trim_end_matches('/')));
        }
        Some(MetricsPush { protocol, address, headers, interval, timeout: from_ms(timeout) })
    }

    fn milliseconds(&mut self, name: &str, default: usize, bounds: std::ops::RangeInclusive<usize>) -> Duration {
        from_ms(self.number(name, default, bounds))
    }
}

fn from_ms(ms: usize) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ConfigSources, load},
        *,
    };

    fn read(variables: &[(&str, &str)]) -> Result<Option<MetricsPush>, Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, "shards: 8\n").expect("a file");
        let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = load(&ConfigSources { file: Some(&file), env, flags: Vec::new() });
        config.map(|config| config.metrics_push).map_err(|error| error.0)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/otlp/");

    #[test]
    fn metrics_are_sent_where_an_endpoint_is_set_and_nobody_says_no() {
        for off in ["none", "prometheus"] {
            assert_eq!(read(&[ENDPOINT, ("OTEL_METRICS_EXPORTER", off)]), Ok(None));
        }
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318")]), Ok(None));
        let on = read(&[ENDPOINT]).expect("right").expect("on");
        assert_eq!((on.address.as_str(), on.interval.as_secs()), ("http://collector:4318/otlp/v1/metrics", 60));
    }

    #[test]
    fn an_address_of_metrics_alone_is_taken_as_it_is() {
        let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://metrics.test/push");
        let headers = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "api-key=a%3Db, x-tenant = 7");
        let on = read(&[ENDPOINT, own, headers]).expect("right").expect("on");
        assert_eq!(on.address.as_str(), "https://metrics.test/push");
        assert_eq!(on.headers, [("api-key".into(), "a=b".into()), ("x-tenant".into(), "7".into())]);
        assert!(!format!("{on:?}").contains("a=b"), "a header is shown");
        let grpc = read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).expect("right").expect("on");
        assert_eq!(grpc.address.as_str(), "http://collector:4318/otlp/");
    }

    #[test]
    fn what_is_wrong_is_told_once() {
        for (name, value, expected) in [
            ("OTEL_METRICS_EXPORTER", "console", "otlp, prometheus (only `/metrics`) or none"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "grpc or http/protobuf"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1s", "a whole number from 100 to 3600000"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "a whole number from 1 to 300000"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "`name=value,name=value`"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "an address like"),
        ] {
            let told = read(&[ENDPOINT, (name, value)]).expect_err(name);
            assert!(told.len() == 1 && told[0].contains(name) && told[0].contains(expected), "{told:?}");
        }
    }
}
