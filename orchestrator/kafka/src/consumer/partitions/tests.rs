//! Pausing, settling and reading again.

use super::{super::PartitionLimit, *};

fn orders(partition: i32) -> TopicPartition {
    TopicPartition { topic: "shop.orders".into(), partition }
}

fn record(offset: i64) -> (RecordFingerprint, Timestamp) {
    (RecordFingerprint { offset, digest: 0 }, Timestamp(1))
}

fn two_partitions() -> PartitionTable {
    let mut partitions = PartitionTable::new(BackpressureLimits {
        unfinished_records: 4,
        unfinished_bytes: 100,
        ..BackpressureLimits::default()
    });
    partitions.assign(orders(0), 0, 0, PositionProof::default());
    partitions.assign(orders(1), 0, 0, PositionProof::default());
    partitions
}

fn finished(target: AckTarget) -> AckResult {
    AckResult { target, state: AckState::Finished }
}

#[test]
fn too_much_unfinished_pauses_everything_until_half_is_finished() {
    let mut partitions = two_partitions();
    let mut targets: Vec<AckTarget> =
        (0..4).filter_map(|offset| partitions.deliver(&orders(0), record(offset), 1)).collect();
    assert_eq!(partitions.pause_change(false).pause, [orders(0), orders(1)]);
    partitions.settle(finished(targets.remove(0)));
    assert_eq!(partitions.pause_change(false), PauseChange::default());
    partitions.settle(finished(targets.remove(0)));
    assert_eq!(partitions.pause_change(false).resume, [orders(0), orders(1)]);
}

#[test]
fn bytes_press_as_records_do() {
    let mut partitions = two_partitions();
    partitions.deliver(&orders(0), record(0), 100);
    assert!(partitions.is_over_limit());
}

#[test]
fn a_partition_that_comes_back_is_paused_anew_and_ignores_its_past() {
    let mut partitions = two_partitions();
    partitions.set_held(BTreeSet::from([orders(0)]));
    assert_eq!(partitions.pause_change(false).pause, [orders(0)]);
    let target = partitions.deliver(&orders(0), record(5), 1).expect("assigned");
    partitions.revoke(&orders(0));
    partitions.assign(orders(0), 5, 0, PositionProof::default());
    assert_eq!(partitions.pause_change(false).pause, [orders(0)]);
    assert_eq!(partitions.settle(finished(target)), None);
    assert_eq!(partitions.unfinished(), (0, 0));
    partitions.set_held(BTreeSet::new());
    assert_eq!(partitions.pause_change(false).resume, [orders(0)]);
}

#[test]
fn a_partition_that_was_taken_away_paused_comes_back_unpaused_and_is_paused_if_it_still_must_not_be_read() {
    let mut partitions = two_partitions();
    partitions.set_held(BTreeSet::from([orders(0)]));
    partitions.pause_change(false);
    assert_eq!(partitions.paused(&[orders(0), orders(1)]), [&orders(0)]);
    partitions.revoke(&orders(0));
    partitions.assign(orders(0), 5, 0, PositionProof::default());
    assert!(partitions.paused(&[orders(0)]).is_empty());
    assert_eq!(partitions.pause_change(false).pause, [orders(0)]);
}

#[test]
fn what_was_abandoned_is_not_begun_again_while_it_must_not_be_read() {
    let mut partitions = two_partitions();
    let target = partitions.deliver(&orders(1), record(10), 1).expect("assigned");
    partitions.settle(AckResult { target, state: AckState::Abandoned });
    partitions.set_held(BTreeSet::from([orders(1)]));
    assert_eq!(partitions.abandoned_partitions(), []);
    partitions.set_held(BTreeSet::new());
    assert_eq!(partitions.abandoned_partitions(), [(orders(1), 10)]);
}

#[test]
fn an_abandoned_record_is_read_again_from_the_oldest_unfinished_one() {
    let mut partitions = two_partitions();
    let first = partitions.deliver(&orders(1), record(10), 1).expect("assigned");
    let second = partitions.deliver(&orders(1), record(11), 1).expect("assigned");
    partitions.settle(AckResult { target: second, state: AckState::Abandoned });
    assert_eq!(partitions.abandoned_partitions(), [(orders(1), 10)]);
    assert_eq!(partitions.settle(finished(first)), Some(orders(1)), "the beginning is finished");
    assert_eq!(partitions.committable(&orders(1)).map(|one| one.offset), Some(11));
    assert_eq!(partitions.abandoned_partitions(), [(orders(1), 11)]);
    assert_eq!(partitions.pause_change(false).pause, [orders(1)]);
}

#[test]
fn a_partition_is_finished_up_to_its_oldest_unfinished_record() {
    let mut partitions = two_partitions();
    let first = partitions.deliver(&orders(0), record(5), 1).expect("assigned");
    let second = partitions.deliver(&orders(0), record(7), 1).expect("assigned");
    partitions.settle(finished(second));
    assert_eq!(partitions.finished(), [(orders(0), 5), (orders(1), 0)]);
    partitions.settle(finished(first));
    assert_eq!(partitions.finished(), [(orders(0), 8), (orders(1), 0)]);
}

#[test]
fn one_partition_that_has_its_share_is_paused_alone_until_half_is_finished() {
    let of_partition = PartitionLimit { records: 4, bytes: 100 };
    let mut partitions = PartitionTable::new(BackpressureLimits { of_partition, ..BackpressureLimits::default() });
    partitions.assign(orders(0), 0, 0, PositionProof::default());
    partitions.assign(orders(1), 0, 0, PositionProof::default());
    let mut targets: Vec<AckTarget> =
        (0..4).filter_map(|offset| partitions.deliver(&orders(0), record(offset), 1)).collect();
    assert_eq!(partitions.pause_change(false).pause, [orders(0)]);
    // What is finished behind an unfinished one is read again after a crash: it counts.
    targets.drain(1..).for_each(|target| drop(partitions.settle(finished(target))));
    assert_eq!(partitions.pause_change(false), PauseChange::default());
    targets.drain(..).for_each(|target| drop(partitions.settle(finished(target))));
    assert_eq!(partitions.pause_change(false).resume, [orders(0)]);
    partitions.deliver(&orders(1), record(0), 100);
    assert_eq!(partitions.pause_change(false).pause, [orders(1)]);
    let reasons: Vec<_> = partitions.statuses().into_iter().map(|status| status.pause).collect();
    assert_eq!(reasons, [None, Some(PauseReason::Unfinished)]);
}

#[test]
fn a_record_that_is_refused_is_read_again_before_anything_after_it_is_delivered() {
    let mut partitions = two_partitions();
    let first = partitions.deliver(&orders(0), record(10), 1).expect("assigned");
    partitions.refuse(&orders(0));
    assert!(partitions.deliver(&orders(0), record(12), 1).is_none(), "offset 11 would be committed unseen");
    partitions.mark_abandoned(&orders(0));
    assert!(partitions.deliver(&orders(0), record(12), 1).is_none(), "an abandoned record does not close the gap");
    assert_eq!(partitions.settle(finished(first)), Some(orders(0)));
    assert_eq!(partitions.committable(&orders(0)).map(|one| one.offset), Some(11));
    assert_eq!(partitions.abandoned_partitions(), [(orders(0), 11)]);
    partitions.assign(orders(0), 11, 0, PositionProof::default());
    assert!(partitions.deliver(&orders(0), record(11), 1).is_some());
}
