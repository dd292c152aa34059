//! What a scrape shows, as metrics of OTLP: the same names, labels, buckets and numbers in both.
//!
//! The recorder's text is read because it is what operators see, with the series of removed participants left out. Its
//! form is that of Prometheus' text exposition format 0.0.4, and only what this recorder writes of it is read.

use crate::telemetry::catalogue;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric::Data,
        number_data_point::Value,
    },
};
use saga_base::metric_info::MetricKind;
use std::collections::BTreeMap;

/// Since when counters count, and when they were read: nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadingTimes {
    pub(super) since_ns: u64,
    pub(super) now_ns: u64,
}

/// One line of the text.
struct SampleLine<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

/// The buckets of one series, as they are read.
#[derive(Default)]
struct BucketDraft {
    bounds: Vec<f64>,
    /// Of each bound those below it, and of all.
    up_to: Vec<u64>,
    sum: f64,
    count: u64,
}

/// The families that the catalogue has, in its order; a family without series is left out.
pub(super) fn metrics(text: &str, times: ReadingTimes) -> Vec<Metric> {
    let mut lines: BTreeMap<&str, Vec<SampleLine<'_>>> = BTreeMap::new();
    for sample in text.lines().filter_map(sample) {
        lines.entry(family(sample.name)).or_default().push(sample);
    }
    let told = catalogue::all().filter_map(|metric| {
        let data = data(metric.kind, lines.remove(metric.name)?, times);
        let unit = match metric.unit() {
            Some("seconds") => "s",
            Some("bytes") => "By",
            Some(_) | None => "",
        };
        Some(Metric {
            name: metric.name.to_owned(),
            description: metric.plain_help(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        })
    });
    told.collect()
}

fn data(kind: MetricKind, lines: Vec<SampleLine<'_>>, times: ReadingTimes) -> Data {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    match kind {
        MetricKind::Counter => {
            let data_points = lines.into_iter().map(|line| number(line, times)).collect();
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
        }
        MetricKind::Gauge => {
            let data_points = lines.into_iter().map(|line| number(line, times)).collect();
            Data::Gauge(Gauge { data_points })
        }
        MetricKind::Histogram => {
            Data::Histogram(Histogram { data_points: buckets(lines, times), aggregation_temporality })
        }
    }
}

fn number(line: SampleLine<'_>, times: ReadingTimes) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(line.labels),
        start_time_unix_nano: times.since_ns,
        time_unix_nano: times.now_ns,
        value: Some(Value::AsDouble(line.value)),
        ..NumberDataPoint::default()
    }
}

fn buckets(lines: Vec<SampleLine<'_>>, times: ReadingTimes) -> Vec<HistogramDataPoint> {
    let mut series: BTreeMap<Vec<(&str, String)>, BucketDraft> = BTreeMap::new();
    for mut line in lines {
        let bound = line.labels.iter().position(|(name, _)| *name == "le").map(|at| line.labels.remove(at).1);
        let draft = series.entry(line.labels).or_default();
        match bound {
            Some(bound) => draft.bucket(&bound, line.value),
            None if line.name.ends_with("_sum") => draft.sum = line.value,
            None => draft.count = whole(line.value),
        }
    }
    series.into_iter().map(|(labels, draft)| draft.point(attributes(labels), times)).collect()
}

impl BucketDraft {
    fn bucket(&mut self, bound: &str, up_to: f64) {
        // The last bucket has no bound in OTLP.
        if let Some(bound) = bound.parse().ok().filter(|bound: &f64| bound.is_finite()) {
            self.bounds.push(bound);
        }
        self.up_to.push(whole(up_to));
    }

    fn point(self, attributes: Vec<KeyValue>, times: ReadingTimes) -> HistogramDataPoint {
        let before = std::iter::once(&0).chain(&self.up_to);
        let bucket_counts =
            self.up_to.iter().zip(before).map(|(up_to, before)| up_to.saturating_sub(*before)).collect();
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: times.since_ns,
            time_unix_nano: times.now_ns,
            count: self.count,
            sum: Some(self.sum),
            bucket_counts,
            explicit_bounds: self.bounds,
            ..HistogramDataPoint::default()
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole, and `as` saturates")]
fn whole(count: f64) -> u64 {
    count as u64
}

/// The name of the family that a series belongs to.
fn family(name: &str) -> &str {
    let parts = ["_bucket", "_sum", "_count"];
    let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
    of_histogram.filter(|name| catalogue::all().any(|it| it.name == *name)).unwrap_or(name)
}

fn sample(line: &str) -> Option<SampleLine<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    match series.split_once('{') {
        Some((name, labels)) => Some(SampleLine { name, labels: self::labels(labels.strip_suffix('}')?)?, value }),
        None => Some(SampleLine { name: series, labels: Vec::new(), value }),
    }
}

fn labels(mut text: &str) -> Option<Vec<(&str, String)>> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        labels.push((name, value));
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}

/// The text up to the quote that ends it, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next()? {
            '"' => return Some((value, rest.as_str())),
            '\\' => value.push(match rest.next()? {
                'n' => '\n',
                plain => plain,
            }),
            plain => value.push(plain),
        }
    }
}

fn attributes(labels: Vec<(&str, String)>) -> Vec<KeyValue> {
    let attribute = |(name, value): (&str, String)| KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    labels.into_iter().map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: ReadingTimes = ReadingTimes { since_ns: 1, now_ns: 2 };

    fn one(text: &str) -> Metric {
        let mut metrics = metrics(text, TIMES);
        assert_eq!(metrics.len(), 1, "{metrics:?}");
        metrics.remove(0)
    }

    fn texts(attributes: &[KeyValue]) -> Vec<(&str, &str)> {
        let text = |pair: &'_ KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => text.clone().leak() as &str,
            other => panic!("{other:?}"),
        };
        attributes.iter().map(|pair| (pair.key.as_str(), text(pair))).collect()
    }

    #[test]
    fn a_counter_is_a_monotonic_sum_since_the_start() {
        let metric = one("# TYPE saga_ended_total counter\nsaga_ended_total{saga=\"a,b} \\\"c\\\\\",end=\"x\"} 3\n");
        assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("saga_ended_total", ""));
        let Some(Data::Sum(sum)) = metric.data else { panic!("a sum") };
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
        let point = &sum.data_points[0];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
        assert_eq!(point.value, Some(Value::AsDouble(3.0)));
        assert_eq!(texts(&point.attributes), [("saga", "a,b} \"c\\"), ("end", "x")]);
    }

    #[test]
    fn buckets_of_a_histogram_count_what_is_in_them_alone() {
        let metric = one("\
saga_commit_seconds_bucket{le=\"0.1\"} 2
saga_commit_seconds_bucket{le=\"1\"} 5
saga_commit_seconds_bucket{le=\"+Inf\"} 6
saga_commit_seconds_sum 7.5
saga_commit_seconds_count 6
");
        assert_eq!(metric.unit, "s");
        let Some(Data::Histogram(histogram)) = metric.data else { panic!("a histogram") };
        let point = &histogram.data_points[0];
        assert_eq!(
            (point.bucket_counts.as_slice(), point.explicit_bounds.as_slice()),
            (&[2, 3, 1][..], &[0.1, 1.0][..])
        );
        assert_eq!((point.count, point.sum), (6, Some(7.5)));
    }

    #[test]
    fn what_the_catalogue_does_not_have_is_left_out() {
        assert_eq!(metrics("other_total 1\nsaga_ended_total{broken 1\nnonsense\n", TIMES), []);
    }
}
