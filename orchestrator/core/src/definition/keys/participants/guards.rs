//! The keys of the guards.

use super::super::{MapSchema, ValueRule, key, required};

const DURATION: ValueRule = ValueRule::Duration;

pub(crate) static BREAKER: MapSchema = MapSchema {
    name: "a breaker",
    title: "Circuit breaker",
    keys: &[
        key("failureRate", ValueRule::Share, "Share of failed calls at which it opens.", "0.5", "0.3"),
        key("slowCall", DURATION, "A call that takes longer is slow. By default no call is slow.", "", "\"2s\""),
        key("slowCallRate", ValueRule::Share, "Share of slow calls at which it opens.", "1.0", "0.8"),
        key(
            "consecutiveFailures",
            ValueRule::Integer(1),
            "Failures in a row that open it, whatever the rate is.",
            "",
            "5",
        ),
        key(
            "minimumCalls",
            ValueRule::Integer(1),
            "Below this number of calls in the window no rate opens it.",
            "10",
            "20",
        ),
        key(
            "window",
            ValueRule::Either(&[DURATION, ValueRule::Integer(1)]),
            "The calls that the rates count: those of a time span, or a number of last calls.",
            "\"30s\"",
            "100",
        ),
        key("openFor", DURATION, "How long it refuses before it lets probes through.", "\"10s\"", "\"30s\""),
        key(
            "maxOpenFor",
            DURATION,
            "Longest open time. The time doubles each time that it opens again without having closed.",
            "\"2m\"",
            "\"5m\"",
        ),
        key("probes", ValueRule::Integer(1), "Probes that may run at the same time while it is half-open.", "3", "5"),
        key(
            "successes",
            ValueRule::Integer(1),
            "Probes that must succeed before it closes. By default as many as `probes`.",
            "",
            "2",
        ),
        key("probeTimeout", DURATION, "Longest time that a probe keeps its place.", "\"1m\"", "\"30s\""),
        key(
            "ramp",
            ValueRule::Either(&[DURATION, ValueRule::Bool]),
            "How long after closing it still refuses a falling share of the calls. `false`: it refuses none.",
            "\"10s\"",
            "\"30s\"",
        ),
        key(
            "shedAbove",
            ValueRule::Number,
            "Refuses a share of the calls before it opens, when calls exceed this factor times the calls that were accepted recently. Off by default.",
            "",
            "2",
        ),
    ],
};

pub(crate) static BULKHEAD: MapSchema = MapSchema {
    name: "a bulkhead",
    title: "Bulkhead",
    keys: &[
        key(
            "limit",
            ValueRule::Integer(1),
            "Most calls under way at once. 64 over HTTP, 1024 over Kafka.",
            "64",
            "200",
        ),
        key(
            "maxWaiting",
            ValueRule::Integer(0),
            "Most calls that wait in memory for a place. 16 for each place by default.",
            "",
            "1000",
        ),
        key(
            "maxWait",
            DURATION,
            "How long a call waits in memory before it is recorded as waiting; at most 1s.",
            "\"1s\"",
            "\"200ms\"",
        ),
        key(
            "adaptive",
            ValueRule::Either(&[ValueRule::Bool, ValueRule::Shape(&ADAPTIVE)]),
            "The limit follows how the participant answers. `true`: between a sixteenth of `limit` and `limit`.",
            "false",
            "{\"min\": 4, \"start\": 16, \"max\": 64}",
        ),
    ],
};

pub(crate) static ADAPTIVE: MapSchema = MapSchema {
    name: "an adaptive limit",
    title: "Adaptive limit",
    keys: &[
        key("min", ValueRule::Integer(1), "The lowest limit. A sixteenth of the highest by default.", "", "4"),
        key("start", ValueRule::Integer(1), "The first limit. The highest by default.", "", "16"),
        key("max", ValueRule::Integer(1), "The highest limit; in place of `limit`.", "", "64"),
    ],
};

pub(crate) static RATE_LIMIT: MapSchema = MapSchema {
    name: "a rate limit",
    title: "Rate limit",
    keys: &[
        required("calls", ValueRule::Integer(1), "Number of calls.", "100"),
        key("per", DURATION, "Length of the time span.", "\"1s\"", "\"10s\""),
        key(
            "burst",
            ValueRule::Integer(1),
            "Calls that may come at once after a pause. By default the calls of one second.",
            "",
            "20",
        ),
    ],
};

pub(crate) static RETRY_BUDGET: MapSchema = MapSchema {
    name: "a retry budget",
    title: "Retry budget",
    keys: &[
        key("share", ValueRule::Share, "Further attempts for each first attempt, on average.", "0.2", "0.1"),
        key(
            "reservePerSecond",
            ValueRule::Integer(0),
            "Further attempts per second that are always allowed.",
            "10",
            "5",
        ),
    ],
};

pub(crate) static DEGRADED: MapSchema = MapSchema {
    name: "degraded mode",
    title: "Degraded mode",
    keys: &[
        key("share", ValueRule::Share, "Share of the places and of the rate.", "0.25", "0.5"),
        key(
            "afterTrip",
            DURATION,
            "How long it lasts after the breaker opened and closed again. By default only an operator starts it.",
            "",
            "\"5m\"",
        ),
    ],
};

pub(crate) static HEALTH: MapSchema = MapSchema {
    name: "a health check",
    title: "Health check",
    keys: &[
        key(
            "path",
            ValueRule::Text,
            "GET on this path of each endpoint; a 2xx answer is healthy (HTTP).",
            "",
            "\"health\"",
        ),
        key(
            "url",
            ValueRule::Text,
            "GET on this URL; a 2xx answer is healthy. `${ env.NAME }` is allowed in it.",
            "",
            "\"http://inventory:8080/health\"",
        ),
        key("connect", ValueRule::Bool, "An accepted connection to each endpoint is healthy (HTTP).", "", "true"),
        key("interval", DURATION, "Time from one check to the next.", "\"30s\"", "\"10s\""),
        key("timeout", DURATION, "For one check; at most the interval.", "\"5s\"", "\"2s\""),
        key("unhealthyAfter", ValueRule::Integer(1), "Failed checks in a row that make it unhealthy.", "3", "2"),
        key("healthyAfter", ValueRule::Integer(1), "Passed checks in a row that make it healthy again.", "1", "2"),
    ],
};
