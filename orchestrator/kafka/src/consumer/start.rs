//! Where reading of a partition begins: at the group's committed offset if that is one of this log, and at first contact where the
//! definition says.

use super::{
    TopicStart,
    contact::Contact,
    continuity::{self, Claim, Extent, Verdict},
    log_reader::{At, LogReader},
    witness::{Ladder, Proof},
};
use crate::settings::{Settings, USUAL_BATCH};
use rdkafka::error::KafkaResult;
use saga_core::definition::TriggerFrom;
use saga_wire::record::TopicPartition;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Topics that drop records which newer ones of their key replace.
pub(super) type Compacted = BTreeSet<Arc<str>>;

/// Where a partition begins.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) partition: TopicPartition,
    pub(super) next: i64,
    pub(super) end: i64,
    pub(super) proof: Proof,
    pub(super) beginning: Beginning,
}

/// What a position follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// The group's committed offset.
    Committed,
    /// The group has no committed offset here; so many records lie ahead.
    FirstContact(u64),
    /// The committed offset, `expected`, is not one of this log, or is gone from it.
    Reset { expected: i64, verdict: Verdict },
}

/// Positions of all `wanted` partitions, or an error if the broker did not say everything.
pub(super) fn positions(
    reader: &LogReader,
    wanted: &[TopicPartition],
    topics: &[TopicStart],
    compacted: &Compacted,
) -> KafkaResult<Vec<Position>> {
    let extents = reader.extents(wanted)?;
    let mut claims = Vec::with_capacity(wanted.len());
    let mut fresh = BTreeSet::new();
    for (partition, committed) in reader.committed(wanted)? {
        let claim = match committed {
            Some((next, metadata)) => Claim { next, proof: Proof::parse(&metadata).unwrap_or_default() },
            None => {
                fresh.insert(partition.clone());
                first_contact(reader, &partition, topics, extents[&partition])?
            }
        };
        claims.push((partition, claim));
    }
    let judged = judge(reader, &claims, &extents, compacted)?;
    let mut positions: Vec<Position> = claims
        .into_iter()
        .zip(judged)
        .map(|((partition, claim), verdict)| {
            let is_fresh = fresh.contains(&partition);
            let extent = extents[&partition];
            position(partition, claim, verdict, extent, is_fresh)
        })
        .collect();
    find_witnesses(reader, &mut positions)?;
    Ok(positions)
}

/// Partitions of `topic` that have something below the group's committed offset, with that offset. Only where the offset is one of this
/// log: what was committed of a former one says nothing about what is there now.
pub(crate) fn finished(settings: &Settings, group: &str, topic: &Arc<str>) -> KafkaResult<Vec<(i32, i64)>> {
    let reader = LogReader::open(settings, group, USUAL_BATCH)?;
    let committed = reader.committed(&reader.partitions_of(topic)?)?.into_iter();
    let claims: Vec<(TopicPartition, Claim)> = committed
        .filter_map(|(partition, committed)| {
            let (next, metadata) = committed?;
            Some((partition, Claim { next, proof: Proof::parse(&metadata).unwrap_or_default() }))
        })
        .collect();
    let judged = check(&reader, &claims, &Compacted::new())?;
    let finished = claims
        .iter()
        .zip(judged)
        .filter(|((_, claim), (verdict, extent))| *verdict == Verdict::Fits && claim.next > extent.low);
    Ok(finished.map(|((partition, claim), _)| (partition.partition, claim.next)).collect())
}

/// What becomes of positions, by what the partitions hold now.
pub(super) fn check(
    reader: &LogReader,
    claims: &[(TopicPartition, Claim)],
    compacted: &Compacted,
) -> KafkaResult<Vec<(Verdict, Extent)>> {
    let partitions: Vec<TopicPartition> = claims.iter().map(|(partition, _)| partition.clone()).collect();
    let extents = reader.extents(&partitions)?;
    let verdicts = judge(reader, claims, &extents, compacted)?;
    Ok(partitions.iter().zip(verdicts).map(|(partition, verdict)| (verdict, extents[partition])).collect())
}

