//! Where reading of a partition begins: at the committed offset of the group if it is valid in this log, and otherwise,
//! at the first contact, where the definition says.

use super::{
    TopicStart,
    continuity::{self, ClaimedPosition, ContinuityVerdict, OffsetRange},
    fingerprint::{FingerprintHistory, PositionProof},
    initial_offsets::TopicInitialOffsets,
    log_reader::{LogReader, TopicPartitionOffset},
};
use crate::settings::{KafkaSettings, USUAL_BATCH};
use rdkafka::error::KafkaResult;
use saga_core::definition::TriggerStartPosition;
use saga_wire::record::TopicPartition;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Topics that drop records which newer ones of their key replace.
pub(super) type CompactedTopics = BTreeSet<Arc<str>>;

/// Where one partition begins, and what proves it.
#[derive(Debug)]
pub(super) struct StartPosition {
    pub(super) partition: TopicPartition,
    pub(super) next: i64,
    pub(super) end: i64,
    pub(super) proof: PositionProof,
    pub(super) beginning: StartOrigin,
}

/// What a position follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartOrigin {
    /// The group's committed offset.
    Committed,
    /// The group has no committed offset here; so many records lie ahead.
    FirstContact(u64),
    /// The committed offset `expected` does not belong to this log, or was removed from it.
    Reset { expected: i64, verdict: ContinuityVerdict },
}

/// Positions of all `wanted` partitions, or an error if the broker did not say everything.
pub(super) fn positions(
    reader: &LogReader,
    wanted: &[TopicPartition],
    topics: &[TopicStart],
    compacted: &CompactedTopics,
) -> KafkaResult<Vec<StartPosition>> {
    let extents = reader.extents(wanted)?;
    let mut claims = Vec::with_capacity(wanted.len());
    let mut fresh = BTreeSet::new();
    for (partition, committed) in reader.committed(wanted)? {
        let claim = match committed {
            Some((next, metadata)) => {
                ClaimedPosition { next, proof: PositionProof::parse(&metadata).unwrap_or_default() }
            }
            None => {
                fresh.insert(partition.clone());
                first_contact(reader, &partition, topics, extents[&partition])?
            }
        };
        claims.push((partition, claim));
    }
    let verdicts = evaluate(reader, &claims, &extents, compacted)?;
    let mut positions: Vec<StartPosition> = claims
        .into_iter()
        .zip(verdicts)
        .map(|((partition, claim), verdict)| {
            let is_fresh = fresh.contains(&partition);
            let extent = extents[&partition];
            position(partition, claim, verdict, extent, is_fresh)
        })
        .collect();
    find_fingerprints(reader, &mut positions)?;
    Ok(positions)
}

/// Partitions of `topic` that have records below the committed offset of `group`, with that offset. Only where the
/// offset belongs to this log: an offset that was committed for a former log says nothing about the records of this
/// one.
pub(crate) fn offsets_to_trim(settings: &KafkaSettings, group: &str, topic: &Arc<str>) -> KafkaResult<Vec<(i32, i64)>> {
    let reader = LogReader::open(settings, group, USUAL_BATCH)?;
    let committed = reader.committed(&reader.partitions_of(topic)?)?.into_iter();
    let claims: Vec<(TopicPartition, ClaimedPosition)> = committed
        .filter_map(|(partition, committed)| {
            let (next, metadata) = committed?;
            Some((partition, ClaimedPosition { next, proof: PositionProof::parse(&metadata).unwrap_or_default() }))
        })
        .collect();
    let verdicts = check(&reader, &claims, &CompactedTopics::new())?;
    let finished = claims
        .iter()
        .zip(verdicts)
        .filter(|((_, claim), (verdict, extent))| *verdict == ContinuityVerdict::Fits && claim.next > extent.low);
    Ok(finished.map(|((partition, claim), _)| (partition.partition, claim.next)).collect())
}

/// What becomes of positions, by what the partitions hold now.
pub(super) fn check(
    reader: &LogReader,
    claims: &[(TopicPartition, ClaimedPosition)],
    compacted: &CompactedTopics,
) -> KafkaResult<Vec<(ContinuityVerdict, OffsetRange)>> {
    let partitions: Vec<TopicPartition> = claims.iter().map(|(partition, _)| partition.clone()).collect();
    let extents = reader.extents(&partitions)?;
    let verdicts = evaluate(reader, claims, &extents, compacted)?;
    Ok(partitions.iter().zip(verdicts).map(|(partition, verdict)| (verdict, extents[partition])).collect())
}

