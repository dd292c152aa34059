//! Our own topics while the engine runs: somebody may delete one, and a broker that makes topics by itself would make it anew with its own
//! number of partitions and its own retention.

use super::{
    admin::{Admin, Limit},
    error::Error,
    needs::{Need, Needs},
};
use crate::settings::Settings;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Looks after our own topics.
#[derive(Clone)]
pub struct Keeper(Arc<Kept>);

struct Kept {
    admin: Admin,
    needs: Needs,
    /// The last look found no inbox. One look alone is not believed: a broker that has just started may not know its topics yet.
    inbox_missed: AtomicBool,
}

/// What was found of a topic of our own, other than the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Odd {
    /// It had been deleted, and was made anew as it has to be. What was in it unread is lost.
    MadeAnew(Arc<str>),
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

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Odd::MadeAnew(topic) => write!(
                f,
                "topic {topic} was deleted while engines run and was made anew: what was in it and not read yet is lost"
            ),
            Odd::Foreign { topic, partitions, expected } => write!(
                f,
                "topic {topic} was made by somebody else, with {partitions} partitions in place of {expected}: delete it, and it is made as it has to be"
            ),
            Odd::Dropping { topic, key } => {
                write!(f, "topic {topic} drops records before they are read: set its {key} to -1")
            }
        }
    }
}

impl Keeper {
    /// Of the topics of an installation that was found to be in order.
    ///
    /// # Errors
    /// The client refuses its settings.
    pub fn new(settings: &Settings, needs: Needs) -> Result<Keeper, Error> {
        let admin = Admin::connect(settings)?;
        Ok(Keeper(Arc::new(Kept { admin, needs, inbox_missed: AtomicBool::new(false) })))
    }

    /// Looks once. A topic that is missing is made anew, but for the inbox.
    ///
    /// # Errors
    /// The broker does not answer ([`Error::is_transient`]); else the inbox is gone or has another number of partitions, and nothing may be
    /// worked on.
    pub async fn look(&self) -> Result<Vec<Odd>, Error> {
        let kept = Arc::clone(&self.0);
        let work = move || kept.look();
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(Error::Panicked(panic.to_string())))
    }
}

impl Kept {
    fn look(&self) -> Result<Vec<Odd>, Error> {
        self.admin.look_for_brokers();
        self.look_at_inbox()?;
        let mut odd = Vec::new();
        for need in self.needs.own() {
            if need.topic != self.needs.inbox {
                odd.extend(self.look_at(&need)?);
            }
            odd.extend(self.dropping(&need.topic)?);
        }
        Ok(odd)
    }

    fn dropping(&self, topic: &Arc<str>) -> Result<Option<Odd>, Error> {
        if !self.needs.keeps(topic) {
            return Ok(None);
        }
        let key = match self.admin.limit(topic)? {
            Limit::Known { kept, .. } => kept.limited_by(),
            Limit::Hidden(_) => None,
        };
        Ok(key.map(|key| Odd::Dropping { topic: topic.clone(), key }))
    }

    fn look_at_inbox(&self) -> Result<(), Error> {
        let inbox = &self.needs.inbox;
        match self.admin.partitions(inbox)? {
            Some(partitions) if partitions == usize::from(self.needs.shards) => {
                self.inbox_missed.store(false, Ordering::Relaxed);
                Ok(())
            }
            Some(partitions) => Err(Error::Shards { inbox: inbox.clone(), partitions, shards: self.needs.shards }),
            None if self.inbox_missed.swap(true, Ordering::Relaxed) => Err(Error::Gone { inbox: inbox.clone() }),
            None => Ok(()),
        }
    }

    fn look_at(&self, need: &Need) -> Result<Option<Odd>, Error> {
        let topic = need.topic.clone();
        match (self.admin.partitions(&topic)?, usize::try_from(need.partitions)) {
            (None, _) => {
                self.admin.create(std::slice::from_ref(need))?;
                Ok(Some(Odd::MadeAnew(topic)))
            }
            (Some(partitions), Ok(expected)) if partitions < expected => {
                Ok(Some(Odd::Foreign { topic, partitions, expected: need.partitions }))
            }
            (Some(_), _) => Ok(None),
        }
    }
}

/// The admin client has no `Debug`.
impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("needs", &self.0.needs).finish_non_exhaustive()
    }
}
