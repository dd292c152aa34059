//! Guards, acts and guard events as text.

mod one;

pub(super) use one::guard;

use super::output;
use crate::{api::CriticalPathLine, visible};
use serde_json::Value;
use std::{borrow::Cow, time::Duration};

pub(super) fn guards(guards: &[Value]) -> String {
    let row = |guard: &Value| {
        let [name, lifecycle] = ["name", "lifecycle"].map(|key| word(guard, key));
        let breaker = breaker(guard);
        let calls = format!("{}/{}", word(guard, "calls"), word(guard, "failures"));
        let under_way = format!("{}/{}", word(guard, "inFlight"), word(guard, "limit"));
        let health = guard.get("health").map(health).unwrap_or_default();
        let last = guard["lastFailures"][0].as_object().map(|_| failed(&guard["lastFailures"][0])).unwrap_or_default();
        [name, lifecycle, breaker, calls, under_way, word(guard, "inLine"), last, health, in_force(guard)]
    };
    let columns = [
        "participant",
        "lifecycle",
        "breaker",
        "calls/failed",
        "in flight/limit",
        "queued",
        "last failure",
        "health",
        "override",
    ];
    output::table(columns, guards.iter().map(row))
}

/// `open (failureRate: 10 of 12 failed, 2 probes failed since), next probe in 38 s`, or `closed, paused for 30 s more
/// (Retry-After)`
fn breaker(guard: &Value) -> String {
    let opened = guard.get("opened");
    let cause = opened.map(|opened| {
        let parts = [Some(one::cause(opened)), one::probes(&opened["inARow"])];
        format!(" ({})", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    });
    let next = one::next(guard).map(|next| format!(", {next}"));
    format!("{}{}{}", word(guard, "breaker"), cause.unwrap_or_default(), next.unwrap_or_default())
}

/// `http.500 db down (server_error)`
fn failed(failed: &Value) -> String {
    let class = failed["class"].as_str().map(|class| format!("({class})")).unwrap_or_default();
    let parts = [word(failed, "code"), word(failed, "message"), class];
    parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `critical path: web → payments → database (45s)`, below the list.
pub(super) fn critical_path(path: &CriticalPathLine) -> String {
    let names: Vec<Cow<'_, str>> = path.names.iter().map(|name| visible::in_line(name)).collect();
    format!("\n\ncritical path: {} ({:?})", names.join(" → "), Duration::from_millis(path.total_ms))
}

/// `healthy worsening`: the state of the health checks, and their trend unless it is steady.
fn health(health: &Value) -> String {
    match health["trend"].as_str() {
        Some("steady") | None => word(health, "state"),
        Some(trend) => format!("{} {trend}", word(health, "state")),
    }
}

pub(super) fn acts(acts: &[Value]) -> String {
    let row = |act: &Value| {
        let done = match given(&act["given"]) {
            given if given.is_empty() => word(act, "action"),
            given => format!("{} {given}", word(act, "action")),
        };
        [word(act, "number"), word(act, "at"), word(act, "participant"), done, word(act, "who"), word(act, "reason")]
    };
    output::table(["act", "time", "participant", "what", "who", "why"], acts.iter().map(row))
}

/// `2026-11-21T09:38:59.086Z payments breakerOpened trip=failureRate`
pub(super) fn change(change: &Value) -> String {
    let known = ["at", "participant", "change"];
    let more = change.as_object().into_iter().flatten().filter(|(key, _)| !known.contains(&key.as_str()));
    let more = more.map(|(key, value)| format!(" {key}={}", text(value)));
    let whom = change["participant"].as_str().unwrap_or("-");
    format!("{} {whom} {}{}", word(change, "at"), word(change, "change"), more.collect::<String>())
}

/// The override of a participant that is in effect.
fn in_force(guard: &Value) -> String {
    let Some(decided) = guard.get("override") else { return String::new() };
    let mode = decided["mode"].as_str().filter(|mode| *mode != "automatic").unwrap_or_default();
    let parts = [mode.to_owned(), given(decided)];
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let until = decided["until"].as_str().map(|until| format!(" until {until}")).unwrap_or_default();
    format!(
        "{}{until} (last act by {}: {})",
        parts.join(" "),
        word(&decided["by"], "who"),
        word(&decided["by"], "reason")
    )
}

fn given(given: &Value) -> String {
    let set = |key: &'static str| given.get(key).map(|value| format!("{key}={}", text(value)));
    ["share", "bulkhead", "rate"].into_iter().filter_map(set).collect::<Vec<_>>().join(" ")
}

fn word(object: &Value, key: &str) -> String {
    object.get(key).map(text).unwrap_or_default()
}

fn text(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    visible::in_line(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_one_line() {
        let opened = json!({"at": "2026-11-21T09:38:59.086Z", "participant": "payments", "change": "breakerOpened",
            "trip": "failureRate"});
        assert_eq!(change(&opened), "2026-11-21T09:38:59.086Z payments breakerOpened trip=failureRate");
        let forged =
            json!({"at": "1", "participant": "payments", "change": "overrideSet", "who": "a\n2 payments \u{1b}[2J"});
        assert_eq!(change(&forged), r"1 payments overrideSet who=a\n2 payments \u001b[2J");
        let reloaded = json!({"at": "2026-11-21T09:38:59.086Z", "change": "configReloaded"});
        assert_eq!(change(&reloaded), "2026-11-21T09:38:59.086Z - configReloaded");
    }

    #[test]
    fn what_is_done_by_hand_is_seen_in_the_list() {
        let by = json!({"who": "anna", "reason": "they migrate"});
        let decided = json!({"mode": "forcedOpen", "share": 0.25, "by": by});
        let line = json!({"name": "payments", "lifecycle": "failed", "breaker": "forcedOpen", "calls": 3, "failures": 1,
            "inFlight": 0, "limit": 64, "inLine": 7, "health": {"state": "healthy", "trend": "worsening"},
            "override": decided});
        let shown = guards(&[line]);
        let columns = [
            "failed",
            "3/1",
            "0/64",
            "7",
            "healthy worsening",
            "forcedOpen share=0.25 (last act by anna: they migrate)",
        ];
        assert!(columns.iter().all(|column| shown.contains(column)), "{shown}");
    }

    #[test]
    fn an_open_breaker_and_a_pause_say_why_and_for_how_long_in_the_list() {
        let failed = json!({"at": "2026-11-21T09:38:59.086Z", "saga": "p-1", "class": "server_error", "code": "http.500",
            "message": "db down"});
        let opened = json!({"by": "failureRate", "calls": 12, "failures": 10, "asksInMs": 37_001, "inARow": 1});
        let open = json!({"name": "payouts", "breaker": "open", "opened": opened, "calls": 0, "failures": 0,
            "lastFailures": [failed]});
        assert_eq!(breaker(&open), "open (failureRate: 10 of 12 failed), next probe in 38 s");
        assert!(guards(&[open]).contains("http.500 db down (server_error)"));
        let paused = json!({"name": "payouts", "breaker": "closed", "pausedForMs": 38_000});
        assert_eq!(breaker(&paused), "closed, paused for 38 s more (Retry-After)");
    }

    #[test]
    fn of_a_probe_and_a_pause_the_later_one_is_told() {
        let told = |asks_in_ms: Value, paused_for_ms: u64| {
            let opened = json!({"by": "failureRate", "calls": 5, "failures": 5, "asksInMs": asks_in_ms, "inARow": 3});
            breaker(&json!({"breaker": "open", "opened": opened, "pausedForMs": paused_for_ms}))
        };
        let open = "open (failureRate: 5 of 5 failed, 2 probes failed since)";
        assert_eq!(told(json!(5_000), 15_000), format!("{open}, next probe in 15 s (Retry-After)"));
        assert_eq!(told(json!(15_000), 5_000), format!("{open}, next probe in 15 s"));
        assert_eq!(told(Value::Null, 5_000), format!("{open}, paused for 5 s more (Retry-After)"));
    }

    #[test]
    fn the_critical_path_stands_below_the_list() {
        let path = serde_json::from_value(json!({"names": ["web", "payments"], "totalMs": 45_000})).expect("a path");
        assert_eq!(critical_path(&path), "\n\ncritical path: web → payments (45s)");
    }
}
