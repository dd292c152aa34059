//! What proves that a position belongs to the log that the topic has now. Pure.
//!
//! A topic that was deleted and recreated has the same name, and offsets that may fit. So has a partition whose newest
//! records were lost in an unclean election. The client exposes neither the id of a topic nor the epoch of a record. So
//! a position carries digests of records that were read before it: in the same log they are found again at their
//! offsets.

use saga_wire::record::KafkaRecord;
use serde::{Deserialize, Serialize};
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// A record that was read, as evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordFingerprint {
    pub(crate) offset: i64,
    /// Of timestamp, key, value and headers.
    pub(crate) digest: u64,
}

/// Fingerprints that are kept of a partition. Over a million records, each is then about five times as far back as the
/// next one. After a loss of the newest records a few times as many are read again, and the metadata of a commit stays
/// below 400 bytes.
const MAX_FINGERPRINTS: usize = 10;

/// Fingerprints of one log, oldest first: dense near the newest record, and sparser the older they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FingerprintHistory(Vec<RecordFingerprint>);

/// The evidence that is committed with a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PositionProof {
    /// The oldest offset that the log had at the last check. Within one log it never decreases.
    pub(super) low: i64,
    pub(super) history: FingerprintHistory,
}

/// Begins the metadata of a committed offset.
const MARK: &str = "saga.log";

impl RecordFingerprint {
    pub(crate) fn of(record: &KafkaRecord) -> RecordFingerprint {
        let mut hasher = Xxh3::new();
        hasher.update(&record.timestamp.0.to_le_bytes());
        add(&mut hasher, record.key.as_deref());
        add(&mut hasher, record.value.as_deref());
        for (name, value) in &record.headers {
            add(&mut hasher, Some(name.as_bytes()));
            add(&mut hasher, value.as_deref());
        }
        RecordFingerprint { offset: record.offset, digest: hasher.digest() }
    }
}

/// Each part is hashed with its length, so that bytes cannot move from one part to the next. An absent part differs
/// from an empty one.
fn add(hasher: &mut Xxh3, part: Option<&[u8]>) {
    let length = part.map_or(u64::MAX, |bytes| bytes.len() as u64);
    hasher.update(&length.to_le_bytes());
    hasher.update(part.unwrap_or_default());
}

impl FingerprintHistory {
    pub(super) fn of(fingerprint: Option<RecordFingerprint>) -> FingerprintHistory {
        FingerprintHistory(fingerprint.into_iter().collect())
    }

    pub(super) fn fingerprints(&self) -> &[RecordFingerprint] {
        &self.0
    }

    /// A record was read after those that are known.
    pub(super) fn push(&mut self, fingerprint: RecordFingerprint) {
        self.keep_below(fingerprint.offset);
        self.0.push(fingerprint);
        if self.0.len() > MAX_FINGERPRINTS {
            self.thin(fingerprint.offset);
        }
    }

    /// Adds evidence for one question, in its place.
    pub(super) fn extend(&mut self, fingerprints: impl IntoIterator<Item = RecordFingerprint>) {
        for fingerprint in fingerprints {
            if let Err(at) = self.0.binary_search_by_key(&fingerprint.offset, |fingerprint| fingerprint.offset) {
                self.0.insert(at, fingerprint);
            }
        }
    }

    pub(super) fn keep_below(&mut self, offset: i64) {
        self.0.retain(|fingerprint| fingerprint.offset < offset);
    }

    /// Forgets records that retention has removed from the log.
    pub(super) fn forget_below(&mut self, low: i64) {
        self.0.retain(|fingerprint| fingerprint.offset >= low);
    }

    /// Removes the fingerprint that is missed least: the one whose neighbours are closest to each other, relative to
    /// how far back they are. So distances grow geometrically, and after a loss of the newest N records no more than
    /// some times N are read again. The oldest one stays, because it recognises another log for certain.
    fn thin(&mut self, head: i64) {
        let back = |at: usize| i128::from(head - self.0[at].offset) + 1;
        let is_nearer = |one: usize, other: usize| back(one - 1) * back(other + 1) < back(other - 1) * back(one + 1);
        let inner = 1..self.0.len() - 1;
        if let Some(least) = inner.reduce(|least, at| if is_nearer(at, least) { at } else { least }) {
            self.0.remove(least);
        }
    }
}

impl fmt::Display for PositionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK} {}", self.low)?;
        self.history.0.iter().try_for_each(|fingerprint| write!(f, " {}:{:x}", fingerprint.offset, fingerprint.digest))
    }
}

impl PositionProof {
    /// Reads the metadata of a committed offset. `None`: the position was set by a person or a tool, and is taken as it
    /// is.
    pub(super) fn parse(metadata: &str) -> Option<PositionProof> {
        let mut words = metadata.split(' ');
        words.next().filter(|mark| *mark == MARK)?;
        let low = words.next()?.parse().ok()?;
        let fingerprints = words.map(|word| {
            let (offset, digest) = word.split_once(':')?;
            Some(RecordFingerprint { offset: offset.parse().ok()?, digest: u64::from_str_radix(digest, 16).ok()? })
        });
        Some(PositionProof { low, history: FingerprintHistory(fingerprints.collect::<Option<_>>()?) })
    }

    pub(super) fn newest(&self) -> Option<RecordFingerprint> {
        self.history.0.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fingerprint(offset: i64) -> RecordFingerprint {
        RecordFingerprint { offset, digest: u64::MAX - offset.unsigned_abs() }
    }

    proptest! {
        #[test]
        fn few_witnesses_reach_from_the_newest_record_back_to_the_first(
            steps in prop::collection::vec(1i64..50, 1..400),
        ) {
            let mut history = FingerprintHistory::default();
            let mut offset = 0;
            for step in steps {
                offset += step;
                history.push(fingerprint(offset));
            }
            let fingerprints = history.fingerprints();
            prop_assert!(fingerprints.len() <= MAX_FINGERPRINTS);
            prop_assert_eq!(fingerprints.last(), Some(&fingerprint(offset)));
            prop_assert!(fingerprints.windows(2).all(|pair| pair[0].offset < pair[1].offset));
            let text = PositionProof { low: 3, history: history.clone() }.to_string();
            prop_assert!(text.len() < 400, "{}", text);
            prop_assert_eq!(PositionProof::parse(&text), Some(PositionProof { low: 3, history }));
        }
    }

    #[test]
    fn the_first_witness_stays_and_distances_grow() {
        let mut history = FingerprintHistory::default();
        (0..100_000).for_each(|offset| history.push(fingerprint(offset)));
        let offsets: Vec<i64> = history.fingerprints().iter().map(|fingerprint| fingerprint.offset).collect();
        assert_eq!((offsets[0], offsets.last()), (0, Some(&99_999)));
        let back: Vec<i64> = offsets.iter().rev().map(|offset| 99_999 - offset).collect();
        assert!(back.windows(2).all(|pair| pair[1] < 16 * (pair[0] + 1)), "{back:?}");
    }

    #[test]
    fn a_position_that_somebody_set_carries_no_proof() {
        for metadata in ["", "by hand", "saga.log", "saga.log x", "saga.log 0 1:x", "saga.log 0 1"] {
            assert_eq!(PositionProof::parse(metadata), None, "{metadata}");
        }
        assert_eq!(
            PositionProof::parse("saga.log 7"),
            Some(PositionProof { low: 7, history: FingerprintHistory::default() })
        );
    }
}
