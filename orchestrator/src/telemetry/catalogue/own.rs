//! The metrics of the process, most of them at a scrape.

use saga_base::metric_info::MetricInfo;

/// Every metric that this package itself records.
pub(super) static METRICS: &[MetricInfo] = &[
    MetricInfo::counter(
        "saga_slow_operations_total",
        &["operation"],
        "operations that took `telemetry.slowOperation` or longer: `commit`, `call`, `read`; `/monitoring/performance` \
         lists the last 100",
    ),
    MetricInfo::counter(
        "saga_login_refusals_total",
        &["class"],
        "logins to the API that were refused, by the check that failed: `expired`, `wrong signature`, `unknown or \
         expired key`, …",
    ),
    MetricInfo::gauge(
        "saga_dead_letters_open",
        &[],
        "dead letters of the whole installation that nobody has redriven or discarded: every engine reports the same \
         number, so take the maximum",
    ),
    MetricInfo::gauge("saga_dead_letters_oldest_open_seconds", &[], "age of the oldest of them; 0 if there is none"),
    MetricInfo::gauge(
        "saga_kafka_lag_seconds",
        &["consumer", "topic"],
        "age of the oldest record that was read and is not finished, by its timestamp; 0 if there is none",
    ),
    MetricInfo::gauge(
        "saga_open",
        &["saga", "status"],
        "open sagas (`parked compensating waiting running`), *of the whole installation*: every engine \
         reports the same number, so take the maximum",
    ),
    MetricInfo::gauge(
        "saga_open_oldest_seconds",
        &["saga", "status"],
        "age of the oldest open saga since its start; 0 if there is none",
    ),
    MetricInfo::gauge(
        "saga_open_unchanged_seconds",
        &["saga", "status"],
        "the longest time that an open saga has had its present status; 0 if there is none",
    ),
    MetricInfo::gauge(
        "saga_with_incidents",
        &["kind", "course"],
        "sagas with incidents of a kind: `late_success cancel_too_late overdue abandon_too_late unreadable \
         undo key_taken outcome other`; `undo` is an undo that gave up or was sent without the result of its \
         do. `course` is `open` or `ended`. Of the whole installation",
    ),
    MetricInfo::gauge("saga_shards", &[], "shards of the installation"),
    MetricInfo::gauge(
        "saga_shards_behind",
        &["why"],
        "shards of this engine that do not take their messages: `not claimed`, `full`, `returning`; see [a \
         shard that stands still](operations.md#a-shard-that-stands-still)",
    ),
    MetricInfo::gauge("saga_store_connections", &[], "connections that this engine may have to the database"),
    MetricInfo::gauge("saga_store_connections_in_use", &[], "connections to the database that are in use"),
    MetricInfo::gauge(
        "saga_feed_held_seconds",
        &[],
        "how long the oldest committed events have waited that the [feed](feed.md#when-the-feed-is-held-back) \
         cannot show yet",
    ),
    MetricInfo::gauge(
        "saga_events_topic_behind_seconds",
        &[],
        "how long the oldest event has waited that the [topic of all events](feed.md#the-topic-of-all-events) \
         does not have; 0 on engines that do not write it, so take the maximum",
    ),
    MetricInfo::counter(
        "saga_topics_made_anew_total",
        &["topic"],
        "the engine's own topics that were deleted while engines ran, and that an engine created again",
    ),
    MetricInfo::gauge(
        "saga_kafka_hindered",
        &["consumer"],
        "1 while `/health/ready` has a reason of this consumer, `triggers` or `shards`",
    ),
    MetricInfo::gauge(
        "saga_kafka_last_read_age_seconds",
        &["consumer"],
        "time since everything that is assigned could be read; up to 5 while the consumer is healthy",
    ),
    MetricInfo::gauge("saga_kafka_partitions_owned", &["consumer", "topic"], "partitions that this engine reads"),
    MetricInfo::gauge(
        "saga_kafka_partitions_paused",
        &["consumer", "topic", "reason"],
        "partitions of these that are paused; the reasons are those of [Health](operations.md#health)",
    ),
    MetricInfo::gauge(
        "saga_kafka_partitions_foreign",
        &["consumer"],
        "partitions of topics that the engine reads which a program that is not an engine holds; known to \
         engines that do not read all partitions",
    ),
    MetricInfo::gauge(
        "saga_kafka_partitions_unheld",
        &["consumer"],
        "partitions of topics that the engine reads which no member holds; known to engines that do not read \
         all partitions",
    ),
    MetricInfo::gauge(
        "saga_kafka_lag_records",
        &["consumer", "topic"],
        "offsets that can be read and are not finished",
    ),
    MetricInfo::gauge(
        "saga_kafka_held_back_records",
        &["consumer", "topic"],
        "offsets that an open transaction holds back",
    ),
    MetricInfo::counter("saga_spans_sent_total", &[], "spans that the collector of [traces](tracing.md) has taken"),
    MetricInfo::counter(
        "saga_spans_dropped_total",
        &["reason"],
        "spans that it has not: `queue`, more came than were sent; `collector`, it refused or did not answer",
    ),
];
