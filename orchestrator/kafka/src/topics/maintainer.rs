//! Our own topics while the engine runs: somebody may delete one, and a broker that makes topics by itself would make
//! it anew with its own number of partitions and its own retention.

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

/// Looks after our own topics.
#[derive(Clone)]
pub struct TopicMaintainer(Arc<TopicMaintainerState>);

struct TopicMaintainerState {
    admin: TopicAdmin,
    needs: RequiredTopics,
    /// The last look found no inbox. One look alone is not believed: a broker that has just started may not know its
    /// topics yet.
    inbox_missed: AtomicBool,
}

/// What was found of a topic of our own, other than the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicAnomaly {
    /// It had been deleted, and was made anew as it has to be. What was in it unread is lost.
    Recreated(Arc<str>),
    /// It has other partitions than it is made with: somebody else made it.
    Foreign {
        /// The topic.
        topic: Arc<str>,
        /// Its partitions.
        partitions: usize,
        /// What it is made with.
        expected: i32,
    },
    /// It drops records before they are read: somebody else made it, or set this.
    Dropping {
        /// The topic.
        topic: Arc<str>,
        /// `retention.ms` or `retention.bytes`.
        key: &'static str,
    },
}

impl fmt::Display for TopicAnomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicAnomaly::Recreated(topic) => write!(
                f,
                "topic {topic} was deleted while engines run and was made anew: what was in it and not read yet is lost"
            ),
            TopicAnomaly::Foreign { topic, partitions, expected } => write!(
                f,
                "topic {topic} was made by somebody else, with {partitions} partitions in place of {expected}: delete it, and it is made as it has to be"
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

    /// Looks once. A topic that is missing is made anew, but for the inbox.
    ///
    /// # Errors
    /// The broker does not answer ([`TopicError::is_transient`]); else the inbox is gone or has another number of
    /// partitions, and nothing may be worked on.
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
