//! Records that nobody can process go to the DLQ topic. The offset moves after the delivery report; until then the partition is held.

use super::{
    Parts,
    message::{Disposition, Receipt},
};
use crate::kafka::{
    Record, TopicPartition, dlq,
    poison::{Poison, PoisonCode},
    producer::{Outcome, UndeliveredKind},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tracing::{error, info, warn};

/// Between two tries to write the DLQ.
const RETRY: Duration = Duration::from_secs(2);

/// Why a record is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What is wrong with it.
    pub poison: Poison,
    /// The definition that cannot process it, if it is one's matter.
    pub definition: Option<String>,
}

impl DeadLetter {
    /// A dead letter that is no definition's matter.
    pub fn new(code: PoisonCode, message: impl Into<String>) -> DeadLetter {
        Poison::new(code, message).into()
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

impl From<Poison> for DeadLetter {
    fn from(poison: Poison) -> DeadLetter {
        DeadLetter { poison, definition: None }
    }
}

/// Partitions that have to be held back, with the number of their dead records that cannot be written yet. A state and not a series of
/// orders, so that whoever looks late misses nothing.
pub type Held = HashMap<TopicPartition, usize>;

/// Writes `record` to the DLQ, in a task of its own, as often as it takes; then settles `receipt`.
pub(crate) fn send(parts: &Arc<Parts>, record: Arc<Record>, receipt: Receipt, letter: DeadLetter) {
    warn!(
        record = %record.coordinates(), code = %letter.poison.code, message = letter.poison.message, definition = letter.definition,
        "a record that cannot be processed goes to the DLQ"
    );
    metrics::counter!("saga_dlq_total", "code" => letter.poison.code.as_str()).increment(1);
    let parts = Arc::clone(parts);
    parts.clone().letters.spawn(async move {
        write(&parts, &record, &letter).await;
        receipt.settle(Disposition::Ignored(letter.poison.code.to_string()));
    });
}

async fn write(parts: &Parts, record: &Record, letter: &DeadLetter) {
    let Some(kafka) = parts.kafka.as_ref() else { return };
    let definition = letter.definition.as_deref();
    let mut outgoing = dlq::record(&kafka.dlq, record, &letter.poison, definition, parts.clock.now());
    let partition = TopicPartition { topic: Arc::clone(&record.topic), partition: record.partition };
    let (mut held, mut is_pointer) = (false, false);
    while let Outcome::Undelivered(undelivered) = kafka.producer.send(&outgoing).await {
        if undelivered.kind == UndeliveredKind::TooLarge && !is_pointer {
            warn!(%partition, "the DLQ does not take a record of this size: it gets a pointer to it");
            outgoing = dlq::pointer(&kafka.dlq, record, &letter.poison, definition, parts.clock.now());
            is_pointer = true;
            continue;
        }
        if !held {
            error!(%partition, %undelivered, "the DLQ cannot be written: the partition is paused until it can");
            parts.holds.send_modify(|all| *all.entry(partition.clone()).or_default() += 1);
            held = true;
        }
        tokio::time::sleep(RETRY).await;
    }
    if held {
        info!(%partition, "the DLQ takes records again: the partition goes on");
        parts.holds.send_modify(|all| release(all, &partition));
    }
}

fn release(held: &mut Held, partition: &TopicPartition) {
    let letters = held.get(partition).map_or(0, |letters| letters.saturating_sub(1));
    if letters == 0 {
        held.remove(partition);
    } else {
        held.insert(partition.clone(), letters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_held_while_any_of_its_letters_waits() {
        let partition = TopicPartition { topic: "orders".into(), partition: 3 };
        let mut held = Held::from([(partition.clone(), 2)]);
        release(&mut held, &partition);
        assert_eq!(held.get(&partition), Some(&1));
        release(&mut held, &partition);
        assert!(held.is_empty());
    }
}
