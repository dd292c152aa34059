//! Which installation topics and the group belong to: beside each, the first record of a topic names the installation
//! permanently.
//!
//! The first record counts, so when two installations claim something new at the same time, one of them loses and
//! notices it.

use super::{
    admin::ExistingTopics,
    error::TopicError,
    requirements::{OwnedResource, mark_of},
};
use crate::settings::{KafkaSettings, USUAL_BATCH};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    producer::{BaseProducer, BaseRecord, Producer},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest wait for one request, and for the one record that is ever written.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Pause before a partition without a leader is asked again: a topic that was just created has none for a moment.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Reads and writes marks.
pub(super) struct InstallationMarks<'s> {
    settings: &'s KafkaSettings,
    consumer: BaseConsumer,
}

impl InstallationMarks<'_> {
    pub(super) fn connect(settings: &KafkaSettings) -> Result<InstallationMarks<'_>, TopicError> {
        let mut config = settings.consumer(&settings.group, USUAL_BATCH);
        // The next mark is not asked for before the answer to the last question, which waits so long for records that
        // do not come.
        config.set("fetch.wait.max.ms", "10");
        let consumer = config.create().map_err(TopicError::Client)?;
        Ok(InstallationMarks { settings, consumer })
    }

    /// Claims each of `owned` that no installation owns yet for `installation`. Nothing is marked if one of them has
    /// another owner.
    pub(super) fn claim(&self, owned: &[OwnedResource], installation: &str) -> Result<(), TopicError> {
        let mut free = Vec::new();
        for one in owned {
            match self.owner(&one.mark)? {
                Some(found) => belongs(one, found, installation)?,
                None => free.push(one),
            }
        }
        for one in free {
            self.write(&one.mark, installation)?;
            let found = self.owner(&one.mark)?.ok_or_else(|| unmarked(&one.mark))?;
            belongs(one, found, installation)?;
        }
        Ok(())
    }

    /// Fails unless `topic` is marked as `installation`'s.
    pub(super) fn require(&self, mark: &Arc<str>, topic: &Arc<str>, installation: &str) -> Result<(), TopicError> {
        let found = self.owner(mark)?.ok_or_else(|| unmarked(mark))?;
        let one = OwnedResource { what: "topic", key: "topics", name: topic.clone(), mark: mark.clone() };
        belongs(&one, found, installation)
    }

    /// Fails if one of `topics` is an internal topic of an installation.
    pub(super) fn require_foreign(
        &self,
        existing: &ExistingTopics,
        topics: &[(Arc<str>, &'static str)],
    ) -> Result<(), TopicError> {
        for (topic, purpose) in topics {
            let mark = mark_of(topic);
            if existing.has(&mark)
                && let Some(found) = self.owner(&mark)?
            {
                return Err(TopicError::Internal { topic: topic.clone(), purpose, found, mark });
            }
        }
        Ok(())
    }

    fn owner(&self, mark: &str) -> Result<Option<String>, TopicError> {
        let servers = &self.settings.bootstrap_servers;
        self.read_with_retries(mark).map_err(|source| TopicError::Unreachable {
            servers: servers.clone(),
            source,
            noted: None,
        })
    }

    fn read_with_retries(&self, mark: &str) -> KafkaResult<Option<String>> {
        let give_up = Instant::now() + MAX_WAIT;
        loop {
            match self.read(mark) {
                Err(_) if Instant::now() < give_up => super::pause(ASK_AGAIN),
                answer => return answer,
            }
        }
    }

    fn read(&self, mark: &str) -> KafkaResult<Option<String>> {
        let (low, high) = self.consumer.fetch_watermarks(mark, 0, MAX_WAIT)?;
        if low == high {
            return Ok(None);
        }
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(mark, 0, Offset::Offset(low))?;
        self.consumer.assign(&start)?;
        let give_up = Instant::now() + MAX_WAIT;
        while Instant::now() < give_up {
            let Some(message) = self.consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message?;
            // One that was fetched for the mark that was read before.
            if message.topic() == mark {
                let value = message.payload().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                return Ok(Some(value.unwrap_or_default()));
            }
        }
        Err(KafkaError::MessageConsumption(rdkafka::error::RDKafkaErrorCode::OperationTimedOut))
    }

    fn write(&self, mark: &Arc<str>, installation: &str) -> Result<(), TopicError> {
        let refused = |error: KafkaError| TopicError::Mark { topic: mark.clone(), reason: error.to_string() };
        let producer: BaseProducer = self.settings.producer().create().map_err(TopicError::Client)?;
        let record = BaseRecord::to(mark).partition(0).key("installation").payload(installation);
        producer.send(record).map_err(|(error, _)| refused(error))?;
        producer.flush(MAX_WAIT).map_err(refused)
    }
}

fn belongs(one: &OwnedResource, found: String, installation: &str) -> Result<(), TopicError> {
    if found == installation {
        return Ok(());
    }
    let OwnedResource { what, key, name, .. } = one;
    Err(TopicError::OtherInstallation { what, key, name: name.clone(), found, expected: installation.to_owned() })
}

fn unmarked(mark: &Arc<str>) -> TopicError {
    TopicError::Mark { topic: mark.clone(), reason: "no record in it can be read".to_owned() }
}
