//! Which member of the consumer group reads what. An engine without partitions may be a spare one, or a program that is
//! no engine may hold its partitions. Pure.

use rdkafka::groups::GroupInfo;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

/// Bytes of an assignment that are read: far more than 4,096 partitions take.
const LARGEST: usize = 1024 * 1024;

/// Partitions of our topics that engines do not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupCoverage {
    /// Members that are no engines and hold partitions of our topics.
    pub foreign: Vec<ForeignMember>,
    /// Since when `foreign` has members.
    pub foreign_since: Option<Instant>,
    /// Partitions of our topics that no member holds.
    pub unassigned: usize,
    /// Since when `unassigned` is above 0.
    pub unassigned_since: Option<Instant>,
}

/// A member that is no engine: its `client.id` is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignMember {
    /// The member's `client.id`, by which it is known to be no engine.
    pub client_id: String,
    /// Where it runs, as the broker sees it.
    pub host: String,
    /// Partitions of our topics that it holds.
    pub partitions: usize,
}

/// What one check finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CoverageSample {
    pub(super) foreign: Vec<ForeignMember>,
    pub(super) unassigned: usize,
}

impl GroupCoverage {
    /// Takes what a check found at `now`.
    pub(super) fn update(&mut self, seen: CoverageSample, now: Instant) {
        self.foreign_since = self.foreign_since.or(Some(now)).filter(|_| !seen.foreign.is_empty());
        self.unassigned_since = self.unassigned_since.or(Some(now)).filter(|_| seen.unassigned > 0);
        self.foreign = seen.foreign;
        self.unassigned = seen.unassigned;
    }
}

/// Reads the broker's description of the group; `ours` are all partitions of our topics. `None`: the group is
/// rebalancing.
pub(super) fn read(group: &GroupInfo, client_id: &str, ours: &BTreeSet<(Arc<str>, i32)>) -> Option<CoverageSample> {
    if group.state() == "Empty" || group.state() == "Dead" {
        return Some(CoverageSample { foreign: Vec::new(), unassigned: ours.len() });
    }
    let members = group.members().iter();
    let members = members.map(|one| (one.client_id(), one.client_host(), one.assignment().unwrap_or_default()));
    (group.state() == "Stable").then(|| cover(members, client_id, ours))
}

fn cover<'a>(
    members: impl Iterator<Item = (&'a str, &'a str, &'a [u8])>,
    client_id: &str,
    ours: &BTreeSet<(Arc<str>, i32)>,
) -> CoverageSample {
    let mut unassigned = ours.clone();
    let mut foreign = Vec::new();
    for (member, host, assignment) in members {
        let held = assigned(assignment).unwrap_or_default();
        let held: Vec<(Arc<str>, i32)> = held.into_iter().filter(|one| unassigned.remove(one)).collect();
        if member != client_id && !held.is_empty() {
            let host = host.trim_start_matches('/').to_owned();
            foreign.push(ForeignMember { client_id: member.to_owned(), host, partitions: held.len() });
        }
    }
    CoverageSample { foreign, unassigned: unassigned.len() }
}

/// The partitions in a member's assignment, in the form that Kafka's consumers share: version, topics with their
/// partitions, the rest.
fn assigned(bytes: &[u8]) -> Option<Vec<(Arc<str>, i32)>> {
    let mut left = Some(bytes).filter(|bytes| bytes.len() <= LARGEST)?.split_at_checked(2)?.1;
    let mut by_topic: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for _ in 0..number(&mut left)? {
        let (length, rest) = left.split_first_chunk::<2>()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        left = rest;
        let topic: Arc<str> = std::str::from_utf8(name).ok()?.into();
        for _ in 0..number(&mut left)? {
            by_topic.entry(Arc::clone(&topic)).or_default().push(number(&mut left)?);
        }
    }
    let pairs = by_topic.into_iter();
    Some(pairs.flat_map(|(topic, all)| all.into_iter().map(move |one| (Arc::clone(&topic), one))).collect())
}

fn number(left: &mut &[u8]) -> Option<i32> {
    let (bytes, rest) = left.split_first_chunk::<4>()?;
    *left = rest;
    Some(i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn assignment(topic: &str, partitions: &[i32]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0, 0, 1];
        bytes.extend(u16::try_from(topic.len()).expect("short").to_be_bytes());
        bytes.extend(topic.as_bytes());
        bytes.extend(i32::try_from(partitions.len()).expect("few").to_be_bytes());
        partitions.iter().for_each(|one| bytes.extend(one.to_be_bytes()));
        bytes.extend([0xff; 4]);
        bytes
    }

    fn ours() -> BTreeSet<(Arc<str>, i32)> {
        (0..4).map(|partition| (Arc::from("shop.orders"), partition)).collect()
    }

    #[test]
    fn a_program_that_is_no_engine_and_holds_partitions_is_named_and_a_spare_engine_is_not() {
        let (engine, kcat) = (assignment("shop.orders", &[0]), assignment("shop.orders", &[1, 2]));
        let members = [
            ("saga-orchestrator", "/10.0.0.1", &*engine),
            ("saga-orchestrator", "/10.0.0.2", &[]),
            ("rdkafka", "/10.0.0.9", &*kcat),
        ];
        let seen = cover(members.into_iter(), "saga-orchestrator", &ours());
        let foreign = ForeignMember { client_id: "rdkafka".into(), host: "10.0.0.9".into(), partitions: 2 };
        assert_eq!(seen, CoverageSample { foreign: vec![foreign], unassigned: 1 });
    }

    #[test]
    fn an_assignment_that_cannot_be_read_holds_nothing() {
        let whole = assignment("shop.orders", &[0, 1]);
        for end in 0..whole.len() - 4 {
            assert_eq!(assigned(&whole[..end]), None, "{end}");
        }
        assert_eq!(assigned(&whole).map(|all| all.len()), Some(2));
    }

    #[test]
    fn what_lasts_keeps_its_beginning() {
        let (mut coverage, now) = (GroupCoverage::default(), Instant::now());
        let unassigned = || CoverageSample { foreign: Vec::new(), unassigned: 2 };
        coverage.update(unassigned(), now);
        coverage.update(unassigned(), now + Duration::from_secs(5));
        assert_eq!(coverage.unassigned_since, Some(now));
        coverage.update(CoverageSample::default(), now + Duration::from_secs(6));
        assert_eq!(coverage, GroupCoverage::default());
    }
}
