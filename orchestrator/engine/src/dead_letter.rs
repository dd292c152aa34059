//! Records that the engine cannot process go to the DLQ topic. The offset moves after the delivery report; until then
//! the partition is held.

use super::{
    KafkaOutput,
    letter_turns::{LetterTurn, LetterTurns},
    message::{MessageOutcome, MessageReceipt},
    partition_holds::PartitionHolds,
    retry::RetryDelays,
    sending,
};
use saga_base::clock::EngineClock;
use saga_kafka::producer::ProduceOutcome;
use saga_resilience::topic_availability::TopicTracker;
use saga_wire::{
    KafkaRecord, TopicPartition,
    dead_letter::{self, MOST_REDRIVES, RecordPast},
    poison::{PoisonCode, PoisonDiagnosis},
    record::RecordHeader,
};
use std::{sync::Arc, time::Duration};
use tracing::{error, info, warn};

/// Between two tries to write what the DLQ refuses in its smallest form.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The reason why the engine cannot process a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    /// What is wrong with the record.
    pub poison: PoisonDiagnosis,
    /// The definition that cannot process it, if it is one's matter.
    pub definition: Option<String>,
}

impl DeadLetter {
    /// A dead letter that is no definition's matter.
    pub(crate) fn new(code: PoisonCode, message: impl Into<String>) -> DeadLetter {
        PoisonDiagnosis::new(code, message).into()
    }

    /// It names a saga of a shard that the installation does not have.
    pub(crate) fn of_foreign_saga() -> DeadLetter {
        DeadLetter::new(PoisonCode::UnknownSaga, "no saga of this installation can have this id")
    }

    /// Returns the letter with the name of the definition that the record was for.
    #[must_use]
    pub(crate) fn of(self, definition: impl Into<String>) -> DeadLetter {
        DeadLetter { definition: Some(definition.into()), ..self }
    }
}

impl From<PoisonDiagnosis> for DeadLetter {
    fn from(poison: PoisonDiagnosis) -> DeadLetter {
        DeadLetter { poison, definition: None }
    }
}

/// Writes dead letters. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetterWriter {
    /// `None`: without Kafka no record comes, and none dies.
    kafka: Option<KafkaOutput>,
    topics: Arc<TopicTracker>,
    clock: EngineClock,
    holds: PartitionHolds,
    turns: LetterTurns,
}

impl DeadLetterWriter {
    pub(crate) fn new(
        kafka: Option<KafkaOutput>,
        topics: Arc<TopicTracker>,
        clock: EngineClock,
        holds: PartitionHolds,
    ) -> DeadLetterWriter {
        DeadLetterWriter { kafka, topics, clock, holds, turns: LetterTurns::default() }
    }

    /// Writes `record` to the DLQ, in a task of its own, and retries until the DLQ takes it; then settles `receipt`.
    /// Records of one partition get there in the order of the calls, unless the DLQ refuses one in the form in which it
    /// is sent first. After a crash in between the record is read again.
    ///
    /// Who produces letters again, with their headers, gets new ones a bounded number of times only: else letters of
    /// letters would never end. The earlier ones are in the DLQ.
    pub(crate) fn send(&self, mut record: Arc<KafkaRecord>, receipt: MessageReceipt, letter: DeadLetter) {
        match RecordPast::of(&record) {
            RecordPast::Fresh => {}
            RecordPast::Again(counted) => {
                count_again(&letter);
                record = Arc::from(counted);
            }
            RecordPast::TooOften => {
                report_last_death(&record, &letter);
                return receipt.settle(MessageOutcome::Ignored(letter.poison.code.to_string()));
            }
        }
        report_death(&record, &letter);
        let (writer, mut turn) = (self.clone(), self.turns.take(&record.topic_partition()));
        tokio::spawn(async move {
            writer.write(&record, &letter, &mut turn).await;
            receipt.settle(MessageOutcome::Ignored(letter.poison.code.to_string()));
            turn.is_first().await;
        });
    }

    /// Returns when the DLQ has the record in one form or another. While the record waits, its partition is held back.
    async fn write(&self, record: &KafkaRecord, letter: &DeadLetter, turn: &mut LetterTurn) {
        let Some(kafka) = self.kafka.as_ref() else { return };
        let (partition, dlq) = (record.topic_partition(), kafka.letters.topic_of(&record.topic));
        let definition = letter.definition.as_deref();
        let mut added = kafka.dialects.headers(record, &letter.poison, definition);
        let in_form = |form, added: &[RecordHeader]| {
            let now = self.clock.now();
            let mut written = dead_letter::record(dlq, record, &letter.poison, definition, form, now);
            written.headers.extend_from_slice(added);
            written
        };
        let (mut form, mut held) = (dead_letter::DeadLetterForm::of(record, &added), None);
        let mut delays = RetryDelays::new(RETRY_MIN, RETRY_MAX);
        turn.comes().await;
        loop {
            if self.topics.try_acquire(dlq).is_err() {
                turn.is_first().await;
                held.get_or_insert_with(|| PartitionHold::begin(&self.holds, &partition));
                self.topics.wait(dlq).await;
            }
            let written = in_form(form, &added);
            let sent = sending::once_telling(&kafka.producer, &self.topics, &written, || turn.is_queued());
            let ProduceOutcome::Undelivered(undelivered) = sent.await else { return };
            turn.is_first().await;
            if !undelivered.kind.is_permanent() {
                continue;
            }
            warn!(record = %record.coordinates(), %undelivered, ?form, "the DLQ does not take the record in this form");
            if let Some(smaller) = form.smaller() {
                form = smaller;
            } else if !added.is_empty() {
                // Headers for other programs are worth less than a partition that goes on.
                added.clear();
            } else {
                // Nothing smaller can be written: an operator has to configure the topic.
                held.get_or_insert_with(|| PartitionHold::begin(&self.holds, &partition));
                delays.wait().await;
            }
        }
    }
}

fn report_last_death(record: &KafkaRecord, letter: &DeadLetter) {
    error!(
        record = %record.coordinates(),
        code = %letter.poison.code,
        message = letter.poison.message,
        definition = letter.definition,
        "a dead letter was produced again {MOST_REDRIVES} times and cannot be processed: the engine writes no other one. \
         The last one is in the DLQ; stop the program that produces it"
    );
    count_again(letter);
}

fn count_again(letter: &DeadLetter) {
    metrics::counter!("saga_dlq_again_total", "code" => letter.poison.code.as_str()).increment(1);
}

fn report_death(record: &KafkaRecord, letter: &DeadLetter) {
    warn!(
        record = %record.coordinates(),
        code = %letter.poison.code,
        message = letter.poison.message,
        definition = letter.definition,
        "a record that cannot be processed goes to the DLQ"
    );
    metrics::counter!("saga_dlq_total", "code" => letter.poison.code.as_str()).increment(1);
}

/// A partition that is held back for one letter, until dropped.
struct PartitionHold<'a> {
    holds: &'a PartitionHolds,
    partition: &'a TopicPartition,
}

impl<'a> PartitionHold<'a> {
    fn begin(holds: &'a PartitionHolds, partition: &'a TopicPartition) -> PartitionHold<'a> {
        if holds.hold(partition) {
            error!(%partition, "the DLQ cannot be written: the partition is paused until it can");
        }
        PartitionHold { holds, partition }
    }
}

impl Drop for PartitionHold<'_> {
    fn drop(&mut self) {
        if self.holds.release(self.partition) {
            info!(partition = %self.partition, "the DLQ takes records again: the partition goes on");
        }
    }
}