fn judge(
    reader: &LogReader,
    claims: &[(TopicPartition, Claim)],
    extents: &BTreeMap<TopicPartition, Extent>,
    compacted: &Compacted,
) -> KafkaResult<Vec<Verdict>> {
    let wanted: Vec<At> = claims
        .iter()
        .flat_map(|(partition, claim)| {
            let asked = continuity::questions(claim, extents[partition]);
            // Where nothing proves the position, a record is read all the same: what cannot be read must not look well.
            let asked = if asked.is_empty() { vec![readable(claim.next, extents[partition])] } else { asked };
            asked.into_iter().map(|offset| (partition.clone(), offset))
        })
        .collect();
    let mut found = reader.records(&wanted)?;
    let verdict = |(partition, claim): &(TopicPartition, Claim)| {
        let of_partition = found.remove(partition).unwrap_or_default();
        continuity::judge(claim, extents[partition], &of_partition, compacted.contains(&partition.topic))
    };
    Ok(claims.iter().map(verdict).collect())
}

fn readable(offset: i64, extent: Extent) -> i64 {
    offset.min(extent.end).max(extent.low)
}

fn first_contact(
    reader: &LogReader,
    partition: &TopicPartition,
    topics: &[TopicStart],
    extent: Extent,
) -> KafkaResult<Claim> {
    let start = topics.iter().find(|start| start.topic == partition.topic);
    let known = start.and_then(|start| start.contact.as_deref());
    let next = match (start.map(|start| start.from).unwrap_or_default(), known) {
        (TriggerFrom::Earliest, _) => extent.low,
        (TriggerFrom::Latest | TriggerFrom::Time(_), Some(contact)) => {
            return Ok(after_contact(contact, partition.partition, extent));
        }
        (TriggerFrom::Latest, None) => extent.end,
        (TriggerFrom::Time(time), None) => {
            reader.at_time(std::slice::from_ref(partition), time.0)?.get(partition).copied().unwrap_or(extent.end)
        }
    };
    Ok(Claim { next, proof: Proof::default() })
}

/// A partition that did not exist then holds nothing that is older, whatever the timestamps in it.
fn after_contact(contact: &Contact, partition: i32, extent: Extent) -> Claim {
    let Some(place) = contact.partitions.get(&partition) else {
        return Claim { next: extent.low, proof: Proof::default() };
    };
    Claim { next: place.next, proof: Proof { low: place.low, ladder: Ladder::of(place.witness) } }
}

fn position(partition: TopicPartition, claim: Claim, verdict: Verdict, extent: Extent, fresh: bool) -> Position {
    let expected = claim.next;
    let next = match verdict {
        Verdict::Fits => expected,
        Verdict::Expired => extent.low,
        Verdict::Replaced { resume } => resume,
    };
    let beginning = match verdict {
        Verdict::Fits | Verdict::Expired | Verdict::Replaced { .. } if fresh => {
            Beginning::FirstContact(u64::try_from(extent.end - next).unwrap_or(0))
        }
        Verdict::Fits => Beginning::Committed,
        Verdict::Expired | Verdict::Replaced { .. } => Beginning::Reset { expected, verdict },
    };
    let proof = continuity::proof_after(claim, verdict, extent);
    Position { partition, next, end: extent.end, proof, beginning }
}

/// For positions that nothing proves yet: the record before them, if there is one.
fn find_witnesses(reader: &LogReader, positions: &mut [Position]) -> KafkaResult<()> {
    let bare = |one: &&mut Position| one.proof.newest().is_none() && one.next > one.proof.low;
    let wanted: Vec<At> = positions.iter_mut().filter(bare).map(|one| (one.partition.clone(), one.next - 1)).collect();
    let found = reader.records(&wanted)?;
    for position in positions.iter_mut() {
        let before = found.get(&position.partition).and_then(|found| *found.get(&(position.next - 1))?);
        if let Some(witness) = before.filter(|witness| witness.offset < position.next) {
            position.proof.ladder.push(witness);
        }
    }
    Ok(())
}
