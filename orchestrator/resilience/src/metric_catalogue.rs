//! The metrics of the guards and the calls.

use saga_base::metric_info::MetricInfo;

/// Every metric that this package records.
pub static METRICS: &[MetricInfo] = &[
    MetricInfo::gauge("saga_topic_refuses", &["topic"], "1 while a topic takes no records of this engine"),
    MetricInfo::gauge(
        "saga_topic_waiting",
        &["topic"],
        "what waits for the topic in this engine: commands, publications, dead letters (of each partition the \
         first), forwarded inputs",
    ),
    MetricInfo::counter(
        "saga_topic_refusals_total",
        &["topic"],
        "records that the topic did not take, for a reason that is not the record's",
    ),
    MetricInfo::counter(
        "saga_addresses_refused_total",
        &["participant", "rule"],
        "addresses of participants that may not be called: `cloud_metadata link_local this_network multicast broadcast \
         not_listed`; nothing was sent to them",
    ),
    MetricInfo::counter(
        "saga_token_requests_total",
        &["participant", "outcome"],
        "requests for tokens of participants with client credentials: `issued`, `refused` (the issuer says no), \
         `unreachable` (no answer, or none with a token in it)",
    ),
    MetricInfo::gauge(
        "resilience4j_circuitbreaker_state",
        &["name", "state"],
        "1 for the state of the breaker, 0 for the others: `closed open half_open forced_open disabled \
         metrics_only`; `disabled` is forced closed",
    ),
    MetricInfo::histogram(
        "resilience4j_circuitbreaker_calls_seconds",
        &["name", "kind"],
        "calls that were sent: `successful`, `failed`, `ignored` (the result says nothing about the \
         participant). A business refusal is successful",
    ),
    MetricInfo::counter(
        "resilience4j_circuitbreaker_not_permitted_calls_total",
        &["name", "kind"],
        "calls that the breaker did not let through",
    ),
    MetricInfo::gauge(
        "resilience4j_circuitbreaker_buffered_calls",
        &["name", "kind"],
        "calls in the breaker's window, `successful` and `failed`",
    ),
    MetricInfo::gauge(
        "resilience4j_circuitbreaker_slow_calls",
        &["name", "kind"],
        "slow calls among them; `kind` is `all`",
    ),
    MetricInfo::gauge(
        "resilience4j_circuitbreaker_failure_rate",
        &["name"],
        "share of failed calls in the breaker's window, in percent; -1 below the minimum of calls",
    ),
    MetricInfo::gauge(
        "resilience4j_circuitbreaker_slow_call_rate",
        &["name"],
        "share of slow calls in the breaker's window, in percent; -1 below the minimum of calls",
    ),
    MetricInfo::counter(
        "resilience4j_retry_calls_total",
        &["name", "kind"],
        "commands that ended: `successful_without_retry`, `successful_with_retry`, `failed_without_retry`, \
         `failed_with_retry`",
    ),
    MetricInfo::gauge("resilience4j_bulkhead_max_allowed_concurrent_calls", &["name"], "permits of the bulkhead"),
    MetricInfo::gauge("resilience4j_bulkhead_available_concurrent_calls", &["name"], "free permits of the bulkhead"),
    MetricInfo::gauge(
        "resilience4j_ratelimiter_available_permissions",
        &["name"],
        "calls that the rate limit permits now",
    ),
    MetricInfo::gauge("resilience4j_ratelimiter_waiting_threads", &["name"], "commands that wait for the rate"),
    MetricInfo::gauge(
        "saga_guard_parked",
        &["participant", "guard"],
        "sagas that the guard holds back, *of the whole installation*: every engine reports the same number, \
         so take the maximum",
    ),
    MetricInfo::histogram(
        "saga_guard_wait_seconds",
        &["participant", "guard"],
        "how long a guard held commands that then continued: in memory (`rateLimit`, `bulkhead`), or in the \
         wait queue of this engine, until the engine called them",
    ),
    MetricInfo::counter(
        "saga_guard_stale_results_total",
        &["participant"],
        "results that were not counted because they belong to an earlier state of the breaker",
    ),
    MetricInfo::counter(
        "saga_endpoint_ejections_total",
        &["participant", "endpoint"],
        "times that an endpoint was ejected because it failed again and again",
    ),
    MetricInfo::counter(
        "saga_health_checks_total",
        &["participant", "outcome"],
        "rounds of health checks: `passed`, `failed`",
    ),
    MetricInfo::gauge(
        "saga_participant_healthy",
        &["participant"],
        "0 while health checks find the participant unhealthy, else 1; only of participants that are checked",
    ),
    MetricInfo::counter(
        "saga_guard_probes_expired_total",
        &["participant"],
        "probes that did not come back in their time",
    ),
    MetricInfo::gauge("saga_retry_budget_balance", &["participant"], "attempts that the retry budget still has"),
    MetricInfo::gauge("saga_guard_share", &["participant"], "share of the capacity that is used, 0 to 1"),
    MetricInfo::gauge(
        "saga_participant_lifecycle",
        &["participant", "phase"],
        "1 for the phase of the participant, 0 for the others: `registered starting running degraded stopping \
         failed`",
    ),
];
