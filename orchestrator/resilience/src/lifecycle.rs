//! Where a participant is in its life, as far as its guards and its checks can tell.

use saga_guards::health;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where a participant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Lifecycle {
    /// Known by name; neither called nor checked yet.
    Registered,
    /// The first call or check is under way.
    Starting,
    /// It answers.
    Running,
    /// It answers, but not with all that it could: an endpoint is left out, its breaker is trying it out, it runs at a share of its
    /// capacity, or a participant that it needs has failed.
    Degraded,
    /// It was removed from participants.yaml; calls to it are still out.
    Stopping,
    /// Its calls are refused: the breaker is open, was forced open, or its checks find it unwell.
    Failed,
}

impl Lifecycle {
    /// All of them.
    pub const ALL: [Lifecycle; 6] = [
        Lifecycle::Registered,
        Lifecycle::Starting,
        Lifecycle::Running,
        Lifecycle::Degraded,
        Lifecycle::Stopping,
        Lifecycle::Failed,
    ];

    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Lifecycle::Registered => "registered",
            Lifecycle::Starting => "starting",
            Lifecycle::Running => "running",
            Lifecycle::Degraded => "degraded",
            Lifecycle::Stopping => "stopping",
            Lifecycle::Failed => "failed",
        }
    }
}

/// What is seen of a participant at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observations {
    /// Whether participants.yaml has it.
    pub listed: Listed,
    /// What its breaker does with calls.
    pub gate: Gate,
    /// What its health checks say; `None`: it is not checked.
    pub checks: Option<Checks>,
    /// Calls that were admitted since the process began.
    pub calls_begun: u64,
    /// Calls that are unanswered.
    pub calls_out: u32,
    /// Endpoints that are left out because they failed, or their checks find them unwell.
    pub endpoints_ejected: usize,
    /// Share of its capacity that may be used, at most 1.
    pub share: f64,
}

/// Whether participants.yaml has a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// It has.
    Yes,
    /// Not any more.
    Removed,
}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Lets them through: closed, disabled, or only measuring.
    Passing,
    /// Lets some through: half-open, ramping, or shedding.
    Trying,
    /// Lets none through: open, or forced open.
    Refusing,
}

/// What health checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// None has ended.
    Awaited,
    /// So many have, and that is what they say.
    Ended(health::State),
}

impl Checks {
    /// What `snapshot` tells.
    #[must_use]
    pub fn of(snapshot: &health::Snapshot) -> Checks {
        match snapshot.checked_ago {
            None => Checks::Awaited,
            Some(_) => Checks::Ended(snapshot.state),
        }
    }
}

/// One participant, and the names of those that it needs.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Its name.
    pub name: &'a str,
    /// What is seen of it.
    pub seen: Observations,
    /// Names of those that it needs.
    pub depends_on: &'a [String],
}

/// Where each participant is in its life, by name.
#[must_use]
pub fn lifecycles<'a>(all: &[Observed<'a>]) -> BTreeMap<&'a str, Lifecycle> {
    let alone: BTreeMap<&str, Lifecycle> = all.iter().map(|each| (each.name, alone(&each.seen))).collect();
    let failed: BTreeSet<&str> =
        alone.iter().filter(|(_, lifecycle)| **lifecycle == Lifecycle::Failed).map(|(name, _)| *name).collect();
    let among_others = |each: &Observed<'a>| {
        let needs_failed = each.depends_on.iter().any(|name| failed.contains(name.as_str()));
        let lifecycle = match alone[each.name] {
            Lifecycle::Running if needs_failed => Lifecycle::Degraded,
            lifecycle @ (Lifecycle::Registered
            | Lifecycle::Starting
            | Lifecycle::Running
            | Lifecycle::Degraded
            | Lifecycle::Stopping
            | Lifecycle::Failed) => lifecycle,
        };
        (each.name, lifecycle)
    };
    all.iter().map(among_others).collect()
}

