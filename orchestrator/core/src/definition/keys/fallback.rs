//! The keys of a step's fallbacks.

use super::{Rule, Shape, key, required};

pub(crate) static FALLBACK: Shape = Shape {
    name: "a fallback",
    title: "Fallback",
    keys: &[
        key(
            "cached",
            Rule::Duration,
            "With `readOnly`: an answer to the same request that is at most so old.",
            "",
            "\"10m\"",
        ),
        key("lastKnown", Rule::Bool, "With `readOnly`: the last answer to the same request, however old.", "", "true"),
        key("value", Rule::Value, "This, taken as it is.", "", "{\"score\": 50}"),
        key(
            "expression",
            Rule::Value,
            "A value with `${ }` in it. Sees `event`, `record`, `saga` and `steps`.",
            "",
            "{\"score\": \"${ event.score }\"}",
        ),
        key(
            "fail",
            Rule::Shape(&FAIL),
            "The step has failed for good, with this code.",
            "",
            "{\"code\": \"NO_SCORE\", \"message\": \"no score to be had\"}",
        ),
        key(
            "when",
            Rule::Choice(&["exhausted", "refused"]),
            "`refused`: also as soon as a guard holds the step back before any attempt of it has left.",
            "\"exhausted\"",
            "\"refused\"",
        ),
    ],
};

pub(crate) static FAIL: Shape = Shape {
    name: "a failure",
    title: "Failure",
    keys: &[
        required("code", Rule::Text, "Stable and short, for programs.", "\"NO_SCORE\""),
        key("message", Rule::Text, "For people.", "", "\"no score to be had\""),
    ],
};
