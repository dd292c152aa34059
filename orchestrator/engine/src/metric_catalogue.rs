//! The metrics of the engine.

use saga_base::metric_info::MetricInfo;

/// A step may wait for guards, retries and people.
const STEP_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0];
/// A saga lasts from milliseconds to days.
const SAGA_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 3600.0, 86_400.0];
/// Up to the most that one transaction has.
const BATCH_ROWS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 256.0];

/// Every metric that this package records.
pub static METRICS: &[MetricInfo] = &[
    MetricInfo::counter(
        "saga_started_total",
        &["saga"],
        "sagas that this engine started. Labels that are names come from the files of this engine; what they do not \
         have is `other`",
    ),
    MetricInfo::counter("saga_ended_total", &["saga", "end"], "sagas that ended: `completed compensated abandoned`"),
    MetricInfo::histogram(
        "saga_duration_seconds",
        &["saga", "end"],
        "from the start of a saga to its end, parked times included",
    )
    .with_buckets(SAGA_SECONDS),
    MetricInfo::histogram(
        "saga_step_duration_seconds",
        &["saga", "step", "direction", "outcome"],
        "from the beginning of the work on a step to its result, guards and retries included: `do` or `undo`, \
         `succeeded rejected failed unknown`",
    )
    .with_buckets(STEP_SECONDS),
    MetricInfo::counter(
        "saga_errors_total",
        &["class"],
        "attempts and steps that failed, by the [class](participants-reference.md#classes-of-failures) of the failure: `network \
         timeout rate_limit server_error client_error validation unknown`; `engine` if the engine found it, such as a \
         `check` that is false",
    ),
    MetricInfo::counter("saga_retries_total", &["participant"], "attempts after the first of their command"),
    MetricInfo::counter(
        "saga_idempotency_hits_total",
        &["kind"],
        "what came again and had no second effect: `start`, a trigger with a key that is taken; `otherPayload`, the \
         same with another payload; `reply`, an answer to a settled command; `act`, an act of an operator",
    ),
    MetricInfo::histogram("saga_commit_batch_rows", &[], "rows that went into one transaction of the journal")
        .with_buckets(BATCH_ROWS),
    MetricInfo::counter("saga_records_total", &["topic"], "records of trigger topics that were evaluated"),
    MetricInfo::counter("saga_replies_total", &[], "replies that were read"),
    MetricInfo::counter("saga_dlq_total", &["code"], "dead letters"),
    MetricInfo::counter(
        "saga_dead_letters_followed_total",
        &[],
        "letters that [the table](dead-letters.md#the-table) got",
    ),
    MetricInfo::gauge(
        "saga_dead_letters_behind",
        &["topic"],
        "records of the dead letter topic that the table does not have yet",
    ),
    MetricInfo::gauge("saga_dead_letters_stopped", &["topic"], "1 while the table cannot follow the topic"),
    MetricInfo::counter(
        "saga_dlq_again_total",
        &["code"],
        "dead letters that were produced again with their headers and cannot be processed again; each gets a new one, 20 times",
    ),
    MetricInfo::counter(
        "saga_replayed_ignored_total",
        &["kind"],
        "records with the header `ce_replay` that were ignored, `trigger` or `reply`: [published once \
         more](replay.md#publish-recorded-events-again)",
    ),
    MetricInfo::counter(
        "saga_duplicates_total",
        &["other_payload"],
        "triggers whose key was taken; `yes`: [with another payload](operations.md#keys-that-are-taken)",
    ),
    MetricInfo::counter("saga_commits_total", &[], "transactions that wrote rows of the journal"),
    MetricInfo::counter("saga_commit_rows_total", &[], "rows that were brought to the journal"),
    MetricInfo::histogram("saga_commit_seconds", &[], "transactions of the journal, retries included"),
    MetricInfo::gauge(
        "saga_store_confirmed_write_timestamp_seconds",
        &[],
        "when the database confirmed the last heartbeat of this engine, in seconds since 1970: `time()` minus \
         this is the time without a confirmation",
    ),
    MetricInfo::counter(
        "saga_store_write_failures_total",
        &[],
        "writes that were tried and not confirmed; the engine tries each again",
    ),
    MetricInfo::counter(
        "saga_store_stepped_back_total",
        &[],
        "times that the engine found that the database had [lost \
         commits](operations.md#a-database-that-lost-commits)",
    ),
    MetricInfo::counter(
        "saga_archived_replies_total",
        &[],
        "late answers to sagas that [have left the event store](operations.md#retention)",
    ),
    MetricInfo::counter(
        "saga_lost_total",
        &[],
        "sagas that were open on this engine and are not in the database any more",
    ),
    MetricInfo::gauge("saga_shards_owned", &[], "shards of this engine"),
    MetricInfo::counter(
        "saga_handed_to_inbox_total",
        &[],
        "inputs for shards of this engine that went to the inbox, because their shard did not take them",
    ),
    MetricInfo::gauge(
        "saga_projection_failed",
        &["projection"],
        "1: the [projection](replay.md#projections) does not go on; `saga projections` says why",
    ),
    MetricInfo::gauge(
        "saga_events_topic_stopped",
        &[],
        "1: the topic of all events gets nothing, because of a record or the event store; `/health/ready` \
         says why under `eventsTopic`. If the topic itself takes nothing, `saga_topic_refuses` is 1",
    ),
    MetricInfo::counter(
        "saga_events_topic_records_total",
        &[],
        "records that the topic of all events has got, repeats included",
    ),
    MetricInfo::counter(
        "saga_events_topic_data_omitted_total",
        &[],
        "records for the topic of all events that were too large and went without their data",
    ),
    MetricInfo::counter(
        "saga_events_topic_skipped_total",
        &[],
        "times that events had left the feed before the topic of all events got them",
    ),
    MetricInfo::gauge(
        "saga_schema_registry_unavailable",
        &[],
        "1: records wait for the [schema registry](schemas.md#when-the-registry-does-not-answer); \
         `/health/ready` says since when and why under `schemaRegistry`",
    ),
    MetricInfo::counter(
        "saga_schema_registry_failures_total",
        &[],
        "requests to the schema registry that got no answer, or a refusal",
    ),
    MetricInfo::counter("saga_shard_fenced_total", &[], "times that another engine claimed a shard of this engine"),
    MetricInfo::counter("saga_conflicts_total", &[], "decisions that met another writer's row and were made again"),
    MetricInfo::counter("saga_forwarded_total", &[], "inputs that were handed on through the inbox"),
    MetricInfo::counter(
        "saga_inputs_ignored_total",
        &["reason"],
        "inputs that changed nothing: late, repeated or stale ones",
    ),
    MetricInfo::counter(
        "saga_fallbacks_total",
        &["participant", "step", "kind"],
        "steps that a [fallback](definitions.md#fallbacks-and-remembered-answers) answered for; `kind` is its \
         key",
    ),
    MetricInfo::counter(
        "saga_answer_cache_total",
        &["outcome"],
        "steps with a `cache`: `hit`, answered from the cache; `miss`, the participant was asked",
    ),
    MetricInfo::counter(
        "saga_incidents_total",
        &["kind"],
        "[incidents](operations.md#parked-sagas), when they are opened: `late_success cancel_too_late overdue \
         abandon_too_late unreadable undo key_taken outcome other`",
    ),
    MetricInfo::counter(
        "saga_offsets_lost_total",
        &[],
        "records that disappeared from a topic before they were read, as far as that is known: see [topics \
         that are made anew](operations.md#topics-that-are-made-anew)",
    ),
    MetricInfo::counter(
        "saga_logs_replaced_total",
        &["topic"],
        "partitions whose log turned out to be another one: the topic was recreated, or an election lost its \
         newest records",
    ),
    MetricInfo::gauge(
        "saga_topics_left",
        &[],
        "trigger topics that this engine leaves to engines with the published files",
    ),
    MetricInfo::gauge(
        "saga_deadlines_stand_still",
        &[],
        "1 while no answer can be read: see [Outages](operations.md#outages)",
    ),
    MetricInfo::counter("saga_outage_seconds_total", &[], "how long deadlines stood still, in outages that are over"),
    MetricInfo::counter(
        "saga_kafka_sent_again_total",
        &["topic"],
        "records that the broker did not acknowledge in time and that the engine sent again",
    ),
    MetricInfo::gauge(
        "saga_clock_ahead_of_store_seconds",
        &[],
        "how far this engine's clock is ahead of the event store's clock; negative: behind",
    ),
    MetricInfo::counter(
        "saga_snapshots_total",
        &["outcome"],
        "[snapshots of long journals](replay.md#snapshots-of-long-journals): `written`, `used`, `skipped` \
         (two are being written), `tooLarge` (over 4 MiB), `failed` (the store did not take it)",
    ),
    MetricInfo::counter(
        "saga_snapshots_ignored_total",
        &["reason"],
        "snapshots that were not used, so that the journal was read whole: `format`, `unreadable`, `row`, \
         `definition`, `journal`, `missing`",
    ),
    MetricInfo::counter("saga_unreadable_total", &[], "sagas whose journal cannot be read"),
    MetricInfo::counter("saga_panics_total", &[], "sagas that made the engine panic and were parked"),
    MetricInfo::counter(
        "saga_participants_reloads_total",
        &["outcome"],
        "files that the running engine took (`changed`) or refused as a whole (`refused`)",
    ),
    MetricInfo::counter(
        "saga_traces_dropped_total",
        &["reason"],
        "traces of sagas that were not exported: `queue`, too many were asked for at once; `journal`, the \
         saga cannot be read",
    ),
    MetricInfo::counter(
        "saga_not_forwarded_total",
        &[],
        "inputs that the inbox refuses because they are too large; they are had again by reading or asking \
         again",
    ),
    MetricInfo::counter(
        "saga_stopped_total",
        &[],
        "decisions that cannot be trusted or written: their sagas are parked",
    ),
    MetricInfo::counter(
        "saga_unlisted_ranges_total",
        &[],
        "ranges of open sagas whose read model is damaged: each saga of them goes on only when something \
         happens to it",
    ),
];