/// Where a participant is in its life, whatever those are that it needs.
fn alone(seen: &Observations) -> Lifecycle {
    let unwell = seen.checks == Some(Checks::Ended(health::State::Unhealthy));
    match (seen.listed, seen.gate) {
        (Listed::Removed, Gate::Passing | Gate::Trying | Gate::Refusing) => Lifecycle::Stopping,
        (Listed::Yes, Gate::Refusing) => Lifecycle::Failed,
        (Listed::Yes, Gate::Passing | Gate::Trying) if unwell => Lifecycle::Failed,
        (Listed::Yes, Gate::Trying) => Lifecycle::Degraded,
        (Listed::Yes, Gate::Passing) => passing(seen),
    }
}

fn passing(seen: &Observations) -> Lifecycle {
    let answered = seen.calls_begun.saturating_sub(u64::from(seen.calls_out)) > 0;
    let checked = matches!(seen.checks, Some(Checks::Ended(_)));
    let less_than_all = seen.endpoints_ejected > 0 || seen.share < 1.0;
    match (answered || checked, seen.calls_begun > 0 || seen.checks.is_some()) {
        (false, false) => Lifecycle::Registered,
        (false, true) => Lifecycle::Starting,
        (true, _) if less_than_all => Lifecycle::Degraded,
        (true, _) => Lifecycle::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Observations = Observations {
        listed: Listed::Yes,
        gate: Gate::Passing,
        checks: None,
        calls_begun: 0,
        calls_out: 0,
        endpoints_ejected: 0,
        share: 1.0,
    };
    const USED: Observations = Observations { calls_begun: 10, calls_out: 2, ..NEW };

    #[test]
    fn what_is_seen_tells_where_a_participant_is_in_its_life() {
        let checked = |state| Some(Checks::Ended(state));
        let table = [
            (NEW, Lifecycle::Registered),
            (Observations { calls_begun: 2, calls_out: 2, ..NEW }, Lifecycle::Starting),
            (Observations { checks: Some(Checks::Awaited), ..NEW }, Lifecycle::Starting),
            (USED, Lifecycle::Running),
            (Observations { checks: checked(health::State::Healthy), ..NEW }, Lifecycle::Running),
            (Observations { checks: checked(health::State::Unknown), ..NEW }, Lifecycle::Running),
            (Observations { gate: Gate::Trying, ..USED }, Lifecycle::Degraded),
            (Observations { endpoints_ejected: 1, ..USED }, Lifecycle::Degraded),
            (Observations { share: 0.25, ..USED }, Lifecycle::Degraded),
            (Observations { gate: Gate::Refusing, ..USED }, Lifecycle::Failed),
            (Observations { gate: Gate::Refusing, ..NEW }, Lifecycle::Failed),
            (Observations { checks: checked(health::State::Unhealthy), ..USED }, Lifecycle::Failed),
            (Observations { listed: Listed::Removed, gate: Gate::Refusing, ..USED }, Lifecycle::Stopping),
        ];
        for (seen, expected) in table {
            assert_eq!(alone(&seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn whoever_needs_one_that_failed_is_degraded_and_whoever_needs_that_one_is_not() {
        let failed = Observations { gate: Gate::Refusing, ..USED };
        let (on_database, on_payments) = (["database".to_owned()], ["payments".to_owned()]);
        let all = lifecycles(&[
            Observed { name: "web", seen: USED, depends_on: &on_payments },
            Observed { name: "payments", seen: USED, depends_on: &on_database },
            Observed { name: "database", seen: failed, depends_on: &[] },
            Observed { name: "idle", seen: NEW, depends_on: &on_database },
        ]);
        let expected = [
            ("web", Lifecycle::Running),
            ("payments", Lifecycle::Degraded),
            ("database", Lifecycle::Failed),
            ("idle", Lifecycle::Registered),
        ];
        assert_eq!(all, BTreeMap::from(expected));
    }
}
