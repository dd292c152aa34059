//! What must exist at the broker before anything starts: topics, their limits, and the proof that they, the consumer
//! group and the store belong together.

mod admin;
mod error;
mod installation;
mod limits;
mod maintainer;
mod requirements;
mod trim;

pub use error::{MissingTopic, TopicError};
#[cfg(test)]
pub(crate) use limits::read_limits;
pub use limits::refresh_limits;
pub use maintainer::{TopicAnomaly, TopicMaintainer};
pub use requirements::{LONGEST_OWN_TOPIC, RequiredTopics};
pub use trim::{TrimmedPartition, trim};

use super::{
    producer::TopicBatchLimits,
    settings::{BrokerKind, KafkaSettings, LARGEST_BATCH, USUAL_BATCH},
};
use admin::{ExistingTopics, TopicAdmin, TopicProperties, TopicRetention};
use installation::InstallationMarks;
use requirements::{TopicSpec, mark_of};
use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How long a topic that was just created may be unknown: a cluster informs its brokers one by one.
const KNOWN_WITHIN: Duration = Duration::from_secs(15);

/// Interval in which the broker is asked whether it knows them.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Bytes that the inbox must accept: a record of 1 MiB and what forwarding adds.
const INBOX_RECORD: usize = 1024 * 1024 + 64 * 1024;

/// What [`ensure`] found and created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSetup {
    /// Topics that did not exist and were created.
    pub created: Vec<Arc<str>>,
    /// Bytes. The largest `max.message.bytes` of the topics that are read; goes into
    /// [`super::consumer::ConsumerSettings`].
    pub largest_batch: usize,
    /// Those topics that are read and compacted; goes into [`super::consumer::ConsumerSettings`].
    pub compacted: BTreeSet<Arc<str>>,
    /// The largest batch, in bytes, that each topic accepts that is written to; goes into
    /// [`super::KafkaProducer::set_topic_limits`].
    pub limits: TopicBatchLimits,
    /// For the operator: what is odd and does not prevent the start.
    pub warnings: Vec<String>,
    /// The kind of broker that answered.
    pub broker: BrokerKind,
}

/// Makes sure that all topics exist with the settings that they need, and that inbox, replies, DLQ and consumer group
/// belong to the installation `installation`, which is the store's own name for itself. Safe to repeat, and for several
/// instances at once. A crash in between leaves topics or marks that the next call accepts.
///
/// # Errors
/// The broker cannot be reached ([`TopicError::is_transient`]). A topic is missing and may not be created. The inbox
/// has another number of partitions than there are shards. Something belongs to another store, or a topic of a
/// definition is an internal topic of some installation. A topic allows larger records than can be read.
pub async fn ensure(
    settings: &KafkaSettings,
    needs: &RequiredTopics,
    installation: &str,
) -> Result<TopicSetup, TopicError> {
    let (settings, needs, installation) = (settings.clone(), needs.clone(), installation.to_owned());
    let work = move || match settings.broker {
        BrokerKind::Real => ensure_either(&settings, &needs, &installation),
        BrokerKind::Mock => ensure_mock(&TopicAdmin::connect(&settings)?, &needs),
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(TopicError::Panicked(panic.to_string())))
}

/// A user who configures the address of a broker need not know that `saga dev` started it.
fn ensure_either(
    settings: &KafkaSettings,
    needs: &RequiredTopics,
    installation: &str,
) -> Result<TopicSetup, TopicError> {
    let admin = TopicAdmin::connect(settings)?;
    let existing = admin.existing()?;
    if !admin.is_mock() {
        return ensure_real(&admin, existing, settings, needs, installation);
    }
    if let Some((topic, key)) = needs.of_dev() {
        return Err(TopicError::OfDev { topic, key });
    }
    create_at_mock(settings, needs, &existing)?;
    ensure_mock(&admin, needs)
}

fn ensure_real(
    admin: &TopicAdmin,
    existing: ExistingTopics,
    settings: &KafkaSettings,
    needs: &RequiredTopics,
    installation: &str,
) -> Result<TopicSetup, TopicError> {
    let absent: Vec<TopicSpec> = needs.all().into_iter().filter(|need| !existing.has(&need.topic)).collect();
    let inbox_is_gone = !existing.has(&needs.inbox) && existing.has(&mark_of(&needs.inbox));
    admin.create(&absent)?;
    let existing = if absent.is_empty() { existing } else { await_known(admin, &absent)? };
    check_shards(&existing, needs)?;
    let mut ready = check_limits(admin, settings, needs)?;
    let marks = InstallationMarks::connect(settings)?;
    marks.require_foreign(&existing, &needs.foreign())?;
    marks.claim(&needs.owned(), installation)?;
    if inbox_is_gone {
        ready.warnings.push(format!(
            "the inbox {} had been deleted and is created again: triggers, replies and acts that were forwarded \
             through it and not processed yet are lost",
            needs.inbox
        ));
    }
    ready.limits = admin.largest_batches(&needs.written_to())?;
    ready.created = absent.into_iter().map(|need| need.topic).collect();
    Ok(ready)
}

