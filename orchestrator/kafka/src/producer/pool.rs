//! The clients of a producer: each makes batches up to a size of its own, and a topic is written to by one whose
//! batches it takes.

use super::{
    client::ProducerClient,
    outcome::{DeliveryFailure, DeliveryFailureKind},
};
use rdkafka::{ClientConfig, error::KafkaResult};
use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak, mpsc},
    thread,
    time::Duration,
};
use tokio::sync::{Notify, OnceCell};

/// The largest batch that each topic takes, in bytes.
pub type TopicBatchLimits = BTreeMap<Arc<str>, usize>;

/// Batches of topics that take smaller ones than is usual: 32 KiB, some twenty commands.
const SMALL_BATCH_BYTES: usize = 32 * 1024;

/// How often a client is looked at. A look asks nobody.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Topics that are told apart; what is written to further ones goes in batches of the usual size. Names of topics come
/// from definitions and from participants.yaml, so there are fewer.
const MOST_TOPICS: usize = 10_000;

/// How large the batches are that a record leaves in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BatchSizeClass {
    /// As configured (`batch.size`): well below the limit that brokers usually have.
    Default,
    /// [`SMALL_BATCH_BYTES`] at most.
    Small,
    /// One record: what is refused is refused for itself.
    Single,
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug)]
struct TopicBatchState {
    class: BatchSizeClass,
    /// What it takes, as far as that was learnt.
    limit: Option<usize>,
}

impl TopicBatchState {
    const NOTHING: TopicBatchState = TopicBatchState { class: BatchSizeClass::Default, limit: None };
}

pub(super) struct ProducerPool {
    config: ClientConfig,
    default_bytes: usize,
    default: Arc<ProducerClient>,
    /// Made when they are first needed: most installations need neither.
    small: OnceCell<Arc<ProducerClient>>,
    single: OnceCell<Arc<ProducerClient>>,
    topics: RwLock<HashMap<Arc<str>, TopicBatchState>>,
    limits_wanted: Notify,
    /// The thread that looks ends when this is dropped.
    _checking: mpsc::SyncSender<Infallible>,
}

impl ProducerPool {
    pub(super) fn start(config: ClientConfig) -> KafkaResult<Arc<ProducerPool>> {
        let default = ProducerClient::start(config.clone())?;
        let default_bytes = config.get("batch.size").and_then(|bytes| bytes.parse().ok()).unwrap_or(usize::MAX);
        let (_checking, over) = mpsc::sync_channel(0);
        let pool = Arc::new(ProducerPool {
            config,
            default_bytes,
            default,
            small: OnceCell::new(),
            single: OnceCell::new(),
            topics: RwLock::default(),
            limits_wanted: Notify::new(),
            _checking,
        });
        spawn_broker_checks(Arc::downgrade(&pool), over);
        Ok(pool)
    }

    /// Whose batches `topic` takes. Of a topic that is written to for the first time nothing is known yet.
    pub(super) fn class_of(&self, topic: &Arc<str>) -> BatchSizeClass {
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner).get(topic).copied();
        known.map(|known| known.class).unwrap_or_else(|| {
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            if topics.len() < MOST_TOPICS {
                topics.insert(Arc::clone(topic), TopicBatchState::NOTHING);
                self.limits_wanted.notify_one();
            }
            BatchSizeClass::Default
        })
    }

    /// The client of `class`, made if it is the first time.
    pub(super) async fn client(&self, class: BatchSizeClass) -> Result<Arc<ProducerClient>, DeliveryFailure> {
        let cell = match class {
            BatchSizeClass::Default => return Ok(Arc::clone(&self.default)),
            BatchSizeClass::Small => &self.small,
            BatchSizeClass::Single => &self.single,
        };
        cell.get_or_try_init(|| make(self.config_of(class))).await.map(Arc::clone)
    }

    /// Those that are made.
    pub(super) fn clients(&self) -> Vec<Arc<ProducerClient>> {
        [Some(&self.default), self.small.get(), self.single.get()].into_iter().flatten().map(Arc::clone).collect()
    }

    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).keys().map(Arc::clone).collect()
    }

    pub(super) fn limit(&self, topic: &str) -> Option<usize> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(topic)?.limit
    }

    pub(super) async fn limits_wanted(&self) {
        self.limits_wanted.notified().await;
    }

    pub(super) fn set_topic_limits(&self, limits: &TopicBatchLimits) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for (topic, limit) in limits {
            if topics.len() < MOST_TOPICS || topics.contains_key(topic) {
                topics
                    .insert(Arc::clone(topic), TopicBatchState { class: self.class_for(*limit), limit: Some(*limit) });
            }
        }
    }

    /// It took a record alone that it had refused in a batch: its batches are smaller from now on.
    pub(super) fn use_smaller_batches(&self, topic: &Arc<str>, class: BatchSizeClass) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = topics.get_mut(topic).filter(|known| known.class == class) else { return };
        known.class = match class {
            BatchSizeClass::Default if SMALL_BATCH_BYTES < self.default_bytes => BatchSizeClass::Small,
            BatchSizeClass::Default | BatchSizeClass::Small | BatchSizeClass::Single => BatchSizeClass::Single,
        };
        self.limits_wanted.notify_one();
    }

    /// A client's batch of several records never has more bytes than its `batch.size`, uncompressed and with the
    /// request around it; and it sends a batch uncompressed that compression would make larger.
    fn class_for(&self, limit: usize) -> BatchSizeClass {
        if self.default_bytes <= limit {
            BatchSizeClass::Default
        } else if SMALL_BATCH_BYTES <= limit {
            BatchSizeClass::Small
        } else {
            BatchSizeClass::Single
        }
    }

    fn config_of(&self, class: BatchSizeClass) -> ClientConfig {
        let mut config = self.config.clone();
        match class {
            BatchSizeClass::Default => {}
            BatchSizeClass::Small => {
                config.set("batch.size", SMALL_BATCH_BYTES.to_string());
            }
            BatchSizeClass::Single => {
                config.set("batch.num.messages", "1");
            }
        }
        config
    }
}

/// Looks after the brokers of all clients, whether or not anything is sent: what waits in a client that has lost them
/// would only time out.
fn spawn_broker_checks(pool: Weak<ProducerPool>, over: mpsc::Receiver<Infallible>) {
    let check = move || {
        while over.recv_timeout(CHECK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            let clients = pool.upgrade().map(|pool| pool.clients()).unwrap_or_default();
            clients.iter().for_each(|client| client.check_brokers());
        }
    };
    if let Err(error) = thread::Builder::new().name("kafka-producer-look".into()).spawn(check) {
        tracing::warn!(%error, "no thread to look after the brokers of the producer");
    }
}

/// Making a client may read files.
async fn make(config: ClientConfig) -> Result<Arc<ProducerClient>, DeliveryFailure> {
    let made = tokio::task::spawn_blocking(move || ProducerClient::start(config)).await;
    let not_sent = |reason: String| DeliveryFailure { kind: DeliveryFailureKind::NotSent, message: reason };
    match made {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(not_sent(format!("a further producer cannot be made: {error}"))),
        Err(panic) => Err(not_sent(format!("making a further producer broke off: {panic}"))),
    }
}

impl fmt::Debug for ProducerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerPool")
            .field("default_bytes", &self.default_bytes)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
