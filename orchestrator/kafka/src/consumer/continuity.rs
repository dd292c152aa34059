//! Whether a position belongs to the log that is there now. Pure: what the log holds is an argument.

use super::witness::{Ladder, Proof, Witness};
use std::collections::BTreeMap;

/// A position and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// The record that comes next.
    pub(super) next: i64,
    pub(super) proof: Proof,
}

/// What a partition holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Its oldest offset.
    pub(super) low: i64,
    /// After the last record that can be read: what transactions hold back is not counted.
    pub(super) end: i64,
}

/// The first record at or after an offset that was asked for; `None` if there is none.
pub(super) type Found = BTreeMap<i64, Option<Witness>>;

/// What becomes of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds.
    Fits,
    /// It is in this log, and records after it are gone by age or size.
    Expired,
    /// It is of another log: the topic was made anew, or its newest records were lost. What both have in common ends before `resume`.
    Replaced {
        /// Where reading has to go on so that nothing of this log is left out.
        resume: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Testimony {
    Same,
    Other,
    /// The log holds it no more; that is no evidence.
    Gone,
}

/// Offsets that [`judge`] wants to see.
pub(super) fn questions(claim: &Claim, extent: Extent) -> Vec<i64> {
    let offsets = claim.proof.ladder.rungs().iter().map(|rung| rung.offset);
    offsets.filter(|offset| (extent.low..extent.end).contains(offset)).collect()
}

/// `compacted`: the topic drops records that newer ones of their key replace, so that a missing one says nothing.
///
/// In doubt more is read: keys keep a trigger from starting a saga twice.
pub(super) fn judge(claim: &Claim, extent: Extent, found: &Found, compacted: bool) -> Verdict {
    let rungs = claim.proof.ladder.rungs();
    let testimonies: Vec<Testimony> = rungs.iter().map(|rung| testimony(*rung, extent, found, compacted)).collect();
    let is = |wanted| testimonies.contains(&wanted);
    let shrunk = extent.end < claim.next;
    let began_earlier = extent.low < claim.proof.low && !is(Testimony::Same);
    if shrunk || began_earlier || is(Testimony::Other) {
        let resume = resume(rungs, &testimonies, extent).min(claim.next).max(extent.low);
        return Verdict::Replaced { resume };
    }
    if claim.next < extent.low { Verdict::Expired } else { Verdict::Fits }
}

fn testimony(rung: Witness, extent: Extent, found: &Found, compacted: bool) -> Testimony {
    if rung.offset < extent.low {
        return Testimony::Gone;
    }
    match found.get(&rung.offset) {
        Some(Some(record)) if *record == rung => Testimony::Same,
        Some(Some(record)) if record.offset == rung.offset => Testimony::Other,
        Some(Some(_) | None) | None if compacted && rung.offset < extent.end => Testimony::Gone,
        Some(Some(_) | None) | None => Testimony::Other,
    }
}

/// After the newest witness below which all agree.
fn resume(rungs: &[Witness], testimonies: &[Testimony], extent: Extent) -> i64 {
    let agreeing = rungs.iter().zip(testimonies).take_while(|(_, testimony)| **testimony != Testimony::Other);
    let last = agreeing.filter(|(_, testimony)| **testimony == Testimony::Same).last();
    last.map_or(extent.low, |(rung, _)| rung.offset + 1)
}

/// What goes with a position that was judged, from now on.
pub(super) fn proof_after(claim: Claim, verdict: Verdict, extent: Extent) -> Proof {
    let mut ladder = claim.proof.ladder;
    if let Verdict::Replaced { resume } = verdict {
        ladder = if resume > extent.low { ladder } else { Ladder::default() };
        ladder.keep_below(resume);
    }
    ladder.forget_below(extent.low);
    Proof { low: extent.low, ladder }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A log as a list of contents by offset; `None` where nothing can be read (a marker, or compacted away).
    struct Log {
        low: i64,
        records: Vec<Option<u64>>,
    }

    impl Log {
        fn of(low: i64, contents: impl IntoIterator<Item = u64>) -> Log {
            Log { low, records: contents.into_iter().map(Some).collect() }
        }

        fn extent(&self) -> Extent {
            Extent { low: self.low, end: self.low + i64::try_from(self.records.len()).expect("short") }
        }

        fn find(&self, offset: i64) -> Option<Witness> {
            let numbered = (self.low..).zip(&self.records);
            let mut visible = numbered.filter_map(|(offset, record)| Some(Witness { offset, digest: (*record)? }));
            visible.find(|witness| witness.offset >= offset)
        }

        fn judge(&self, claim: &Claim) -> Verdict {
            let found = questions(claim, self.extent()).into_iter().map(|offset| (offset, self.find(offset)));
            judge(claim, self.extent(), &found.collect(), false)
        }

        /// The position of whoever has read this log up to `next`.
        fn read_to(&self, next: i64) -> Claim {
            let mut ladder = Ladder::default();
            let mut at = self.low;
            while let Some(record) = self.find(at).filter(|record| record.offset < next) {
                ladder.push(record);
                at = record.offset + 1;
            }
            Claim { next, proof: Proof { low: self.low, ladder } }
        }
    }

    const OLD: u64 = 1_000_000;

    #[test]
    fn the_position_in_the_same_log_holds_however_far_it_has_grown() {
        let claim = Log::of(0, 0..300).read_to(300);
        assert_eq!(Log::of(0, 0..500).judge(&claim), Verdict::Fits);
        assert_eq!(Log::of(300, 300..500).judge(&claim), Verdict::Fits);
        assert_eq!(Log::of(301, 301..500).judge(&claim), Verdict::Expired);
    }

    #[test]
    fn a_topic_made_anew_is_read_from_its_oldest_record_whether_larger_smaller_or_equal() {
        let claim = Log::of(0, 0..300).read_to(300);
        for records in [500, 300, 299, 1, 0] {
            assert_eq!(Log::of(0, OLD..OLD + records).judge(&claim), Verdict::Replaced { resume: 0 }, "{records}");
        }
    }

    #[test]
    fn a_marker_where_the_witness_was_is_another_log_unless_the_topic_is_compacted() {
        let claim = Log::of(0, 0..300).read_to(300);
        let mut log = Log::of(0, 0..500);
        log.records[299] = None;
        assert!(matches!(log.judge(&claim), Verdict::Replaced { .. }));
        let found = questions(&claim, log.extent()).into_iter().map(|offset| (offset, log.find(offset))).collect();
        assert_eq!(judge(&claim, log.extent(), &found, true), Verdict::Fits);
    }

    #[test]
    fn a_log_that_begins_earlier_than_before_is_another_one_where_no_witness_is_left() {
        let claim = Claim { next: 50, proof: Proof { low: 50, ladder: Ladder::default() } };
        assert_eq!(Log::of(0, 0..80).judge(&claim), Verdict::Replaced { resume: 0 });
        assert_eq!(Log::of(50, 0..80).judge(&claim), Verdict::Fits);
    }

    #[test]
    fn a_position_that_somebody_set_holds_if_there_is_such_an_offset() {
        let claim = Claim { next: 50, ..Claim::default() };
        assert_eq!(Log::of(0, 0..80).judge(&claim), Verdict::Fits);
        assert_eq!(Log::of(0, 0..49).judge(&claim), Verdict::Replaced { resume: 0 });
    }

    proptest! {
        /// Newest records were lost and others came in their place: nothing new is left out, and most of what is old is not read again.
        #[test]
        fn after_a_loss_of_the_newest_records_reading_goes_on_where_both_logs_still_agree(
            read in 1i64..2_000, lost in 1i64..2_000, grown in 0u64..3_000,
        ) {
            let kept = (read - lost).max(0);
            let claim = Log::of(0, 0..read.unsigned_abs()).read_to(read);
            let now = Log::of(0, (0..kept.unsigned_abs()).chain(OLD..OLD + grown));
            let Verdict::Replaced { resume } = now.judge(&claim) else { panic!("it is another log") };
            prop_assert!(resume <= kept);
            prop_assert!(kept - resume <= 16 * (read - kept), "{resume} of {kept}");
            let extent = now.extent();
            let proof = proof_after(claim, Verdict::Replaced { resume }, extent);
            prop_assert_eq!(now.judge(&Claim { next: resume, proof }), Verdict::Fits);
        }
    }
}
