//! Whether a position belongs to the log that the topic has now. Pure: what the log holds is an argument.

use super::fingerprint::{FingerprintHistory, PositionProof, RecordFingerprint};
use std::collections::BTreeMap;

/// A position and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClaimedPosition {
    /// The record that comes next.
    pub(super) next: i64,
    pub(super) proof: PositionProof,
}

/// What a partition holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetRange {
    /// The oldest offset that the partition holds.
    pub(super) low: i64,
    /// After the last record that can be read: what transactions hold back is not counted.
    pub(super) end: i64,
}

/// The first record at or after an offset that was asked for; `None` if there is none.
pub(super) type FoundFingerprints = BTreeMap<i64, Option<RecordFingerprint>>;

/// Whether a position is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContinuityVerdict {
    /// The position is valid, so that reading can continue there.
    Fits,
    /// It is a position of this log, and records after it were removed by age or size.
    Expired,
    /// It is a position of another log: the topic was deleted and recreated, or its newest records were lost. What both
    /// logs have in common ends before `resume`.
    Replaced {
        /// Where reading has to go on so that no record of the new log is left out.
        resume: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FingerprintMatch {
    Same,
    Other,
    /// The log does not hold the record any more, which proves nothing.
    Gone,
}

/// Offsets that [`evaluate`] wants to see.
pub(super) fn offsets_to_read(claim: &ClaimedPosition, extent: OffsetRange) -> Vec<i64> {
    let offsets = claim.proof.history.fingerprints().iter().map(|fingerprint| fingerprint.offset);
    offsets.filter(|offset| (extent.low..extent.end).contains(offset)).collect()
}

/// `compacted`: the topic drops records that newer ones of their key replace, so that a missing record proves nothing.
///
/// In doubt more is read: a trigger that is read twice starts one saga, because its key is taken.
pub(super) fn evaluate(
    claim: &ClaimedPosition,
    extent: OffsetRange,
    found: &FoundFingerprints,
    compacted: bool,
) -> ContinuityVerdict {
    let fingerprints = claim.proof.history.fingerprints();
    let matches: Vec<FingerprintMatch> =
        fingerprints.iter().map(|fingerprint| match_fingerprint(*fingerprint, extent, found, compacted)).collect();
    let is = |wanted| matches.contains(&wanted);
    // Offsets only grow within one log: an end before the position is another log, however well the fingerprints match.
    let shrunk = extent.end < claim.next;
    let began_earlier = extent.low < claim.proof.low && !is(FingerprintMatch::Same);
    if shrunk || began_earlier || is(FingerprintMatch::Other) {
        let resume = resume(fingerprints, &matches, extent).min(claim.next).max(extent.low);
        return ContinuityVerdict::Replaced { resume };
    }
    if claim.next < extent.low { ContinuityVerdict::Expired } else { ContinuityVerdict::Fits }
}

fn match_fingerprint(
    fingerprint: RecordFingerprint,
    extent: OffsetRange,
    found: &FoundFingerprints,
    compacted: bool,
) -> FingerprintMatch {
    if fingerprint.offset < extent.low {
        return FingerprintMatch::Gone;
    }
    match found.get(&fingerprint.offset) {
        Some(Some(record)) if *record == fingerprint => FingerprintMatch::Same,
        Some(Some(record)) if record.offset == fingerprint.offset => FingerprintMatch::Other,
        Some(Some(_) | None) | None if compacted && fingerprint.offset < extent.end => FingerprintMatch::Gone,
        Some(Some(_) | None) | None => FingerprintMatch::Other,
    }
}

/// After the newest fingerprint below which all agree.
fn resume(fingerprints: &[RecordFingerprint], matches: &[FingerprintMatch], extent: OffsetRange) -> i64 {
    // A match above a mismatch is not trusted: in doubt more is read.
    let agreeing = fingerprints.iter().zip(matches).take_while(|(_, matched)| **matched != FingerprintMatch::Other);
    let last = agreeing.filter(|(_, matched)| **matched == FingerprintMatch::Same).last();
    last.map_or(extent.low, |(fingerprint, _)| fingerprint.offset + 1)
}

/// The evidence that belongs to a position from now on, after it was evaluated. Records that the new log does not have
/// are forgotten.
pub(super) fn proof_after(claim: ClaimedPosition, verdict: ContinuityVerdict, extent: OffsetRange) -> PositionProof {
    let mut history = claim.proof.history;
    if let ContinuityVerdict::Replaced { resume } = verdict {
        history = if resume > extent.low { history } else { FingerprintHistory::default() };
        history.keep_below(resume);
    }
    history.forget_below(extent.low);
    PositionProof { low: extent.low, history }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A log as a list of contents by offset; `None` where nothing can be read (a marker, or compacted away).
    struct FakeLog {
        low: i64,
        records: Vec<Option<u64>>,
    }

    impl FakeLog {
        fn of(low: i64, contents: impl IntoIterator<Item = u64>) -> FakeLog {
            FakeLog { low, records: contents.into_iter().map(Some).collect() }
        }

        fn extent(&self) -> OffsetRange {
            OffsetRange { low: self.low, end: self.low + i64::try_from(self.records.len()).expect("short") }
        }

        fn find(&self, offset: i64) -> Option<RecordFingerprint> {
            let numbered = (self.low..).zip(&self.records);
            let mut visible =
                numbered.filter_map(|(offset, record)| Some(RecordFingerprint { offset, digest: (*record)? }));
            visible.find(|fingerprint| fingerprint.offset >= offset)
        }

        fn evaluate(&self, claim: &ClaimedPosition) -> ContinuityVerdict {
            let found = offsets_to_read(claim, self.extent()).into_iter().map(|offset| (offset, self.find(offset)));
            evaluate(claim, self.extent(), &found.collect(), false)
        }

        /// The position of a reader that has read this log up to `next`.
        fn read_to(&self, next: i64) -> ClaimedPosition {
            let mut history = FingerprintHistory::default();
            let mut at = self.low;
            while let Some(record) = self.find(at).filter(|record| record.offset < next) {
                history.push(record);
                at = record.offset + 1;
            }
            ClaimedPosition { next, proof: PositionProof { low: self.low, history } }
        }
    }

    const OLD: u64 = 1_000_000;

    #[test]
    fn the_position_in_the_same_log_holds_however_far_it_has_grown() {
        let claim = FakeLog::of(0, 0..300).read_to(300);
        assert_eq!(FakeLog::of(0, 0..500).evaluate(&claim), ContinuityVerdict::Fits);
        assert_eq!(FakeLog::of(300, 300..500).evaluate(&claim), ContinuityVerdict::Fits);
        assert_eq!(FakeLog::of(301, 301..500).evaluate(&claim), ContinuityVerdict::Expired);
    }

    #[test]
    fn a_topic_made_anew_is_read_from_its_oldest_record_whether_larger_smaller_or_equal() {
        let claim = FakeLog::of(0, 0..300).read_to(300);
        for records in [500, 300, 299, 1, 0] {
            assert_eq!(
                FakeLog::of(0, OLD..OLD + records).evaluate(&claim),
                ContinuityVerdict::Replaced { resume: 0 },
                "{records}"
            );
        }
    }

    #[test]
    fn a_marker_where_the_witness_was_is_another_log_unless_the_topic_is_compacted() {
        let claim = FakeLog::of(0, 0..300).read_to(300);
        let mut log = FakeLog::of(0, 0..500);
        log.records[299] = None;
        assert!(matches!(log.evaluate(&claim), ContinuityVerdict::Replaced { .. }));
        let found =
            offsets_to_read(&claim, log.extent()).into_iter().map(|offset| (offset, log.find(offset))).collect();
        assert_eq!(evaluate(&claim, log.extent(), &found, true), ContinuityVerdict::Fits);
    }

    #[test]
    fn a_log_that_begins_earlier_than_before_is_another_one_where_no_witness_is_left() {
        let claim =
            ClaimedPosition { next: 50, proof: PositionProof { low: 50, history: FingerprintHistory::default() } };
        assert_eq!(FakeLog::of(0, 0..80).evaluate(&claim), ContinuityVerdict::Replaced { resume: 0 });
        assert_eq!(FakeLog::of(50, 0..80).evaluate(&claim), ContinuityVerdict::Fits);
    }

    #[test]
    fn a_position_that_somebody_set_holds_if_there_is_such_an_offset() {
        let claim = ClaimedPosition { next: 50, ..ClaimedPosition::default() };
        assert_eq!(FakeLog::of(0, 0..80).evaluate(&claim), ContinuityVerdict::Fits);
        assert_eq!(FakeLog::of(0, 0..49).evaluate(&claim), ContinuityVerdict::Replaced { resume: 0 });
    }

    proptest! {
        /// Newest records were lost and others came in their place: nothing new is left out, and most of what is old is
        /// not read again.
        #[test]
        fn after_a_loss_of_the_newest_records_reading_goes_on_where_both_logs_still_agree(
            read in 1i64..2_000, lost in 1i64..2_000, grown in 0u64..3_000,
        ) {
            let kept = (read - lost).max(0);
            let claim = FakeLog::of(0, 0..read.unsigned_abs()).read_to(read);
            let now = FakeLog::of(0, (0..kept.unsigned_abs()).chain(OLD..OLD + grown));
            let ContinuityVerdict::Replaced { resume } = now.evaluate(&claim) else { panic!("it is another log") };
            prop_assert!(resume <= kept);
            prop_assert!(kept - resume <= 16 * (read - kept), "{resume} of {kept}");
            let extent = now.extent();
            let proof = proof_after(claim, ContinuityVerdict::Replaced { resume }, extent);
            prop_assert_eq!(now.evaluate(&ClaimedPosition { next: resume, proof }), ContinuityVerdict::Fits);
        }
    }
}