fn evaluate(
    reader: &LogReader,
    claims: &[(TopicPartition, ClaimedPosition)],
    extents: &BTreeMap<TopicPartition, OffsetRange>,
    compacted: &CompactedTopics,
) -> KafkaResult<Vec<ContinuityVerdict>> {
    let wanted: Vec<TopicPartitionOffset> = claims
        .iter()
        .flat_map(|(partition, claim)| {
            let asked = continuity::offsets_to_read(claim, extents[partition]);
            // Where nothing proves the position, one record is read all the same: a partition that cannot be read must
            // not appear healthy.
            let asked = if asked.is_empty() { vec![readable(claim.next, extents[partition])] } else { asked };
            asked.into_iter().map(|offset| (partition.clone(), offset))
        })
        .collect();
    let mut found = reader.records(&wanted)?;
    let verdict = |(partition, claim): &(TopicPartition, ClaimedPosition)| {
        let of_partition = found.remove(partition).unwrap_or_default();
        continuity::evaluate(claim, extents[partition], &of_partition, compacted.contains(&partition.topic))
    };
    Ok(claims.iter().map(verdict).collect())
}

fn readable(offset: i64, extent: OffsetRange) -> i64 {
    offset.min(extent.end).max(extent.low)
}

fn first_contact(
    reader: &LogReader,
    partition: &TopicPartition,
    topics: &[TopicStart],
    extent: OffsetRange,
) -> KafkaResult<ClaimedPosition> {
    let start = topics.iter().find(|start| start.topic == partition.topic);
    let known = start.and_then(|start| start.initial_offsets.as_deref());
    let next = match (start.map(|start| start.from).unwrap_or_default(), known) {
        (TriggerStartPosition::Earliest, _) => extent.low,
        (TriggerStartPosition::Latest | TriggerStartPosition::Time(_), Some(contact)) => {
            return Ok(after_initial_offset(contact, partition.partition, extent));
        }
        (TriggerStartPosition::Latest, None) => extent.end,
        (TriggerStartPosition::Time(time), None) => {
            reader.at_time(std::slice::from_ref(partition), time.0)?.get(partition).copied().unwrap_or(extent.end)
        }
    };
    Ok(ClaimedPosition { next, proof: PositionProof::default() })
}

/// A partition that did not exist at the first contact holds nothing older than it, whatever its timestamps: it is read
/// from its oldest record.
fn after_initial_offset(contact: &TopicInitialOffsets, partition: i32, extent: OffsetRange) -> ClaimedPosition {
    let Some(place) = contact.partitions.get(&partition) else {
        return ClaimedPosition { next: extent.low, proof: PositionProof::default() };
    };
    ClaimedPosition {
        next: place.next,
        proof: PositionProof { low: place.low, history: FingerprintHistory::of(place.fingerprint) },
    }
}

fn position(
    partition: TopicPartition,
    claim: ClaimedPosition,
    verdict: ContinuityVerdict,
    extent: OffsetRange,
    fresh: bool,
) -> StartPosition {
    let expected = claim.next;
    let next = match verdict {
        ContinuityVerdict::Fits => expected,
        ContinuityVerdict::Expired => extent.low,
        ContinuityVerdict::Replaced { resume } => resume,
    };
    let beginning = match verdict {
        ContinuityVerdict::Fits | ContinuityVerdict::Expired | ContinuityVerdict::Replaced { .. } if fresh => {
            StartOrigin::FirstContact(u64::try_from(extent.end - next).unwrap_or(0))
        }
        ContinuityVerdict::Fits => StartOrigin::Committed,
        ContinuityVerdict::Expired | ContinuityVerdict::Replaced { .. } => StartOrigin::Reset { expected, verdict },
    };
    let proof = continuity::proof_after(claim, verdict, extent);
    StartPosition { partition, next, end: extent.end, proof, beginning }
}

/// For positions that nothing proves yet: the record before them, if there is one.
fn find_fingerprints(reader: &LogReader, positions: &mut [StartPosition]) -> KafkaResult<()> {
    let bare = |one: &&mut StartPosition| one.proof.newest().is_none() && one.next > one.proof.low;
    let wanted: Vec<TopicPartitionOffset> =
        positions.iter_mut().filter(bare).map(|one| (one.partition.clone(), one.next - 1)).collect();
    let found = reader.records(&wanted)?;
    for position in positions.iter_mut() {
        let before = found.get(&position.partition).and_then(|found| *found.get(&(position.next - 1))?);
        if let Some(fingerprint) = before.filter(|fingerprint| fingerprint.offset < position.next) {
            position.proof.history.push(fingerprint);
        }
    }
    Ok(())
}