/// The mock has no topic configuration that could be checked, and no other installation can own its topics.
fn ensure_mock(admin: &TopicAdmin, needs: &RequiredTopics) -> Result<TopicSetup, TopicError> {
    check_shards(&admin.existing()?, needs)?;
    Ok(TopicSetup { largest_batch: USUAL_BATCH, broker: BrokerKind::Mock, ..TopicSetup::default() })
}

/// The mock does not create topics on request. It creates the topics that a client asks about with
/// `allow.auto.create.topics`.
fn create_at_mock(
    settings: &KafkaSettings,
    needs: &RequiredTopics,
    existing: &ExistingTopics,
) -> Result<(), TopicError> {
    let mut config = settings.client();
    config.set("allow.auto.create.topics", "true");
    let asking = TopicAdmin::of(settings, &config)?;
    let mut absent = needs.all().into_iter().map(|need| need.topic).filter(|topic| !existing.has(topic));
    absent.try_for_each(|topic| asking.partitions(&topic).map(drop))
}

fn await_known(admin: &TopicAdmin, absent: &[TopicSpec]) -> Result<ExistingTopics, TopicError> {
    let give_up = Instant::now() + KNOWN_WITHIN;
    loop {
        let existing = admin.existing()?;
        let Some(late) = absent.iter().find(|need| !existing.has(&need.topic)) else { return Ok(existing) };
        if Instant::now() >= give_up {
            return Err(TopicError::NotKnown { topic: late.topic.clone() });
        }
        pause(CHECK_EVERY);
    }
}

/// Runs on a thread for blocking work, where no saga waits.
#[allow(clippy::disallowed_methods, reason = "this code runs in `spawn_blocking` only")]
fn pause(span: Duration) {
    thread::sleep(span);
}

fn check_shards(existing: &ExistingTopics, needs: &RequiredTopics) -> Result<(), TopicError> {
    match existing.partitions(&needs.inbox) {
        Some(partitions) if partitions == usize::from(needs.shards) => Ok(()),
        Some(partitions) => Err(TopicError::Shards { inbox: needs.inbox.clone(), partitions, shards: needs.shards }),
        None => Err(TopicError::NotKnown { topic: needs.inbox.clone() }),
    }
}

fn check_limits(
    admin: &TopicAdmin,
    settings: &KafkaSettings,
    needs: &RequiredTopics,
) -> Result<TopicSetup, TopicError> {
    let mut ready = TopicSetup { largest_batch: USUAL_BATCH, ..TopicSetup::default() };
    for topic in needs.read() {
        match admin.limit(&topic)? {
            TopicProperties::Known { max_message_bytes, .. } if max_message_bytes > LARGEST_BATCH => {
                return Err(TopicError::LimitTooHigh { topic, limit: max_message_bytes });
            }
            TopicProperties::Known { max_message_bytes, compacted, retention } => {
                ready.largest_batch = ready.largest_batch.max(max_message_bytes);
                if compacted {
                    ready.compacted.insert(topic.clone());
                }
                if topic == needs.inbox {
                    check_inbox(settings, &topic, max_message_bytes, compacted)?;
                }
                if needs.must_retain(&topic) {
                    check_retention(settings, &topic, retention)?;
                }
            }
            TopicProperties::Hidden(reason) => {
                ready.largest_batch = LARGEST_BATCH;
                ready
                    .warnings
                    .push(format!("the configuration of topic {topic} may not be read ({reason}); assuming 128 MiB"));
            }
        }
    }
    Ok(ready)
}

/// Such a topic was created by the broker itself, or by hand without these settings.
fn check_retention(settings: &KafkaSettings, topic: &Arc<str>, retention: TopicRetention) -> Result<(), TopicError> {
    let Some(key) = retention.limited_by() else { return Ok(()) };
    let servers = &settings.bootstrap_servers;
    Err(TopicError::Inbox {
        inbox: topic.clone(),
        wrong: format!(
            "drops records before they are read ({key}). If other programs use it, configure another topic; if it \
             belongs to this installation alone"
        ),
        command: format!("kafka-configs.sh --bootstrap-server {servers} --alter --topic {topic} --add-config {key}=-1"),
    })
}

fn check_inbox(settings: &KafkaSettings, inbox: &Arc<str>, limit: usize, compacted: bool) -> Result<(), TopicError> {
    let servers = &settings.bootstrap_servers;
    let alter = format!("kafka-configs.sh --bootstrap-server {servers} --alter --topic {inbox} --add-config");
    if compacted {
        let command = format!("{alter} cleanup.policy=delete");
        return Err(TopicError::Inbox {
            inbox: inbox.clone(),
            wrong: "is compacted, which would drop inputs".into(),
            command,
        });
    }
    if limit < INBOX_RECORD {
        let command = format!("{alter} max.message.bytes={USUAL_BATCH}");
        let wrong =
            format!("takes records of at most {limit} bytes (max.message.bytes), expected {INBOX_RECORD} or more");
        return Err(TopicError::Inbox { inbox: inbox.clone(), wrong, command });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
