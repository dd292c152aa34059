//! The keys of participants.yaml.

mod access;
mod failures;
mod guards;
mod transport;

pub(crate) use access::{AUTHORIZATION, CLIENT_CREDENTIALS, TLS};
pub(crate) use failures::{CLASSES, ERRORS, HANDLE, HANDLINGS};
pub(crate) use guards::{ADAPTIVE, BREAKER, BULKHEAD, DEGRADED, HEALTH, RATE_LIMIT, RETRY_BUDGET};
pub(crate) use transport::{EJECTION, ENDPOINT, HTTP, KAFKA, STRATEGIES};

use super::{MapSchema, ValueRule, key, required};
use crate::definition::participants::{AcceptedMeaning, IdempotencyKeyFormat, IntegrationKind};

pub(crate) static PARTICIPANTS: MapSchema = MapSchema {
    name: "participants.yaml",
    title: "Participants",
    keys: &[
        key(
            "$schema",
            ValueRule::Text,
            "Read by editors, ignored otherwise.",
            "",
            "\"../schemas/participants.schema.json\"",
        ),
        required(
            "participants",
            ValueRule::Named(&PARTICIPANT),
            "The services that perform commands, by the name that definitions use.",
            "{\"inventory\": {\"kafka\": {\"commands\": \"inventory.commands\"}}}",
        ),
    ],
};

const STATUSES: ValueRule = ValueRule::Either(&[ValueRule::Status, ValueRule::List(&ValueRule::Status)]);

