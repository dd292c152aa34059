//! What a metric says of itself: each package lists the metrics that it records, and the binary describes all of them
//! to the recorder and prints their page. A test compares the lists with the sources.

/// How the values of a metric move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows; its name ends with `_total`.
    Counter,
    /// A state at the time of the scrape.
    Gauge,
    /// A distribution: buckets, a sum and a count.
    Histogram,
}

impl MetricKind {
    /// The word of Prometheus.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        }
    }
}

/// One family of metrics. Its name and labels never change once they are released: dashboards and alerts ask for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricInfo {
    /// The name, as it is scraped.
    pub name: &'static str,
    /// How its values move.
    pub kind: MetricKind,
    /// Names of its labels. Their values are bounded: words of this project, or names from the files of the engine.
    pub labels: &'static [&'static str],
    /// What it counts or measures, in Markdown; links are relative to `docs`.
    pub help: &'static str,
    /// Upper bounds of its buckets, where those for calls do not fit it.
    pub buckets: Option<&'static [f64]>,
}

impl MetricInfo {
    /// What only grows.
    #[must_use]
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricInfo {
        MetricInfo { name, kind: MetricKind::Counter, labels, help, buckets: None }
    }

    /// What goes up and down.
    #[must_use]
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricInfo {
        MetricInfo { name, kind: MetricKind::Gauge, labels, help, buckets: None }
    }

    /// What is distributed.
    #[must_use]
    pub const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricInfo {
        MetricInfo { name, kind: MetricKind::Histogram, labels, help, buckets: None }
    }

    /// The same with these buckets.
    #[must_use]
    pub const fn with_buckets(self, bounds: &'static [f64]) -> MetricInfo {
        MetricInfo { buckets: Some(bounds), ..self }
    }

    /// The unit that the name ends with, as Prometheus has it; `None`: it counts things.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes"].into_iter().find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
    }

    /// The help as text: without the targets of links and without back quotes.
    #[must_use]
    pub fn plain_help(&self) -> String {
        let mut plain = String::with_capacity(self.help.len());
        let mut rest = self.help;
        while let Some((before, link)) = rest.split_once("](") {
            plain.push_str(before);
            rest = link.split_once(')').map_or("", |(_, after)| after);
        }
        plain.push_str(rest);
        plain.replace(['[', '`'], "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shows_the_help_as_text() {
        let metric =
            MetricInfo::counter("saga_outage_seconds_total", &[], "see [Outages](operations.md#outages): `yes`");
        assert_eq!(metric.plain_help(), "see Outages: yes");
        assert_eq!(metric.unit(), Some("seconds"));
        assert_eq!(MetricInfo::gauge("saga_shards", &[], "shards").unit(), None);
    }
}
