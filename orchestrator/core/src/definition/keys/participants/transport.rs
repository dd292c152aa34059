//! The keys of how a participant is reached.

use super::super::{MapSchema, ValueRule, key, required};

/// How an endpoint is picked.
pub(crate) const STRATEGIES: &[&str] = &["round-robin", "least-connections", "weighted", "random"];

pub(crate) static KAFKA: MapSchema = MapSchema {
    name: "a Kafka participant",
    title: "Kafka participant",
    keys: &[required(
        "commands",
        ValueRule::Text,
        "Topic that it takes commands from. The header `reply_topic` tells it where replies go.",
        "\"inventory.commands\"",
    )],
};

pub(crate) static HTTP: MapSchema = MapSchema {
    name: "an HTTP participant",
    title: "HTTP participant",
    keys: &[
        key(
            "url",
            ValueRule::Url,
            "Base of all its paths. Either this or `endpoints`. `${ env.NAME }` is allowed in it.",
            "",
            "\"http://localhost:9001\"",
        ),
        key(
            "endpoints",
            ValueRule::List(&ValueRule::Shape(&ENDPOINT)),
            "Several instances, one of which is picked for each call.",
            "",
            "[{\"url\": \"http://payments-1:9001\", \"weight\": 2}, {\"url\": \"http://payments-2:9001\"}]",
        ),
        key(
            "balance",
            ValueRule::Choice(STRATEGIES),
            "How one of them is picked. Weights count with all of them; `weighted` is another word for `round-robin`.",
            "\"round-robin\"",
            "\"least-connections\"",
        ),
        key(
            "ejection",
            ValueRule::Either(&[ValueRule::Bool, ValueRule::Shape(&EJECTION)]),
            "When an endpoint is ejected for some time; never more than half of them at once. `false`: never.",
            "{\"consecutiveFailures\": 5, \"ejectFor\": \"30s\", \"maxEjectFor\": \"5m\"}",
            "{\"consecutiveFailures\": 3}",
        ),
    ],
};

pub(crate) static ENDPOINT: MapSchema = MapSchema {
    name: "an endpoint",
    title: "Endpoint",
    keys: &[
        required("url", ValueRule::Url, "Base of all its paths.", "\"http://payments-1:9001\""),
        key("weight", ValueRule::Integer(1), "Its share of the calls, relative to the others.", "1", "2"),
    ],
};

pub(crate) static EJECTION: MapSchema = MapSchema {
    name: "an ejection",
    title: "Ejection of endpoints",
    keys: &[
        key("consecutiveFailures", ValueRule::Integer(1), "Failures in a row that eject an endpoint.", "5", "3"),
        key(
            "ejectFor",
            ValueRule::Duration,
            "How long an endpoint is ejected the first time. Each further time takes twice as long.",
            "\"30s\"",
            "\"10s\"",
        ),
        key("maxEjectFor", ValueRule::Duration, "Longest time of an ejection.", "\"5m\"", "\"1m\""),
    ],
};