pub(crate) static PARTICIPANT: MapSchema = MapSchema {
    name: "a participant",
    title: "Participant",
    keys: &[
        key("description", ValueRule::Text, "What it does, for people.", "", "\"Holds stock for orders.\""),
        key(
            "kafka",
            ValueRule::Shape(&KAFKA),
            "It takes commands from a topic. Either this or `http`.",
            "",
            "{\"commands\": \"inventory.commands\"}",
        ),
        key(
            "http",
            ValueRule::Shape(&HTTP),
            "It takes commands over HTTP. Either this or `kafka`.",
            "",
            "{\"url\": \"http://localhost:9001\"}",
        ),
        key(
            "kind",
            ValueRule::Choice(IntegrationKind::NAMES),
            "Kind of integration: timeouts, retries, breaker and interval of health checks that suit it, where the \
                participant says nothing.",
            "",
            "\"database\"",
        ),
        key(
            "timeout",
            ValueRule::Duration,
            "For one attempt, from leaving the guard to the complete answer: 10s over HTTP, 30s over Kafka.",
            "",
            "\"5s\"",
        ),
        key("connectTimeout", ValueRule::Duration, "For opening a connection (HTTP).", "\"2s\"", "\"500ms\""),
        key(
            "idleTimeout",
            ValueRule::Duration,
            "How long an idle connection is used again (HTTP). A server that says `Keep-Alive: timeout=` may make it \
                shorter.",
            "\"4s\"",
            "\"30s\"",
        ),
        key(
            "connectionMaxAge",
            ValueRule::Duration,
            "Age up to which a connection is used again (HTTP). A new connection resolves the host name again.",
            "\"5m\"",
            "\"30s\"",
        ),
        key(
            "readTimeout",
            ValueRule::Duration,
            "For each piece of the answer, the first one included (HTTP). As long as the attempt by default.",
            "",
            "\"3s\"",
        ),
        key(
            "writeTimeout",
            ValueRule::Duration,
            "Until the request is written (HTTP). As long as the attempt by default.",
            "",
            "\"3s\"",
        ),
        key(
            "retry",
            ValueRule::Either(&[ValueRule::Choice(super::PRESETS), ValueRule::Shape(&super::RETRY)]),
            "Retry policy of steps for which neither the step nor the saga has one.",
            "\"standard\"",
            "\"quick\"",
        ),
        key(
            "retryBudget",
            ValueRule::Shape(&RETRY_BUDGET),
            "Retry budget: how much load further attempts may add.",
            "{\"share\": 0.2, \"reservePerSecond\": 10}",
            "{\"share\": 0.1}",
        ),
        key(
            "breaker",
            ValueRule::Shape(&BREAKER),
            "Circuit breaker: when calls are refused because too many of them fail.",
            "{\"failureRate\": 0.5, \"minimumCalls\": 10, \"window\": \"30s\", \"openFor\": \"10s\", \"probes\": 3}",
            "{\"openFor\": \"30s\"}",
        ),
        key(
            "bulkhead",
            ValueRule::Either(&[ValueRule::Integer(1), ValueRule::Shape(&BULKHEAD)]),
            "Most calls under way at once, from one engine; over Kafka until the reply. 64 over HTTP, 1024 over Kafka.",
            "64",
            "200",
        ),
        key(
            "rateLimit",
            ValueRule::Either(&[ValueRule::Pattern("^[1-9][0-9]* ?/ ?[smh]$"), ValueRule::Shape(&RATE_LIMIT)]),
            "Most calls in a time span, from one engine: 100/s, 600/m, 1000/h. No limit by default.",
            "",
            "\"100/s\"",
        ),
        key(
            "degraded",
            ValueRule::Shape(&DEGRADED),
            "Recovery at a share of the capacity: started by an operator, or for some time after the breaker opened.",
            "{\"share\": 0.25}",
            "{\"share\": 0.5, \"afterTrip\": \"5m\"}",
        ),
        key(
            "health",
            ValueRule::Shape(&HEALTH),
            "Health checks. While the participant is unhealthy, steps wait. Off by default.",
            "",
            "{\"path\": \"health\"}",
        ),
        key(
            "capabilities",
            ValueRule::List(&ValueRule::Pattern("^[a-z][a-z0-9-]{0,63}$")),
            "What it can do, for steps that name a capability instead of a participant.",
            "[]",
            "[\"text-analysis\"]",
        ),
        key(
            "dependsOn",
            ValueRule::List(&ValueRule::Text),
            "Participants of this file that it depends on.",
            "[]",
            "[\"database\"]",
        ),
        key(
            "errors",
            ValueRule::Shape(&ERRORS),
            "Puts failures into another class, and changes how classes are handled.",
            "",
            "{\"classify\": {\"418\": \"rate_limit\"}, \"handle\": {\"client_error\": \"retry\"}}",
        ),
        key("retryOn", STATUSES, "Statuses that count as failed, and may be retried (HTTP).", "", "[409, \"5xx\"]"),
        key(
            "failOn",
            STATUSES,
            "Statuses that count as failed permanently, and assert that nothing happened (HTTP).",
            "",
            "\"5xx\"",
        ),
        key(
            "accepted",
            ValueRule::Choice(AcceptedMeaning::NAMES),
            "Meaning of a 202 without `Location` (HTTP): the outcome is unknown, or the command succeeded.",
            "\"unknown\"",
            "\"succeeded\"",
        ),
        key(
            "idempotencyKey",
            ValueRule::Choice(IdempotencyKeyFormat::NAMES),
            "How the header `Idempotency-Key` is written: as the command id, or as a UUID that is derived from it, \
                for services that take letters, digits and hyphens only (HTTP).",
            "\"command-id\"",
            "\"uuid\"",
        ),
        key("maxAnswerBytes", ValueRule::Integer(1), "Largest answer that is read.", "1048576", "65536"),
        key(
            "headers",
            ValueRule::Headers,
            "Headers of every request. `${ env.NAME }` is allowed in them; they are never recorded.",
            "{}",
            "{\"X-Tenant\": \"shop\"}",
        ),
        key(
            "authorization",
            ValueRule::Either(&[ValueRule::Text, ValueRule::Shape(&AUTHORIZATION)]),
            "The `Authorization` header of every request (HTTP): its value, a bearer token, or where tokens are issued. \
                `${ env.NAME }` is allowed in it; it is never recorded.",
            "",
            "\"Bearer ${ env.PAYMENTS_TOKEN }\"",
        ),
        key(
            "tls",
            ValueRule::Shape(&TLS),
            "How connections are secured (HTTP): a client certificate, and whose certificates are trusted.",
            "",
            "{\"ca\": \"${ file./etc/saga/tls/ca.crt }\"}",
        ),
    ],
};
