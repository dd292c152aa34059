//! The keys of the guards.

use super::super::{MapSchema, ValueRule, key, required};

const DURATION: ValueRule = ValueRule::Duration;

pub(crate) static BREAKER: MapSchema = MapSchema {
    name: "a breaker",
    title: "Circuit breaker",
    keys: &[
        key("failureRate", ValueRule::Share, "Share of failed calls from which on it opens.", "0.5", "0.3"),
        key("slowCall", DURATION, "A call that takes longer is slow. None is by default.", "", "\"2s\""),
        key("slowCallRate", ValueRule::Share, "Share of slow calls from which on it opens.", "1.0", "0.8"),
        key(
            "consecutiveFailures",
            ValueRule::Integer(1),
            "So many failures in a row open it, whatever the rate.",
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
            "Which calls the rates count: those of a span, or the last so many.",
            "\"30s\"",
            "100",
        ),
        key("openFor", DURATION, "How long it refuses before it lets probes through.", "\"10s\"", "\"30s\""),
        key(
            "maxOpenFor",
            DURATION,
            "The longest: each time that it opens again without having been closed doubles the time.",
            "\"2m\"",
            "\"5m\"",
        ),
        key("probes", ValueRule::Integer(1), "How many calls may find out at once whether it is back.", "3", "5"),
        key(
            "successes",
            ValueRule::Integer(1),
            "How many of them have to succeed before it closes. As many as `probes`.",
            "",
            "2",
        ),
        key("probeTimeout", DURATION, "How long a probe keeps its place at most.", "\"1m\"", "\"30s\""),
        key(
            "ramp",
            ValueRule::Either(&[DURATION, ValueRule::Bool]),
            "How long it takes after closing until everyone is let through again. `false`: at once.",
            "\"10s\"",
            "\"30s\"",
        ),
        key(
            "shedAbove",
            ValueRule::Number,
            "Sheds load before it opens: above this times the calls that were accepted lately. It does not by default.",
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
            "Calls that wait in memory for a place. 16 for each place by default.",
            "",
            "1000",
        ),
        key(
            "maxWait",
            DURATION,
            "How long one waits in memory before it is recorded as waiting; at most 1s.",
            "\"1s\"",
            "\"200ms\"",
        ),
        key(
            "adaptive",
            ValueRule::Either(&[ValueRule::Bool, ValueRule::Shape(&ADAPTIVE)]),
            "The limit moves by how the participant answers. `true`: between a sixteenth of `limit` and `limit`.",
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
        required("calls", ValueRule::Integer(1), "So many calls.", "100"),
        key("per", DURATION, "Within this span.", "\"1s\"", "\"10s\""),
        key(
            "burst",
            ValueRule::Integer(1),
            "So many may come at once after a pause. Those of a second by default.",
            "",
            "20",
        ),
    ],
};

pub(crate) static RETRY_BUDGET: MapSchema = MapSchema {
    name: "a retry budget",
    title: "Retry budget",
    keys: &[
        key("share", ValueRule::Share, "Further attempts for each first one, on average.", "0.2", "0.1"),
        key("reservePerSecond", ValueRule::Integer(0), "So many a second are allowed in any case.", "10", "5"),
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
            "For so long after its breaker tripped and closed again. Only by hand by default.",
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
            "GET on this URL; a 2xx answer is healthy. `${ env.NAME }` may stand in it.",
            "",
            "\"http://inventory:8080/health\"",
        ),
        key("connect", ValueRule::Bool, "An accepted connection to each endpoint is healthy (HTTP).", "", "true"),
        key("interval", DURATION, "From one check to the next; an answer holds for so long.", "\"30s\"", "\"10s\""),
        key("timeout", DURATION, "For one check; at most the interval.", "\"5s\"", "\"2s\""),
        key("unhealthyAfter", ValueRule::Integer(1), "So many failed checks in a row make it unhealthy.", "3", "2"),
        key("healthyAfter", ValueRule::Integer(1), "So many passed checks in a row make it healthy again.", "1", "2"),
    ],
};
