//! The metrics of Kafka's clients.

use saga_base::metric_info::MetricInfo;

/// Every metric that this package records.
pub static METRICS: &[MetricInfo] = &[
    MetricInfo::counter(
        "saga_kafka_sent_alone_total",
        &["topic"],
        "records that were refused in a batch and sent again alone",
    ),
    MetricInfo::counter(
        "saga_kafka_brokers_lost_total",
        &["client"],
        "times that a [client](operations.md#health) knew no broker any more and got the bootstrap servers \
         again: `triggers`, `shards`, `inspector` (of either), `ends`, `admin`, `producer`",
    ),
];
