//! The keys of participants.yaml.

use super::{Rule, Shape, key, required};

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
            "timeout",
            Rule::Duration,
            "For one attempt, from leaving the guard to the answer: 10s over HTTP, 30s over Kafka.",
            "",
            "\"5s\"",
        ),
        key("connectTimeout", Rule::Duration, "For opening a connection (HTTP).", "\"2s\"", "\"500ms\""),
        key(
            "retry",
            Rule::Either(&[Rule::Choice(super::super::policies::PRESETS), Rule::Shape(&super::RETRY)]),
            "Retries of steps that say nothing, and whose saga says nothing.",
            "\"standard\"",
            "\"quick\"",
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
            Rule::Integer(1),
            "Most calls under way at once, from one engine; over Kafka until the reply. 64 over HTTP, 1024 over Kafka.",
            "64",
            "200",
        ),
        key("retryOn", STATUSES, "Statuses that count as failed, and may be retried (HTTP).", "", "[409, \"5xx\"]"),
        key(
            "failOn",
            STATUSES,
            "Statuses that count as failed for good, and assert that nothing happened (HTTP).",
            "",
            "\"5xx\"",
        ),
        key("maxAnswerBytes", Rule::Integer(1), "Largest answer that is read.", "1048576", "65536"),
        key(
            "headers",
            Rule::Texts,
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

pub(crate) static KAFKA: Shape = Shape {
    name: "a Kafka participant",
    title: "Kafka participant",
    keys: &[required(
        "commands",
        Rule::Text,
        "Topic that it takes commands from. The header `reply_topic` tells it where replies go.",
        "\"inventory.commands\"",
    )],
};

pub(crate) static HTTP: Shape = Shape {
    name: "an HTTP participant",
    title: "HTTP participant",
    keys: &[
        key(
            "url",
            Rule::Text,
            "Base of all its paths. Either this or `endpoints`. `${ env.NAME }` may stand in it.",
            "",
            "\"http://localhost:9001\"",
        ),
        key(
            "endpoints",
            Rule::List(&Rule::Shape(&ENDPOINT)),
            "Several instances, one of which is picked for each call.",
            "",
            "[{\"url\": \"http://payments-1:9001\", \"weight\": 2}, {\"url\": \"http://payments-2:9001\"}]",
        ),
    ],
};

pub(crate) static ENDPOINT: Shape = Shape {
    name: "an endpoint",
    title: "Endpoint",
    keys: &[
        required("url", Rule::Text, "Base of all its paths.", "\"http://payments-1:9001\""),
        key("weight", Rule::Integer(1), "Its share of the calls, relative to the others.", "1", "2"),
    ],
};

pub(crate) static BREAKER: Shape = Shape {
    name: "a breaker",
    title: "Circuit breaker",
    keys: &[
        key("failureRate", Rule::Share, "Share of failed calls from which on it opens.", "0.5", "0.3"),
        key("minimumCalls", Rule::Integer(1), "Below this number of calls in the window it stays closed.", "10", "20"),
        key("window", Rule::Duration, "How far back calls count.", "\"30s\"", "\"1m\""),
        key("openFor", Rule::Duration, "How long it refuses before it lets probes through.", "\"10s\"", "\"30s\""),
        key("probes", Rule::Integer(1), "How many calls have to succeed before it closes.", "3", "5"),
    ],
};
