//! Logs and metrics of the process.

mod catalogue;
mod lines;
pub(crate) mod otlp;

use lines::LogLineWriter;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Text, for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A text that filters log lines, as it was given.
///
/// # Errors
/// When it is none.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    let expected =
        "expected a level (error, warn, info, debug, trace, off) or MODULE=LEVEL, several separated by commas";
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| format!("{error}: {expected}"))
}

/// Sends log lines to stderr, filtered by `filter` (`info`, `saga_orchestrator=debug`, …). A second call changes
/// nothing.
pub(crate) fn start(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || LogLineWriter::new(std::io::stderr(), format))
        .with_ansi(false);
    let started = match format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    // A subscriber that a test has installed before stays.
    drop(started);
}

/// Starts recording metrics; what was counted before is lost. Histograms of durations have the buckets `seconds`, or
/// each its own. A second call changes nothing.
pub(crate) fn record_metrics(seconds: Option<&[f64]>) {
    const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
    let builder = PrometheusBuilder::new().set_buckets(seconds.unwrap_or(&SECONDS));
    let with_buckets = builder.and_then(|builder| catalogue::set_buckets(builder, seconds));
    let Ok(builder) = with_buckets else { return };
    if let Ok(handle) = builder.install_recorder() {
        catalogue::describe();
        drop(METRICS.set(handle));
    }
}

/// The recorded metrics; `None` before [`start`].
#[must_use]
pub(crate) fn metrics() -> Option<PrometheusHandle> {
    METRICS.get().cloned()
}
