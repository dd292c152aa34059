use super::*;
use saga_core::time::Timestamp;

fn record(partition: i32, offset: i64) -> WaitingRecord {
    let record = KafkaRecord {
        topic: "shop.orders".into(),
        partition,
        offset,
        timestamp: Timestamp(0),
        key: None,
        value: None,
        headers: Vec::new(),
    };
    (Arc::new(record), RecordAck::detached_from("shop.orders"))
}

fn partition(partition: i32) -> TopicPartition {
    TopicPartition { topic: "shop.orders".into(), partition }
}

fn offset(waiting: Option<WaitingRecord>) -> Option<i64> {
    waiting.map(|(record, _)| record.offset)
}

#[test]
fn records_behind_one_that_waits_wait_in_order_and_other_partitions_go_on() {
    let waits = SchemaWaits::new(PartitionHolds::default());
    assert_eq!(offset(waits.join(record(3, 1))), Some(1), "nobody waits yet");
    waits.begin(&partition(3));
    assert_eq!((offset(waits.join(record(3, 2))), offset(waits.join(record(3, 3)))), (None, None));
    assert_eq!(offset(waits.join(record(4, 7))), Some(7));
    assert_eq!(offset(waits.next(&partition(3))), Some(2));
    assert_eq!(offset(waits.join(record(3, 4))), None, "while its records are taken, others join behind them");
    assert_eq!(offset(waits.next(&partition(3))), Some(3));
    assert_eq!(offset(waits.next(&partition(3))), Some(4));
    assert_eq!(offset(waits.next(&partition(3))), None);
    assert_eq!(offset(waits.join(record(3, 5))), Some(5), "nobody waits any more");
}

#[test]
fn records_of_a_partition_that_is_read_elsewhere_are_forgotten() {
    let waits = SchemaWaits::new(PartitionHolds::default());
    waits.begin(&partition(3));
    assert_eq!(offset(waits.join(record(3, 2))), None);
    waits.forget(&[partition(3), partition(4)]);
    assert_eq!(offset(waits.join(record(3, 2))), None, "it is read here again, behind the one that still waits");
    assert_eq!(offset(waits.next(&partition(3))), Some(2));
    assert_eq!(offset(waits.next(&partition(3))), None);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_holds_the_partition_back_until_it_ends() {
    let holds = PartitionHolds::default();
    let waits = SchemaWaits::new(holds.clone());
    let is_held = async {
        tokio::time::sleep(HOLD_AFTER / 2).await;
        let early = holds.is_held(&partition(3));
        tokio::time::sleep(HOLD_AFTER).await;
        (early, holds.is_held(&partition(3)))
    };
    assert_eq!(waits.holding(&partition(3), is_held).await, (false, true));
    assert!(!holds.is_held(&partition(3)));
}
