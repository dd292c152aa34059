//! Which headers of a trigger a saga keeps. The engine stores kept headers for as long as the saga, and shows them to
//! every reader of the saga.

use super::{
    diagnostic::{Code, FindingCollector},
    uses::{ExpressionPlace, ExpressionUse},
    wishes,
};
use crate::direct_start::START_HEADERS;
use std::collections::BTreeSet;

/// Names, in small letters, of headers that tell where a record belongs: traces and correlation. So do those of
/// CloudEvents.
const TELLING: [&str; 19] = [
    "b3",
    "baggage",
    "causation-id",
    "causation_id",
    "content-type",
    "correlation-id",
    "correlation_id",
    "correlationid",
    "kafka_correlationid",
    "message-id",
    "message_id",
    "request-id",
    "traceparent",
    "tracestate",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-correlation-id",
    "x-request-id",
    "x-trace-id",
];
const TELLING_BEGINNINGS: [&str; 4] = ["ce_", "x-b3-", "sentry-trace", START_HEADERS];

/// Parts of the names of headers that hold credentials.
const SECRET_PARTS: [&str; 9] =
    ["authorization", "cookie", "token", "secret", "password", "passwd", "api-key", "apikey", "api_key"];
/// How values begin that are credentials, whatever the header is called. The last one is that of every JWT.
const SECRET_BEGINNINGS: [&str; 7] = ["bearer ", "basic ", "digest ", "negotiate ", "apikey ", "token ", "eyj"];

/// Which headers the expressions of a definition read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderReads {
    /// Exactly these names; every read names one header.
    Named(BTreeSet<String>),
    /// The names are not known: `record` or its headers are passed on as a whole, or the name is computed.
    Any,
}

impl Default for HeaderReads {
    fn default() -> HeaderReads {
        HeaderReads::Named(BTreeSet::new())
    }
}

impl HeaderReads {
    pub(crate) fn of<'u>(uses: impl Iterator<Item = &'u ExpressionUse>) -> HeaderReads {
        let mut named = BTreeSet::new();
        for read in uses.flat_map(|used| used.expression.reads()) {
            let path: Vec<&str> = read.path.iter().map(String::as_str).collect();
            match path.as_slice() {
                ["record"] | ["record", "headers"] => return HeaderReads::Any,
                ["record", "headers", name, ..] => {
                    named.insert((*name).to_owned());
                }
                _ => {}
            }
        }
        HeaderReads::Named(named)
    }

    /// Whether a saga keeps this header. Credentials are kept only where an expression names them.
    #[must_use]
    pub fn keeps(&self, name: &str, value: &str) -> bool {
        match self {
            HeaderReads::Named(named) if named.contains(name) => true,
            HeaderReads::Named(_) => is_telling(name) && !is_secret(name, value),
            HeaderReads::Any => !is_secret(name, value),
        }
    }
}

/// Warns where a credential of the trigger goes into what the saga keeps and sends. To compare one in `when` keeps
/// it, too, and sends it nowhere.
pub(crate) fn warn_of_credentials<'u>(uses: impl Iterator<Item = &'u ExpressionUse>, report: &mut FindingCollector) {
    for used in uses {
        match used.at.place {
            ExpressionPlace::Do(_) | ExpressionPlace::Undo(_) | ExpressionPlace::Output => {}
            ExpressionPlace::When
            | ExpressionPlace::Key
            | ExpressionPlace::If(_)
            | ExpressionPlace::Check(_)
            | ExpressionPlace::Fallback(_) => continue,
        }
        let credential = used.expression.reads().into_iter().find_map(|read| match read.path.as_slice() {
            [record, headers, name, ..] if record == "record" && headers == "headers" && is_secret(name, "") => {
                Some(name.clone())
            }
            _ => None,
        });
        let Some(name) = credential else { continue };
        let message = format!("the header `{name}` holds a credential, which the journal would keep");
        report.warning(Code::ForwardedCredential, used.span, message).help(wishes::FORWARDING);
    }
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.contains(&name.as_str()) || TELLING_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

fn is_secret(name: &str, value: &str) -> bool {
    let (name, value) = (name.to_ascii_lowercase(), value.trim_start().to_ascii_lowercase());
    SECRET_PARTS.iter().any(|part| name.contains(part))
        || SECRET_BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::parse;

    fn reads(when: &str, with: &str) -> HeaderReads {
        let text = format!(
            "saga: a\ntrigger: {{topic: t, when: \"{when}\", key: \"${{ event.id }}\"}}\nsteps:\n  - step: tell\n    \
                do: p.Tell\n    with: {{a: \"{with}\"}}\n    readOnly: true\n"
        );
        parse("a.saga.yaml", &text, None, None).expect("a definition").definition.trigger.headers
    }

    fn named(names: &[&str]) -> HeaderReads {
        HeaderReads::Named(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn what_is_read_is_told_from_the_expressions() {
        assert_eq!(reads("event.a == 1", "x"), named(&[]));
        assert_eq!(reads("record.partition >= 0", "${ record.headers.tenant }"), named(&["tenant"]));
        assert_eq!(reads("has(record.headers.a)", "${ record.headers['x-b'] }"), named(&["a", "x-b"]));
        assert_eq!(reads("'x-d' in record.headers", "x"), named(&["x-d"]));
        assert_eq!(reads("record['headers']['c'] == 'd'", "x ${ record.topic }"), named(&["c"]));
        for dynamic in [
            "${ record.headers[event.name] }",
            "${ record.headers }",
            "${ record }",
            "${ record.headers.map(name, name) }",
            "${ [record].map(it, it.headers.a) }",
            "${ size(record.headers) }",
        ] {
            assert_eq!(reads("true == true", dynamic), HeaderReads::Any, "{dynamic}");
        }
    }

    #[test]
    fn credentials_are_kept_only_where_they_are_named() {
        let check = |reads: &HeaderReads, name: &str, value: &str, kept: bool| {
            assert_eq!(reads.keeps(name, value), kept, "{reads:?} {name}: {value}");
        };
        let tenant = named(&["tenant"]);
        for name in ["tenant", "traceparent", "ce_id", "ce_type", "X-Correlation-ID", "content-type", "x-b3-traceid"] {
            check(&tenant, name, "7", true);
        }
        check(&tenant, "customer", "Eve", false);
        check(&HeaderReads::Any, "customer", "Eve", true);
        for reads in [&tenant, &HeaderReads::Any] {
            for (name, value) in [
                ("Authorization", "x"),
                ("x-auth-token", "x"),
                ("ce_authorization", "x"),
                ("Cookie", "x"),
                ("correlation-id", "Bearer abc"),
                ("ce_user", " eyJhbGciOi"),
            ] {
                check(reads, name, value, false);
            }
        }
        check(&named(&["authorization"]), "authorization", "Bearer abc", true);
    }
}
