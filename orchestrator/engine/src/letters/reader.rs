//! One reader of topics of dead letters.

use super::LetterSource;
use rdkafka::error::KafkaError;
use saga_event_store::LetterCoordinates;
use saga_kafka::{
    TopicPortionReader,
    topic_portions::{PortionEnd, TopicPortion},
};
use saga_wire::KafkaRecord;
use std::{collections::BTreeMap, ops::Range};

/// Reads the topics by one client. It is made when it is needed, and again after an error.
#[derive(Debug)]
pub(super) struct LetterReading {
    source: LetterSource,
    open: Option<TopicPortionReader>,
}

impl LetterReading {
    pub(super) fn new(source: LetterSource) -> LetterReading {
        LetterReading { source, open: None }
    }

    /// For each partition, the first offset that is there and the one that the next record will have.
    pub(super) async fn extents(&mut self, topic: &str) -> Result<BTreeMap<i32, Range<i64>>, KafkaError> {
        let reader = self.take(topic)?;
        let extents = reader.extents().await?;
        self.open = Some(reader);
        Ok(extents)
    }

    /// The oldest records of a range, as many as a portion holds.
    pub(super) async fn read(
        &mut self,
        topic: &str,
        partition: i32,
        range: Range<i64>,
    ) -> Result<Vec<KafkaRecord>, KafkaError> {
        let mut reader = self.take(topic)?;
        let TopicPortion { records, covers: _ } = reader.read(partition, range, PortionEnd::Oldest).await?;
        self.open = Some(reader);
        Ok(records)
    }

    /// The record at a place; `None`: the topic does not have it.
    pub(super) async fn record_at(&mut self, place: &LetterCoordinates) -> Result<Option<KafkaRecord>, KafkaError> {
        let LetterCoordinates { topic, partition, offset } = place;
        let (partition, offset) = (*partition, *offset);
        let extents = self.extents(topic).await?;
        if !extents.get(&partition).is_some_and(|extent| extent.contains(&offset)) {
            return Ok(None);
        }
        let records = self.read(topic, partition, offset..offset + 1).await?;
        Ok(records.into_iter().find(|record| record.offset == offset))
    }

    fn take(&mut self, topic: &str) -> Result<TopicPortionReader, KafkaError> {
        match self.open.take() {
            Some(mut reader) => {
                reader.turn_to(topic);
                Ok(reader)
            }
            None => TopicPortionReader::connect(&self.source.kafka, topic),
        }
    }
}
