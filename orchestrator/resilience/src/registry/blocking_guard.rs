//! Why a saga waits, as the guards of this engine see it: for people who look at the saga.

use super::{GuardRegistry, ParticipantRoute};
use crate::snapshot::{OpenBreakerView, ParticipantSnapshot};
use saga_core::{command::GuardKind, time::rfc3339};
use saga_guards::breaker::BreakerState;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// A guard that holds a saga back, and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockingGuardView {
    /// `breaker:payments`, as in `waitsOn`.
    pub on: String,
    /// Why the guard holds the saga back, as a sentence for people.
    pub text: String,
    /// What opened the breaker, if it is one that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<OpenBreakerView>,
    /// How much longer the participant wants not to be called, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_for_ms: Option<u64>,
}

impl GuardRegistry {
    /// What is known of the guards that `waits_on` names. Nothing is known of a participant that is gone, and of a
    /// topic that takes records of this engine.
    #[must_use]
    pub fn blocking_guards(&self, waits_on: &[String]) -> Vec<BlockingGuardView> {
        waits_on.iter().filter_map(|on| self.holding(on)).collect()
    }

    fn holding(&self, on: &str) -> Option<BlockingGuardView> {
        let (guard, participant) = on.split_once(':')?;
        let guard = GuardKind::parse(guard)?;
        if guard == GuardKind::Transport
            && let Some(text) = self.refused_by(participant)
        {
            return Some(BlockingGuardView { on: on.to_owned(), text, opened: None, paused_for_ms: None });
        }
        let seen = self.snapshot_of(participant)?;
        Some(BlockingGuardView {
            on: on.to_owned(),
            text: text(guard, &seen),
            opened: seen.opened,
            paused_for_ms: seen.paused_for_ms,
        })
    }

    /// Why a topic, or that of a participant's commands, takes no records of this engine.
    fn refused_by(&self, name: &str) -> Option<String> {
        let commands = self.participants.load().get(name).and_then(|found| match &found.route {
            ParticipantRoute::Kafka { commands } => Some(Arc::clone(commands)),
            ParticipantRoute::Http { .. } => None,
        });
        let topic = commands.unwrap_or_else(|| Arc::from(name));
        let why = self.topics.refusal(&topic)?;
        Some(format!("the topic {topic} takes no records: {why}"))
    }
}

impl ParticipantSnapshot {
    /// Why its breaker holds calls back, in words; `None`: it does not.
    #[must_use]
    pub fn breaker_block_reason(&self) -> Option<String> {
        let name = &self.name;
        if self.breaker == BreakerState::ForcedOpen {
            return Some(format!(
                "calls to {name} are stopped by hand: `saga guard acts --participant {name}` says by whom and why"
            ));
        }
        let asks_in = self.opened.as_ref().and_then(|opened| opened.asks_in_ms).unwrap_or_default();
        if let Some(ms) = self.paused_for_ms.filter(|ms| *ms >= asks_in) {
            return Some(format!("{name} asked not to be called (Retry-After) for {} more", about(ms)));
        }
        let opened = self.opened.as_ref()?;
        let last = opened.last_failures.first().or(self.last_failures.first());
        let last = last.map(|it| format!("; last failure {} at {}, saga {}", it.describe(), rfc3339(it.at), it.saga));
        Some(format!("calls to {name} are stopped: {}{}; {}", why(opened), last.unwrap_or_default(), next(opened)))
    }

    fn let_through(&self) -> String {
        format!("calls to {} are let through by the breaker of this engine ({} are queued)", self.name, self.queued)
    }
}

fn text(guard: GuardKind, seen: &ParticipantSnapshot) -> String {
    let name = &seen.name;
    match guard {
        GuardKind::Breaker => seen.breaker_block_reason().unwrap_or_else(|| seen.let_through()),
        GuardKind::Bulkhead => {
            format!(
                "{} calls to {name} are in flight, {} may be; {} are queued",
                seen.in_flight, seen.limit, seen.queued
            )
        }
        GuardKind::RateLimit => {
            format!("{name} is called as often as its rate limit allows; {} are queued", seen.queued)
        }
        GuardKind::RetryBudget => {
            format!("so many calls to {name} fail that further attempts wait for its retry budget")
        }
        GuardKind::Health => format!("health checks find {name} unhealthy"),
        GuardKind::Transport => format!("the topic of {name}'s commands takes no records"),
    }
}

/// `the breaker opened because 10 of 12 calls failed, 2 probes failed since`
fn why(opened: &OpenBreakerView) -> String {
    let (calls, failures) = (opened.calls, opened.failures);
    let cause = match opened.by {
        "slowCallRate" => format!("{} of {calls} calls were slow", opened.slow_calls),
        "consecutiveFailures" => format!("{} calls failed in a row", opened.failures_in_a_row),
        _ => format!("{failures} of {calls} calls failed"),
    };
    let probes = match opened.in_a_row.saturating_sub(1) {
        0 => String::new(),
        1 => ", 1 probe failed since".to_owned(),
        probes => format!(", {probes} probes failed since"),
    };
    format!("the breaker opened because {cause}{probes}")
}

fn next(opened: &OpenBreakerView) -> String {
    match opened.asks_in_ms {
        None | Some(0) => "probes are sent now".to_owned(),
        Some(ms) => format!("next probe in {}", about(ms)),
    }
}

/// Whole seconds, rounded up: people do not act by milliseconds.
fn about(ms: u64) -> String {
    format!("{} s", Duration::from_millis(ms).as_millis().div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failed_call::FailedCall;
    use saga_core::time::Timestamp;

    fn opened(in_a_row: u32) -> OpenBreakerView {
        let failed = FailedCall {
            at: Timestamp(0),
            saga: "p-1".into(),
            class: None,
            code: "http.500".into(),
            message: "db down".into(),
        };
        OpenBreakerView {
            by: "failureRate",
            ago_ms: 2_130,
            asks_in_ms: Some(37_020),
            in_a_row,
            calls: 12,
            failures: 10,
            slow_calls: 0,
            failures_in_a_row: 4,
            last_failures: vec![failed],
        }
    }

    #[test]
    fn a_topic_that_takes_nothing_says_why() {
        let guards = GuardRegistry::new(&[]).expect("no participants");
        let topic = Arc::from("shop.notices");
        assert!(guards.blocking_guards(&["transport:shop.notices".to_owned()]).is_empty());
        guards.topics().record_failure(&topic, "no file has a record `Noted`", Duration::from_secs(5));
        let held = guards.blocking_guards(&["transport:shop.notices".to_owned()]);
        assert_eq!(held[0].text, "the topic shop.notices takes no records: no file has a record `Noted`");
    }

    #[test]
    fn an_open_breaker_says_what_opened_it_and_when_it_asks() {
        assert_eq!(why(&opened(1)), "the breaker opened because 10 of 12 calls failed");
        assert_eq!(why(&opened(3)), "the breaker opened because 10 of 12 calls failed, 2 probes failed since");
        assert_eq!(next(&opened(1)), "next probe in 38 s");
        assert_eq!(next(&OpenBreakerView { asks_in_ms: None, ..opened(1) }), "probes are sent now");
    }
}
