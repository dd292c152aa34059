//! The internal topics while the engine runs. An operator may delete one, and a broker that creates topics by itself
//! would create it with its own number of partitions and its own retention.

use super::{
    admin::{TopicAdmin, TopicProperties},
    error::TopicError,
    requirements::{RequiredTopics, TopicSpec},
};
use crate::settings::KafkaSettings;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Checks the internal topics, and creates those again that are missing. A cheap handle.
#[derive(Clone)]
pub struct TopicMaintainer(Arc<TopicMaintainerState>);

struct TopicMaintainerState {
    admin: TopicAdmin,
    needs: RequiredTopics,
    /// The last check found no inbox. One such check is not believed: a broker that has just started may not know its
    /// topics yet.
    inbox_missed: AtomicBool,
}

/// What is odd about an internal topic other than the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicAnomaly {
    /// It had been deleted, and was created again with its settings. Its unread records are lost.
    Recreated(Arc<str>),
    /// It has fewer partitions than it is created with: another program created it.
    Foreign {
        /// Name of the topic.
        topic: Arc<str>,
        /// Number of partitions that the topic has.
        partitions: usize,
        /// What it is made with.
        expected: i32,
    },
    /// Its retention removes records before they are read: another program created it, or an operator set this.
    Dropping {
        /// Name of the topic.
        topic: Arc<str>,
        /// The setting that removes records: `retention.ms` or `retention.bytes`.
        key: &'static str,
    },
}

impl fmt::Display for TopicAnomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicAnomaly::Recreated(topic) => write!(
                f,
                "topic {topic} was deleted while engines run and was created again: its records that were not read \
                 yet are lost"
            ),
            TopicAnomaly::Foreign { topic, partitions, expected } => write!(
                f,
                "topic {topic} was created by another program, with {partitions} partitions instead of {expected}: \
                 delete it, and it is created with the right number"
            ),
            TopicAnomaly::Dropping { topic, key } => {
                write!(f, "topic {topic} drops records before they are read: set its {key} to -1")
            }
        }
    }
}

impl TopicMaintainer {
    /// Of the topics of an installation that was found to be in order.
    ///
    /// # Errors
    /// The client refuses its settings.
    pub fn new(settings: &KafkaSettings, needs: RequiredTopics) -> Result<TopicMaintainer, TopicError> {
        let admin = TopicAdmin::connect(settings)?;
        Ok(TopicMaintainer(Arc::new(TopicMaintainerState { admin, needs, inbox_missed: AtomicBool::new(false) })))
    }

    /// Checks once. A missing topic is created again, except the inbox: without it the shards have no owners, so the
    /// engine stops.
    ///
    /// # Errors
    /// The broker does not answer ([`TopicError::is_transient`]). Otherwise the inbox was deleted or has another number
    /// of partitions, and the engine must not work on.
    pub async fn check(&self) -> Result<Vec<TopicAnomaly>, TopicError> {
        let state = Arc::clone(&self.0);
        let work = move || state.check();
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(TopicError::Panicked(panic.to_string())))
    }
}

impl TopicMaintainerState {
    fn check(&self) -> Result<Vec<TopicAnomaly>, TopicError> {
        self.admin.check_brokers();
        self.check_inbox()?;
        let mut anomalies = Vec::new();
        for need in self.needs.own() {
            if need.topic != self.needs.inbox {
                anomalies.extend(self.check_topic(&need)?);
            }
            anomalies.extend(self.find_dropping(&need.topic)?);
        }
        Ok(anomalies)
    }

    fn find_dropping(&self, topic: &Arc<str>) -> Result<Option<TopicAnomaly>, TopicError> {
        if !self.needs.must_retain(topic) {
            return Ok(None);
        }
        let key = match self.admin.limit(topic)? {
            TopicProperties::Known { retention, .. } => retention.limited_by(),
            TopicProperties::Hidden(_) => None,
        };
        Ok(key.map(|key| TopicAnomaly::Dropping { topic: topic.clone(), key }))
    }

    fn check_inbox(&self) -> Result<(), TopicError> {
        let inbox = &self.needs.inbox;
        match self.admin.partitions(inbox)? {
            Some(partitions) if partitions == usize::from(self.needs.shards) => {
                self.inbox_missed.store(false, Ordering::Relaxed);
                Ok(())
            }
            Some(partitions) => Err(TopicError::Shards { inbox: inbox.clone(), partitions, shards: self.needs.shards }),
            None if self.inbox_missed.swap(true, Ordering::Relaxed) => Err(TopicError::Gone { inbox: inbox.clone() }),
            None => Ok(()),
        }
    }

    fn check_topic(&self, need: &TopicSpec) -> Result<Option<TopicAnomaly>, TopicError> {
        let topic = need.topic.clone();
        match (self.admin.partitions(&topic)?, usize::try_from(need.partitions)) {
            (None, _) => {
                self.admin.create(std::slice::from_ref(need))?;
                Ok(Some(TopicAnomaly::Recreated(topic)))
            }
            (Some(partitions), Ok(expected)) if partitions < expected => {
                Ok(Some(TopicAnomaly::Foreign { topic, partitions, expected: need.partitions }))
            }
            (Some(_), _) => Ok(None),
        }
    }
}

/// The admin client has no `Debug`.
impl fmt::Debug for TopicMaintainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicMaintainer").field("needs", &self.0.needs).finish_non_exhaustive()
    }
}
