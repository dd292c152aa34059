//! Where a participant is in its life, as far as its guards and its checks can tell.

use saga_guards::health;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where a participant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LifecyclePhase {
    /// Known by name; neither called nor checked yet.
    Registered,
    /// The first call or check is under way.
    Starting,
    /// The participant answers, and nothing in [`Degraded`](Self::Degraded) applies.
    Running,
    /// It answers, but not with all that it could: an endpoint is left out, its breaker is trying it out, it runs at a
    /// share of its capacity, or a participant that it needs has failed.
    Degraded,
    /// It was removed from participants.yaml; calls to it are still out.
    Stopping,
    /// Its calls are refused: the breaker is open, was forced open, or its checks find it unhealthy.
    Failed,
}

impl LifecyclePhase {
    /// Every phase, in the order in which the enum lists them.
    pub const ALL: [LifecyclePhase; 6] = [
        LifecyclePhase::Registered,
        LifecyclePhase::Starting,
        LifecyclePhase::Running,
        LifecyclePhase::Degraded,
        LifecyclePhase::Stopping,
        LifecyclePhase::Failed,
    ];

    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LifecyclePhase::Registered => "registered",
            LifecyclePhase::Starting => "starting",
            LifecyclePhase::Running => "running",
            LifecyclePhase::Degraded => "degraded",
            LifecyclePhase::Stopping => "stopping",
            LifecyclePhase::Failed => "failed",
        }
    }
}

/// What is seen of a participant at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ParticipantObservation {
    /// Whether participants.yaml has the participant.
    pub listed: ConfigPresence,
    /// What its breaker does with calls.
    pub gate: BreakerTraffic,
    /// What its health checks say; `None`: it is not checked.
    pub checks: Option<HealthCheckProgress>,
    /// Calls that were admitted since the process began.
    pub calls_begun: u64,
    /// Number of calls that have no answer yet.
    pub calls_out: u32,
    /// Endpoints that are left out because they failed, or their checks find them unhealthy.
    pub endpoints_ejected: usize,
    /// Share of its capacity that may be used, at most 1.
    pub share: f64,
}

/// Whether participants.yaml has a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigPresence {
    /// participants.yaml has the participant.
    Yes,
    /// A new version of participants.yaml does not have it any more.
    Removed,
}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerTraffic {
    /// Lets them through: closed, disabled, or only measuring.
    Passing,
    /// Lets some through: half-open, ramping, or shedding.
    Trying,
    /// Lets none through: open, or forced open.
    Refusing,
}

/// What health checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthCheckProgress {
    /// No check of the participant has ended yet.
    Awaited,
    /// So many have, and that is what they say.
    Ended(health::HealthState),
}

impl HealthCheckProgress {
    /// The progress that `snapshot` of the checks shows.
    #[must_use]
    pub(crate) fn of(snapshot: &health::HealthSnapshot) -> HealthCheckProgress {
        match snapshot.checked_ago {
            None => HealthCheckProgress::Awaited,
            Some(_) => HealthCheckProgress::Ended(snapshot.state),
        }
    }
}

/// One participant, and the names of those that it needs.
#[derive(Clone, Debug)]
pub(crate) struct ObservedParticipant<'a> {
    /// Name of the participant in participants.yaml.
    pub name: &'a str,
    /// What is seen of it.
    pub seen: ParticipantObservation,
    /// Names of those that it needs.
    pub depends_on: &'a [String],
}

/// Where each participant is in its life, by name.
#[must_use]
pub(crate) fn lifecycles<'a>(all: &[ObservedParticipant<'a>]) -> BTreeMap<&'a str, LifecyclePhase> {
    let alone: BTreeMap<&str, LifecyclePhase> = all.iter().map(|each| (each.name, alone(&each.seen))).collect();
    let failed: BTreeSet<&str> =
        alone.iter().filter(|(_, lifecycle)| **lifecycle == LifecyclePhase::Failed).map(|(name, _)| *name).collect();
    let among_others = |each: &ObservedParticipant<'a>| {
        let needs_failed = each.depends_on.iter().any(|name| failed.contains(name.as_str()));
        let lifecycle = match alone[each.name] {
            LifecyclePhase::Running if needs_failed => LifecyclePhase::Degraded,
            lifecycle @ (LifecyclePhase::Registered
            | LifecyclePhase::Starting
            | LifecyclePhase::Running
            | LifecyclePhase::Degraded
            | LifecyclePhase::Stopping
            | LifecyclePhase::Failed) => lifecycle,
        };
        (each.name, lifecycle)
    };
    all.iter().map(among_others).collect()
}

