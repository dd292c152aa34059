//! Which sagas leave: what definitions say, as times.

use saga_core::definition::{RetentionRule, RetentionTarget};
use saga_event_store::{LeavingRule, StartPeriod, StreamStanding};
use std::time::Duration;
use uuid::Uuid;

/// How long the sagas of a definition stay in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionOf {
    /// Name of the definition.
    pub saga: String,
    /// What it says.
    pub rule: RetentionRule,
}

impl RetentionOf {
    pub(super) fn goes_to_archive(&self) -> bool {
        self.rule.to == RetentionTarget::Archive
    }
}

/// The rules of one pass, by its time.
pub(super) struct PassRules<'a> {
    retention: &'a [RetentionOf],
    now_ms: i64,
}

/// The rules for the sagas of one period.
pub(super) struct PeriodRules {
    /// The sagas that leave.
    pub(super) all: Vec<LeavingRule>,
    /// The definitions whose sagas go to files.
    archived: Vec<String>,
}

impl<'a> PassRules<'a> {
    pub(super) fn of(retention: &'a [RetentionOf], now_ms: i64) -> PassRules<'a> {
        PassRules { retention, now_ms }
    }

    /// Of a partition a definition's sagas leave when all of them have been started long enough ago: so they leave at
    /// once.
    pub(super) fn of_partition(&self, period: StartPeriod) -> PeriodRules {
        self.rules(|changed_before_ms| (period.to_ms <= changed_before_ms).then_some(period.to_ms))
    }

    /// Of sagas without a partition as many leave together as a partition would have.
    pub(super) fn of_old(&self, width: Duration) -> PeriodRules {
        let width_ms = i64::try_from(width.as_millis()).unwrap_or(i64::MAX).max(1);
        self.rules(|changed_before_ms| Some(changed_before_ms / width_ms * width_ms))
    }

    fn rules(&self, started_before: impl Fn(i64) -> Option<i64>) -> PeriodRules {
        let mut rules = PeriodRules { all: Vec::new(), archived: Vec::new() };
        for RetentionOf { saga, rule } in self.retention {
            let changed_before_ms =
                self.now_ms.saturating_sub(i64::try_from(rule.after.as_millis()).unwrap_or(i64::MAX));
            let Some(started_before_ms) = started_before(changed_before_ms) else { continue };
            rules.all.push(LeavingRule { category: saga.clone(), changed_before_ms, started_before_ms });
            if rule.to == RetentionTarget::Archive {
                rules.archived.push(saga.clone());
            }
        }
        rules
    }
}

impl PeriodRules {
    pub(super) fn lets_leave(&self, it: &StreamStanding) -> bool {
        let allows = |rule: &LeavingRule| {
            rule.category == it.summary.category
                && it.summary.updated_at_ms < rule.changed_before_ms
                && start_ms(it.summary.stream) < rule.started_before_ms
        };
        !it.open && self.all.iter().any(allows)
    }

    pub(super) fn is_archived(&self, category: &str) -> bool {
        self.archived.iter().any(|saga| saga == category)
    }
}

/// The time with which the id of a stream begins.
pub(super) fn start_ms(stream: Uuid) -> i64 {
    i64::try_from(stream.as_u128() >> 80).unwrap_or(i64::MAX)
}
