//! The keys of participants.yaml.

mod failures;
mod guards;
mod transport;

pub(crate) use failures::{CLASSES, ERRORS, HANDLE, HANDLINGS};
pub(crate) use guards::{ADAPTIVE, BREAKER, BULKHEAD, DEGRADED, HEALTH, RATE_LIMIT, RETRY_BUDGET};
pub(crate) use transport::{EJECTION, ENDPOINT, HTTP, KAFKA, STRATEGIES};

use super::{Rule, Shape, key, required};
use crate::definition::participants::{Accepted, KeyForm, Kind};

pub(crate) static PARTICIPANTS: Shape = Shape {
    name: "participants.yaml",
    title: "Participants",
    keys: &[
        key(
            "$schema",
            Rule::Text,
            "Read by editors, ignored otherwise.",
            "",
            "\"../schemas/participants.schema.json\"",
        ),
        required(
            "participants",
            Rule::Named(&PARTICIPANT),
            "The services that perform commands, by the name that definitions use.",
            "{\"inventory\": {\"kafka\": {\"commands\": \"inventory.commands\"}}}",
        ),
    ],
};

const STATUSES: Rule = Rule::Either(&[Rule::Status, Rule::List(&Rule::Status)]);

pub(crate) static PARTICIPANT: Shape = Shape {
    name: "a participant",
    title: "Participant",
    keys: &[
        key("description", Rule::Text, "What it does, for people.", "", "\"Holds stock for orders.\""),
        key(
            "kafka",
            Rule::Shape(&KAFKA),
            "It takes commands from a topic. Either this or `http`.",
            "",
            "{\"commands\": \"inventory.commands\"}",
        ),
        key(
            "http",
            Rule::Shape(&HTTP),
            "It takes commands over HTTP. Either this or `kafka`.",
            "",
            "{\"url\": \"http://localhost:9001\"}",
        ),
        key(
            "kind",
            Rule::Choice(Kind::NAMES),
            "Kind of integration: timeouts, retries, breaker and interval of health checks that suit it, where the participant says nothing.",
            "",
            "\"database\"",
        ),
        key(
            "timeout",
            Rule::Duration,
            "For one attempt, from leaving the guard to the complete answer: 10s over HTTP, 30s over Kafka.",
            "",
            "\"5s\"",
        ),
        key("connectTimeout", Rule::Duration, "For opening a connection (HTTP).", "\"2s\"", "\"500ms\""),
        key(
            "idleTimeout",
            Rule::Duration,
            "How long an idle connection is used again (HTTP). A server that says `Keep-Alive: timeout=` may make it shorter.",
            "\"4s\"",
            "\"30s\"",
        ),
        key(
            "connectionMaxAge",
            Rule::Duration,
            "How old a connection may be and is used again (HTTP). After it the name is looked up anew.",
            "\"5m\"",
            "\"30s\"",
        ),
        key(
            "readTimeout",
            Rule::Duration,
            "For each piece of the answer, the first one included (HTTP). As long as the attempt by default.",
            "",
            "\"3s\"",
        ),
        key(
            "writeTimeout",
            Rule::Duration,
            "Until the request is written (HTTP). As long as the attempt by default.",
            "",
            "\"3s\"",
        ),
        key(
            "retry",
            Rule::Either(&[Rule::Choice(super::super::policies::PRESETS), Rule::Shape(&super::RETRY)]),
            "Retries of steps that say nothing, and whose saga says nothing.",
            "\"standard\"",
            "\"quick\"",
        ),
        key(
            "retryBudget",
            Rule::Shape(&RETRY_BUDGET),
            "How much further attempts may add to its load.",
            "{\"share\": 0.2, \"reservePerSecond\": 10}",
            "{\"share\": 0.1}",
        ),
        key(
            "breaker",
            Rule::Shape(&BREAKER),
            "When calls are refused because most of them fail.",
            "{\"failureRate\": 0.5, \"minimumCalls\": 10, \"window\": \"30s\", \"openFor\": \"10s\", \"probes\": 3}",
            "{\"openFor\": \"30s\"}",
        ),
        key(
            "bulkhead",
            Rule::Either(&[Rule::Integer(1), Rule::Shape(&BULKHEAD)]),
            "Most calls under way at once, from one engine; over Kafka until the reply. 64 over HTTP, 1024 over Kafka.",
            "64",
            "200",
        ),
        key(
            "rateLimit",
            Rule::Either(&[Rule::Pattern("^[1-9][0-9]* ?/ ?[smh]$"), Rule::Shape(&RATE_LIMIT)]),
            "Most calls in a span, from one engine: 100/s, 600/m, 1000/h. None by default.",
            "",
            "\"100/s\"",
        ),
        key(
            "degraded",
            Rule::Shape(&DEGRADED),
            "Working at a share of the capacity: by hand, or for a while after its breaker tripped.",
            "{\"share\": 0.25}",
            "{\"share\": 0.5, \"afterTrip\": \"5m\"}",
        ),
        key(
            "health",
            Rule::Shape(&HEALTH),
            "Asking it how it is; while it is unhealthy, steps wait. It is not asked by default.",
            "",
            "{\"path\": \"health\"}",
        ),
        key(
            "capabilities",
            Rule::List(&Rule::Pattern("^[a-z][a-z0-9-]{0,63}$")),
            "What it can do, for steps that name a capability instead of a participant.",
            "[]",
            "[\"text-analysis\"]",
        ),
        key(
            "dependsOn",
            Rule::List(&Rule::Text),
            "Participants of this file that it needs itself.",
            "[]",
            "[\"database\"]",
        ),
        key(
            "errors",
            Rule::Shape(&ERRORS),
            "Failures that are of another class than they usually are, and classes that are handled in another way.",
            "",
            "{\"classify\": {\"418\": \"rate_limit\"}, \"handle\": {\"client_error\": \"retry\"}}",
        ),
        key("retryOn", STATUSES, "Statuses that count as failed, and may be retried (HTTP).", "", "[409, \"5xx\"]"),
        key(
            "failOn",
            STATUSES,
            "Statuses that count as failed for good, and assert that nothing happened (HTTP).",
            "",
            "\"5xx\"",
        ),
        key(
            "accepted",
            Rule::Choice(Accepted::NAMES),
            "What a 202 without `Location` says: nothing of the outcome, or that it was done (HTTP).",
            "\"unknown\"",
            "\"succeeded\"",
        ),
        key(
            "idempotencyKey",
            Rule::Choice(KeyForm::NAMES),
            "How the header `Idempotency-Key` is written: as the command id, or as a UUID that is derived from it, for services that take letters, digits and hyphens only (HTTP).",
            "\"command-id\"",
            "\"uuid\"",
        ),
        key("maxAnswerBytes", Rule::Integer(1), "Largest answer that is read.", "1048576", "65536"),
        key(
            "headers",
            Rule::Headers,
            "Headers of every request. `${ env.NAME }` may stand in them; they are never recorded.",
            "{}",
            "{\"X-Tenant\": \"shop\"}",
        ),
        key(
            "authorization",
            Rule::Text,
            "The `Authorization` header of every request. `${ env.NAME }` may stand in it; it is never recorded.",
            "",
            "\"Bearer ${ env.PAYMENTS_TOKEN }\"",
        ),
    ],
};
