//! Records that nobody can process go to the DLQ topic. The offset moves after the delivery report; until then the partition is held.

use super::{
    Parts,
    message::{MessageOutcome, MessageReceipt},
    sending,
};
use saga_kafka::producer::ProduceOutcome;
use saga_wire::{
    KafkaRecord, TopicPartition, dead_letter,
    poison::{PoisonCode, PoisonDiagnosis},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tracing::{error, info, warn};

/// Between two tries to write what the DLQ refuses in its smallest form.
const RETRY: Duration = Duration::from_secs(30);

/// Why a record is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What is wrong with it.
    pub poison: PoisonDiagnosis,
    /// The definition that cannot process it, if it is one's matter.
    pub definition: Option<String>,
}

impl DeadLetter {
    /// A dead letter that is no definition's matter.
    pub fn new(code: PoisonCode, message: impl Into<String>) -> DeadLetter {
        PoisonDiagnosis::new(code, message).into()
    }

    /// It names a saga of a shard that the installation does not have.
    pub fn of_foreign_saga() -> DeadLetter {
        DeadLetter::new(PoisonCode::UnknownSaga, "no saga of this installation can have this id")
    }

    /// Of this definition.
    #[must_use]
    pub fn of(self, definition: impl Into<String>) -> DeadLetter {
        DeadLetter { definition: Some(definition.into()), ..self }
    }
}

impl From<PoisonDiagnosis> for DeadLetter {
    fn from(poison: PoisonDiagnosis) -> DeadLetter {
        DeadLetter { poison, definition: None }
    }
}

/// Partitions that have to be held back, with the number of reasons: dead records that cannot be written yet, and topics for which too many
/// sagas wait. A state and not a series of orders, so that whoever looks late misses nothing.
pub type HoldCounts = HashMap<TopicPartition, usize>;

/// Writes `record` to the DLQ, in a task of its own, as often as it takes; then settles `receipt`.
///
/// A record that is a letter itself gets no other one: the first is in the DLQ for ever, and letters of letters would never end.
pub(crate) fn send(parts: &Arc<Parts>, record: Arc<KafkaRecord>, receipt: MessageReceipt, letter: DeadLetter) {
    if dead_letter::is_letter(&record) {
        warn!(
            record = %record.coordinates(), code = %letter.poison.code, message = letter.poison.message, definition = letter.definition,
            "a dead letter that was given back cannot be processed again; there is no letter of a letter"
        );
        metrics::counter!("saga_dlq_again_total", "code" => letter.poison.code.as_str()).increment(1);
        return receipt.settle(MessageOutcome::Ignored(letter.poison.code.to_string()));
    }
    warn!(
        record = %record.coordinates(), code = %letter.poison.code, message = letter.poison.message, definition = letter.definition,
        "a record that cannot be processed goes to the DLQ"
    );
    metrics::counter!("saga_dlq_total", "code" => letter.poison.code.as_str()).increment(1);
    let parts = Arc::clone(parts);
    parts.clone().letters.spawn(async move {
        write(&parts, &record, &letter).await;
        receipt.settle(MessageOutcome::Ignored(letter.poison.code.to_string()));
    });
}

/// Until the DLQ has it in one form or another. While it waits its partition is held back.
async fn write(parts: &Parts, record: &KafkaRecord, letter: &DeadLetter) {
    let Some(kafka) = parts.kafka.as_ref() else { return };
    let partition = TopicPartition { topic: Arc::clone(&record.topic), partition: record.partition };
    let definition = letter.definition.as_deref();
    let in_form = |form| dead_letter::record(&kafka.dlq, record, &letter.poison, definition, form, parts.clock.now());
    let topics = parts.guarded.topics();
    let (mut form, mut held) = (dead_letter::DeadLetterForm::of(record), None);
    loop {
        if topics.try_acquire(&kafka.dlq).is_err() {
            held.get_or_insert_with(|| PartitionHold::begin(parts, &partition));
            topics.wait(&kafka.dlq).await;
        }
        let ProduceOutcome::Undelivered(undelivered) = sending::once(&kafka.producer, topics, &in_form(form)).await
        else {
            return;
        };
        if !undelivered.kind.is_permanent() {
            continue;
        }
        warn!(record = %record.coordinates(), %undelivered, ?form, "the DLQ does not take the record in this form");
        if let Some(smaller) = form.smaller() {
            form = smaller;
        } else {
            // Nothing smaller can be written: somebody has to configure the topic.
            held.get_or_insert_with(|| PartitionHold::begin(parts, &partition));
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// A partition that is held back for one letter, until dropped.
struct PartitionHold<'a> {
    parts: &'a Parts,
    partition: &'a TopicPartition,
}

impl<'a> PartitionHold<'a> {
    fn begin(parts: &'a Parts, partition: &'a TopicPartition) -> PartitionHold<'a> {
        let mut is_first = false;
        parts.holds.send_modify(|all| is_first = hold(all, partition));
        if is_first {
            error!(%partition, "the DLQ cannot be written: the partition is paused until it can");
        }
        PartitionHold { parts, partition }
    }
}

impl Drop for PartitionHold<'_> {
    fn drop(&mut self) {
        let mut is_last = false;
        self.parts.holds.send_modify(|all| is_last = release(all, self.partition));
        if is_last {
            info!(partition = %self.partition, "the DLQ takes records again: the partition goes on");
        }
    }
}

/// Holds a partition back for one more reason; whether it is the first.
pub(super) fn hold(held: &mut HoldCounts, partition: &TopicPartition) -> bool {
    let reasons = held.entry(partition.clone()).or_default();
    *reasons += 1;
    *reasons == 1
}

/// One reason less; whether it was the last.
pub(super) fn release(held: &mut HoldCounts, partition: &TopicPartition) -> bool {
    let reasons = held.get(partition).map_or(0, |reasons| reasons.saturating_sub(1));
    if reasons == 0 {
        return held.remove(partition).is_some();
    }
    held.insert(partition.clone(), reasons);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_held_while_any_of_its_letters_waits() {
        let partition = TopicPartition { topic: "orders".into(), partition: 3 };
        let mut held = HoldCounts::new();
        assert!(hold(&mut held, &partition) && !hold(&mut held, &partition));
        assert!(!release(&mut held, &partition));
        assert_eq!(held.get(&partition), Some(&1));
        assert!(release(&mut held, &partition) && held.is_empty());
    }
}
