//! The participant that performs a command that names a capability instead of a participant.

use super::{GuardRegistry, GuardedParticipant, ParticipantRoute};
use saga_core::{decide::CapabilityRequest, definition::TransportKind};
use std::time::Duration;

/// One of those that could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ParticipantCandidate<'a> {
    name: &'a str,
    /// When it may be asked; zero: now.
    available_in: Duration,
    /// Calls that are out or wait.
    calls: u32,
    /// Calls that may be out at once, at least 1.
    limit: u32,
}

impl GuardRegistry {
    /// The participant that is to perform a command: of those with the capability that may be asked now, the one with
    /// fewest calls for its places; if none may, the one that may be asked soonest. `None`: no participant has it.
    #[must_use]
    pub fn choose(&self, choosing: CapabilityRequest<'_>) -> Option<String> {
        let participants = self.participants.load();
        let capable = participants.iter().filter(|(_, it)| it.can(choosing));
        let candidates: Vec<_> = capable.map(|(name, it)| self.candidate(name, it)).collect();
        best(candidates, fastrand::u64(..)).map(|best| best.name.to_owned())
    }

    fn candidate<'a>(&self, name: &'a str, participant: &GuardedParticipant) -> ParticipantCandidate<'a> {
        let unwell = participant.check_health().err().unwrap_or_default();
        let view = participant.gate.view();
        ParticipantCandidate {
            name,
            available_in: participant.gate.time_to_admission().max(unwell),
            calls: view.permits.saturating_add(view.queued),
            limit: view.limit.get(),
        }
    }
}

impl GuardedParticipant {
    pub(super) fn can(&self, choosing: CapabilityRequest<'_>) -> bool {
        let over = match &self.route {
            ParticipantRoute::Http { .. } => TransportKind::Http,
            ParticipantRoute::Kafka { .. } => TransportKind::Kafka,
        };
        over == choosing.over && self.capabilities.contains(choosing.capability)
    }
}

/// Among equals one by chance: otherwise the first by name would get all calls of a quiet hour.
fn best(mut candidates: Vec<ParticipantCandidate<'_>>, random: u64) -> Option<ParticipantCandidate<'_>> {
    if candidates.is_empty() {
        return None;
    }
    candidates.sort_unstable_by_key(|it| it.name);
    let count = candidates.len() as u64;
    candidates.rotate_left(usize::try_from(random % count).unwrap_or(0));
    candidates.into_iter().reduce(|best, other| if other.is_better_than(&best) { other } else { best })
}

impl ParticipantCandidate<'_> {
    fn is_better_than(&self, other: &ParticipantCandidate<'_>) -> bool {
        let load = |one: &ParticipantCandidate<'_>, places: u32| (u64::from(one.calls) + 1) * u64::from(places);
        if self.available_in != other.available_in {
            return self.available_in < other.available_in;
        }
        load(self, other.limit) < load(other, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: ParticipantCandidate<'static> =
        ParticipantCandidate { name: "free", available_in: Duration::ZERO, calls: 0, limit: 8 };

    fn chosen(candidates: &[ParticipantCandidate<'static>], random: u64) -> Option<&'static str> {
        best(candidates.to_vec(), random).map(|best| best.name)
    }

    #[test]
    fn the_least_busy_for_its_places_of_those_that_may_be_asked_is_chosen() {
        let shut = ParticipantCandidate { name: "shut", available_in: Duration::from_secs(1), ..FREE };
        let small = ParticipantCandidate { name: "small", calls: 1, limit: 2, ..FREE };
        let large = ParticipantCandidate { name: "large", calls: 5, limit: 64, ..FREE };
        for random in 0..6 {
            assert_eq!(chosen(&[shut, small, large], random), Some("large"));
            assert_eq!(chosen(&[shut, small], random), Some("small"));
        }
    }

    #[test]
    fn where_none_may_be_asked_it_is_the_one_that_may_soonest() {
        let in_seconds =
            |name, seconds| ParticipantCandidate { name, available_in: Duration::from_secs(seconds), ..FREE };
        for random in 0..6 {
            let all = [in_seconds("later", 9), in_seconds("soon", 2), in_seconds("late", 5)];
            assert_eq!(chosen(&all, random), Some("soon"));
        }
    }

    #[test]
    fn equals_take_turns_by_chance_and_nobody_is_nobody() {
        let all = [ParticipantCandidate { name: "a", ..FREE }, ParticipantCandidate { name: "b", ..FREE }];
        assert_eq!([0, 1, 2].map(|random| chosen(&all, random)), [Some("a"), Some("b"), Some("a")]);
        assert_eq!(chosen(&[], 7), None);
    }
}
