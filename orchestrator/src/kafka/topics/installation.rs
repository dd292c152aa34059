//! Whose inbox it is: the first record of a topic of its own names the installation, for good.
//!
//! The first record counts, so that of two installations that claim a new inbox at the same moment one loses and learns it.

use super::error::Error;
use crate::kafka::settings::{Settings, USUAL_BATCH};
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

/// For one question, and for the one record that is ever written.
const PATIENCE: Duration = Duration::from_secs(10);

/// Before a partition without a leader is asked again: a topic that was just created has none for a moment.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Makes `inbox` the inbox of `installation` if it is nobody's yet, and fails if it is somebody else's.
pub(super) fn claim(settings: &Settings, marker: &Arc<str>, inbox: &Arc<str>, installation: &str) -> Result<(), Error> {
    let unreachable = |source| Error::Unreachable { servers: settings.bootstrap_servers.clone(), source };
    let mut owner = read_patiently(settings, marker).map_err(unreachable)?;
    if owner.is_none() {
        write(settings, marker, installation)?;
        owner = read_patiently(settings, marker).map_err(unreachable)?;
    }
    match owner {
        Some(found) if found == installation => Ok(()),
        Some(found) => Err(Error::OtherInstallation { inbox: inbox.clone(), found, expected: installation.to_owned() }),
        None => Err(Error::Mark { topic: marker.clone(), reason: "it was written and cannot be read yet".to_owned() }),
    }
}

fn read_patiently(settings: &Settings, marker: &str) -> KafkaResult<Option<String>> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match read(settings, marker) {
            Err(_) if Instant::now() < give_up => super::pause(ASK_AGAIN),
            answer => return answer,
        }
    }
}

fn read(settings: &Settings, marker: &str) -> KafkaResult<Option<String>> {
    let consumer: BaseConsumer = settings.consumer(&settings.group, USUAL_BATCH).create()?;
    let (low, high) = consumer.fetch_watermarks(marker, 0, PATIENCE)?;
    if low == high {
        return Ok(None);
    }
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(marker, 0, Offset::Offset(low))?;
    consumer.assign(&start)?;
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let value = message?.payload().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            return Ok(Some(value.unwrap_or_default()));
        }
    }
    Err(KafkaError::MessageConsumption(rdkafka::error::RDKafkaErrorCode::OperationTimedOut))
}

fn write(settings: &Settings, marker: &Arc<str>, installation: &str) -> Result<(), Error> {
    let refused = |error: KafkaError| Error::Mark { topic: marker.clone(), reason: error.to_string() };
    let producer: BaseProducer = settings.producer().create().map_err(Error::Client)?;
    let record = BaseRecord::to(marker).partition(0).key("installation").payload(installation);
    producer.send(record).map_err(|(error, _)| refused(error))?;
    producer.flush(PATIENCE).map_err(refused)
}
