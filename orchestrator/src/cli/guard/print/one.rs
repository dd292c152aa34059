//! The guards of one participant in full.

use super::{acts, in_force, output, text, word};
use serde_json::Value;

/// Health checks that are shown, the latest first; the API returns more.
const CHECKS: usize = 8;

/// Prints the API's answer as `saga guard show` shows it.
pub(in crate::cli) fn guard(answer: &Value) -> String {
    let guard = &answer["guard"];
    let opening =
        list(&guard["opened"], "lastFailures").map(|all| format!("what opened the breaker\n{}", failures(all)));
    let last = list(guard, "lastFailures").map(failures);
    let parts = [facts(guard), opening, last, endpoints(guard), list(answer, "acts").map(acts)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn facts(guard: &Value) -> Option<String> {
    let plain = [
        ("participant", "name"),
        ("lifecycle", "lifecycle"),
        ("breaker", "breaker"),
        ("calls", "calls"),
        ("failed", "failures"),
        ("slow", "slowCalls"),
        ("failure rate", "failureRate"),
        ("slow call rate", "slowCallRate"),
        ("in flight", "inFlight"),
        ("limit", "limit"),
        ("waiting for a permit", "waiting"),
        ("waiting for the rate", "pacing"),
        ("queued", "inLine"),
        ("calls left in the rate", "rateRoom"),
        ("retry budget", "retryBudget"),
        ("share of capacity", "share"),
    ];
    let plain = plain.into_iter().map(|(title, key)| [title.to_owned(), word(guard, key)]);
    let more = [
        ["opened".to_owned(), guard.get("opened").map(|it| opened(it, next(guard))).unwrap_or_default()],
        ["pause (Retry-After)".to_owned(), guard["pausedForMs"].as_u64().map(more_of).unwrap_or_default()],
        ["depends on".to_owned(), words(&guard["dependsOn"])],
        ["health".to_owned(), guard.get("health").map(health).unwrap_or_default()],
        ["last checks".to_owned(), guard.get("health").map(checks).unwrap_or_default()],
        ["override".to_owned(), in_force(guard)],
    ];
    let rows = plain.chain(more).filter(|[_, value]| !value.is_empty());
    Some(output::table(["property", "value"], rows))
}

/// `by failureRate: 10 of 12 failed, 2 probes failed since, for 13 s, next probe in 38 s`
fn opened(opened: &Value, next: Option<String>) -> String {
    let since = opened["agoMs"].as_u64().map(|ago| format!("in this state for {}", seconds(ago)));
    let next = next.unwrap_or_else(|| "probes are sent now".to_owned());
    let parts = [Some(format!("by {}", cause(opened))), probes(&opened["inARow"]), since, Some(next)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// When the engine sends the next call, if known: after the pause that the participant asked for, and not before the
/// next probe.
pub(super) fn next(guard: &Value) -> Option<String> {
    let asks_in = guard["opened"]["asksInMs"].as_u64();
    match (asks_in, guard["pausedForMs"].as_u64()) {
        (Some(asks_in), Some(pause)) if pause > asks_in => {
            Some(format!("next probe in {} (Retry-After)", seconds(pause)))
        }
        (Some(asks_in), _) => Some(format!("next probe in {}", seconds(asks_in))),
        (None, pause) => pause.map(|ms| format!("paused for {} (Retry-After)", more_of(ms))),
    }
}

/// `failureRate: 10 of 12 failed`
pub(super) fn cause(opened: &Value) -> String {
    let by = word(opened, "by");
    let counted = match by.as_str() {
        "slowCallRate" => format!("{} of {} slow", word(opened, "slowCalls"), word(opened, "calls")),
        "consecutiveFailures" => format!("{} in a row", word(opened, "failuresInARow")),
        _ => format!("{} of {} failed", word(opened, "failures"), word(opened, "calls")),
    };
    format!("{by}: {counted}")
}

/// The breaker opens once because of its counts, and again after every failed probe.
pub(super) fn probes(in_a_row: &Value) -> Option<String> {
    match in_a_row.as_u64()?.saturating_sub(1) {
        0 => None,
        1 => Some("1 probe failed since".to_owned()),
        probes => Some(format!("{probes} probes failed since")),
    }
}

fn more_of(ms: u64) -> String {
    format!("{} more", seconds(ms))
}

/// Whole seconds, rounded up: an operator does not act on milliseconds.
pub(super) fn seconds(ms: u64) -> String {
    format!("{} s", ms.div_ceil(1_000))
}

/// One line per failure, below a header.
fn failures(failures: &[Value]) -> String {
    let row = |it: &Value| [word(it, "at"), word(it, "class"), word(it, "code"), word(it, "message"), word(it, "saga")];
    output::table(["last failures", "class", "code", "message", "saga"], failures.iter().map(row))
}

fn endpoints(guard: &Value) -> Option<String> {
    let row = |it: &Value| {
        let calls = format!("{}/{}", word(it, "calls"), word(it, "failed"));
        let left_out = it["ejectedForMs"].as_u64().map(|span| format!("{span} ms more")).unwrap_or_default();
        let health = it.get("health").map(health).unwrap_or_default();
        [word(it, "url"), word(it, "weight"), calls, word(it, "inFlight"), left_out, word(it, "ejections"), health]
    };
    let columns = ["endpoint", "weight", "calls/failed", "in flight", "ejected for", "ejections", "health"];
    list(guard, "endpoints").map(|all| output::table(columns, all.iter().map(row)))
}

/// `unhealthy, worsening, 40 % of the last checks passed, 12 ms, 3 s ago`
fn health(health: &Value) -> String {
    let share =
        health["recentPassedShare"].as_f64().map(|share| format!("{:.0} % of the last checks passed", share * 100.0));
    let latency = health["recentLatencyMs"].as_u64().map(|ms| format!("{ms} ms"));
    let age = health["checkedAgoMs"].as_u64().map(|ms| format!("{} s ago", ms / 1_000));
    let parts = [Some(word(health, "state")), Some(word(health, "trend")), share, latency, age];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn checks(health: &Value) -> String {
    let check = |check: &Value| if check["passed"] == true { "passed" } else { "failed" };
    let all = health["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().take(CHECKS).map(check).collect::<Vec<_>>().join(" ")
}

fn words(names: &Value) -> String {
    names.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ")
}

/// The values below `key`, if there are any.
fn list<'v>(value: &'v Value, key: &str) -> Option<&'v [Value]> {
    value[key].as_array().map(Vec::as_slice).filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn all_that_is_known_is_shown_and_what_is_not_known_is_left_out() {
        let health = json!({"state": "unhealthy", "trend": "worsening", "recentPassedShare": 0.4, "checkedAgoMs": 3_000,
            "history": [{"agoMs": 3_000, "passed": false}, {"agoMs": 33_000, "passed": true, "tookMs": 4}]});
        let endpoint = json!({"url": "http://one/", "weight": 1, "inFlight": 2, "calls": 9, "failed": 5, "ejections": 1,
            "ejectedForMs": 12_000, "healthy": false, "health": health});
        let guard = json!({"name": "payments", "lifecycle": "failed", "breaker": "closed", "dependsOn": ["ledger", "mail"],
            "health": health, "endpoints": [endpoint]});
        let act = json!({"number": 1, "at": "2026-11-21T09:38:59.086Z", "participant": "payments", "action": "open",
            "who": "anna", "reason": "they migrate"});
        let shown = super::guard(&json!({"guard": guard, "acts": [act]}));
        for part in [
            "failed passed",
            "ledger, mail",
            "http://one/",
            "12000 ms more",
            "9/5",
            "they migrate",
            "unhealthy, worsening, 40 % of the last checks passed, 3 s ago",
        ] {
            assert!(shown.contains(part), "{part} is missing:\n{shown}");
        }
        assert!(!shown.contains("failure rate") && !shown.contains("override"), "{shown}");
    }
}
