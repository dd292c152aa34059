//! What a trigger says of where it comes from, beside its `traceparent`: everything that the saga sends says it, too.

use super::is_traceparent;
use std::collections::BTreeMap;

/// Bytes that a header may have to be passed on. Of `tracestate` and `baggage` the W3C's recommendations ask for at
/// least so much; an id needs far less.
const LIMITS_BYTES: [(&str, usize); 5] =
    [(TRACESTATE, 512), (BAGGAGE, 8_192), (REQUEST_ID, 128), (CORRELATION_ID, 128), (TRACE_ID, 128)];

/// What vendors say of the trace.
const TRACESTATE: &str = "tracestate";
/// Names and values that belong to the whole transaction.
const BAGGAGE: &str = "baggage";
/// The request that the trigger was made for.
pub const REQUEST_ID: &str = "x-request-id";
/// What the request belongs to.
pub const CORRELATION_ID: &str = "x-correlation-id";
/// The trace of a system without W3C Trace Context.
const TRACE_ID: &str = "x-trace-id";

/// The headers of a trigger that are passed on: those of the names above, whose values are printable ASCII and not too
/// long. `tracestate` belongs to a `traceparent` and goes only with one.
#[must_use]
pub fn passed_on(headers: &BTreeMap<String, String>) -> Vec<(&'static str, String)> {
    let given = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, text)| text);
    let has_trace = given("traceparent").or_else(|| given("ce_traceparent")).is_some_and(|text| is_traceparent(text));
    LIMITS_BYTES
        .into_iter()
        .filter(|(name, _)| *name != TRACESTATE || has_trace)
        .filter_map(|(name, most)| Some((name, given(name)?, most)))
        .filter(|(_, text, most)| is_printable(text) && text.len() <= *most)
        .map(|(name, text, _)| (name, text.clone()))
        .collect()
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

    fn passed(headers: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        passed_on(&headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn what_belongs_to_the_whole_transaction_is_passed_on() {
        let headers = [PARENT, ("tracestate", "a=1"), ("Baggage", "tenant=7"), ("X-Request-ID", "r-1"), ("other", "x")];
        let expected = [("tracestate", "a=1"), ("baggage", "tenant=7"), ("x-request-id", "r-1")];
        assert_eq!(passed(&headers), expected.map(|(name, text)| (name, text.to_owned())));
    }

    #[test]
    fn what_no_request_can_carry_is_left_out() {
        assert_eq!(passed(&[("tracestate", "a=1")]), [], "it belongs to no traceparent");
        let long = "x".repeat(129);
        for text in ["", "a\nb", "ä", long.as_str()] {
            assert_eq!(passed(&[("x-request-id", text)]), [], "{text:?}");
        }
        assert_eq!(passed(&[("baggage", long.as_str())]).len(), 1);
    }
}
