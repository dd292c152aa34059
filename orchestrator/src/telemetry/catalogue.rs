//! All metrics of the process: described to the recorder, and printed as the page `docs/metrics.md`.

mod own;

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use saga_base::metric_info::{MetricInfo, MetricKind};

/// The parts of the page: who records, and what.
pub(super) const PARTS: [(&str, &[MetricInfo]); 4] = [
    ("Sagas, shards, records and the event store", saga_engine::metric_catalogue::METRICS),
    ("Guards and participants", saga_resilience::metric_catalogue::METRICS),
    ("The process and the whole installation", own::METRICS),
    ("Clients of Kafka", saga_kafka::metric_catalogue::METRICS),
];

/// Every metric that this process may record.
pub(super) fn all() -> impl Iterator<Item = &'static MetricInfo> {
    PARTS.iter().flat_map(|(_, metrics)| metrics.iter())
}

/// Gives the histograms that have them their own buckets; those of durations have `seconds` instead, if it is given.
pub(super) fn set_buckets(
    builder: PrometheusBuilder,
    seconds: Option<&[f64]>,
) -> Result<PrometheusBuilder, BuildError> {
    let own = all().filter_map(|metric| Some((metric, metric.buckets?)));
    let bounded = own.filter(|(metric, _)| seconds.is_none() || metric.unit() != Some("seconds"));
    bounded.into_iter().try_fold(builder, |builder, (metric, bounds)| {
        builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
    })
}

/// Tells the installed recorder what each metric is: a scrape has it as the line `# HELP`.
pub(super) fn describe() {
    for metric in all() {
        match metric.kind {
            MetricKind::Counter => describe_counter!(metric.name, metric.plain_help()),
            MetricKind::Gauge => describe_gauge!(metric.name, metric.plain_help()),
            MetricKind::Histogram => describe_histogram!(metric.name, metric.plain_help()),
        }
    }
}

#[cfg(test)]
mod tests;
