//! The keys of a step's fallbacks.

use super::{MapSchema, ValueRule, key, required};

pub(crate) static FALLBACK: MapSchema = MapSchema {
    name: "a fallback",
    title: "Fallback",
    keys: &[
        key(
            "cached",
            ValueRule::Duration,
            "With `readOnly`: an answer to the same request that is not older than this.",
            "",
            "\"10m\"",
        ),
        key(
            "lastKnown",
            ValueRule::Bool,
            "With `readOnly`: the last answer to the same request, however old.",
            "",
            "true",
        ),
        key("value", ValueRule::Value, "This value, without evaluation.", "", "{\"score\": 50}"),
        key(
            "expression",
            ValueRule::Value,
            "A value with `${ }` in it. Sees `event`, `record`, `saga` and `steps`.",
            "",
            "{\"score\": \"${ event.score }\"}",
        ),
        key(
            "fail",
            ValueRule::Shape(&FAIL),
            "The step has failed permanently, with this code.",
            "",
            "{\"code\": \"NO_SCORE\", \"message\": \"no score available\"}",
        ),
        key(
            "when",
            ValueRule::Choice(&["exhausted", "refused"]),
            "`refused`: also as soon as a guard holds the step back before any attempt of it has left.",
            "\"exhausted\"",
            "\"refused\"",
        ),
    ],
};

pub(crate) static FAIL: MapSchema = MapSchema {
    name: "a failure",
    title: "Failure",
    keys: &[
        required("code", ValueRule::Text, "Short and stable code, for programs.", "\"NO_SCORE\""),
        key("message", ValueRule::Text, "Text for people.", "", "\"no score available\""),
    ],
};
