//! The keys of failures: what class they are of, and what becomes of them.

use super::super::{KeyRule, MapSchema, ValueRule, key};

/// Names of the classes.
pub(crate) const CLASSES: &[&str] =
    &["network", "timeout", "rate_limit", "server_error", "client_error", "validation", "unknown"];
/// What can become of a failure.
pub(crate) const HANDLINGS: &[&str] = &["retry", "fail", "retry-then-park"];

pub(crate) static ERRORS: MapSchema = MapSchema {
    name: "`errors`",
    title: "Errors",
    keys: &[
        key(
            "classify",
            ValueRule::Entries(&ValueRule::Choice(CLASSES)),
            "Statuses (`409`, `5xx`) and error codes that are of another class than they usually are. The first that \
                fits counts.",
            "{}",
            "{\"418\": \"rate_limit\", \"OUT_OF_STOCK\": \"validation\"}",
        ),
        key(
            "handle",
            ValueRule::Shape(&HANDLE),
            "How failures of a class are handled. An unknown outcome stays unknown; only `failOn` makes a failure definite.",
            "{}",
            "{\"client_error\": \"retry\", \"server_error\": \"fail\"}",
        ),
    ],
};

pub(crate) static HANDLE: MapSchema = MapSchema {
    name: "`handle`",
    title: "Handling of classes",
    keys: &[
        class("network", "No connection, or a broken one."),
        class("timeout", "No answer in time."),
        class("rate_limit", "The participant asks for fewer calls: 429."),
        class("server_error", "An error inside the participant: 5xx."),
        class("client_error", "The participant refuses the call: 401, 403, 404, 409 and so on."),
        class("validation", "The participant refuses the content: 400, 413, 414, 415, 422."),
        class("unknown", "None of these: an answer that cannot be read."),
    ],
};

const fn class(name: &'static str, description: &'static str) -> KeyRule {
    key(name, ValueRule::Choice(HANDLINGS), description, "", "\"retry-then-park\"")
}