/// Where a participant is in its life, whatever those are that it needs.
fn alone(seen: &ParticipantObservation) -> LifecyclePhase {
    let unwell = seen.checks == Some(HealthCheckProgress::Ended(health::HealthState::Unhealthy));
    match (seen.listed, seen.gate) {
        (ConfigPresence::Removed, BreakerTraffic::Passing | BreakerTraffic::Trying | BreakerTraffic::Refusing) => {
            LifecyclePhase::Stopping
        }
        (ConfigPresence::Yes, BreakerTraffic::Refusing) => LifecyclePhase::Failed,
        (ConfigPresence::Yes, BreakerTraffic::Passing | BreakerTraffic::Trying) if unwell => LifecyclePhase::Failed,
        (ConfigPresence::Yes, BreakerTraffic::Trying) => LifecyclePhase::Degraded,
        (ConfigPresence::Yes, BreakerTraffic::Passing) => passing(seen),
    }
}

fn passing(seen: &ParticipantObservation) -> LifecyclePhase {
    let answered = seen.calls_begun.saturating_sub(u64::from(seen.calls_out)) > 0;
    let checked = matches!(seen.checks, Some(HealthCheckProgress::Ended(_)));
    let less_than_all = seen.endpoints_ejected > 0 || seen.share < 1.0;
    match (answered || checked, seen.calls_begun > 0 || seen.checks.is_some()) {
        (false, false) => LifecyclePhase::Registered,
        (false, true) => LifecyclePhase::Starting,
        (true, _) if less_than_all => LifecyclePhase::Degraded,
        (true, _) => LifecyclePhase::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: ParticipantObservation = ParticipantObservation {
        listed: ConfigPresence::Yes,
        gate: BreakerTraffic::Passing,
        checks: None,
        calls_begun: 0,
        calls_out: 0,
        endpoints_ejected: 0,
        share: 1.0,
    };
    const USED: ParticipantObservation = ParticipantObservation { calls_begun: 10, calls_out: 2, ..NEW };

    #[test]
    fn what_is_seen_tells_where_a_participant_is_in_its_life() {
        let checked = |state| Some(HealthCheckProgress::Ended(state));
        let table = [
            (NEW, LifecyclePhase::Registered),
            (ParticipantObservation { calls_begun: 2, calls_out: 2, ..NEW }, LifecyclePhase::Starting),
            (ParticipantObservation { checks: Some(HealthCheckProgress::Awaited), ..NEW }, LifecyclePhase::Starting),
            (USED, LifecyclePhase::Running),
            (ParticipantObservation { checks: checked(health::HealthState::Healthy), ..NEW }, LifecyclePhase::Running),
            (ParticipantObservation { checks: checked(health::HealthState::Unknown), ..NEW }, LifecyclePhase::Running),
            (ParticipantObservation { gate: BreakerTraffic::Trying, ..USED }, LifecyclePhase::Degraded),
            (ParticipantObservation { endpoints_ejected: 1, ..USED }, LifecyclePhase::Degraded),
            (ParticipantObservation { share: 0.25, ..USED }, LifecyclePhase::Degraded),
            (ParticipantObservation { gate: BreakerTraffic::Refusing, ..USED }, LifecyclePhase::Failed),
            (ParticipantObservation { gate: BreakerTraffic::Refusing, ..NEW }, LifecyclePhase::Failed),
            (
                ParticipantObservation { checks: checked(health::HealthState::Unhealthy), ..USED },
                LifecyclePhase::Failed,
            ),
            (
                ParticipantObservation { listed: ConfigPresence::Removed, gate: BreakerTraffic::Refusing, ..USED },
                LifecyclePhase::Stopping,
            ),
        ];
        for (seen, expected) in table {
            assert_eq!(alone(&seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn whoever_needs_one_that_failed_is_degraded_and_whoever_needs_that_one_is_not() {
        let failed = ParticipantObservation { gate: BreakerTraffic::Refusing, ..USED };
        let (on_database, on_payments) = (["database".to_owned()], ["payments".to_owned()]);
        let all = lifecycles(&[
            ObservedParticipant { name: "web", seen: USED, depends_on: &on_payments },
            ObservedParticipant { name: "payments", seen: USED, depends_on: &on_database },
            ObservedParticipant { name: "database", seen: failed, depends_on: &[] },
            ObservedParticipant { name: "idle", seen: NEW, depends_on: &on_database },
        ]);
        let expected = [
            ("web", LifecyclePhase::Running),
            ("payments", LifecyclePhase::Degraded),
            ("database", LifecyclePhase::Failed),
            ("idle", LifecyclePhase::Registered),
        ];
        assert_eq!(all, BTreeMap::from(expected));
    }
}
