//! The clients of a producer. Each makes batches up to a size of its own, and a topic is written to by one whose
//! batches it accepts.

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

/// The largest batch that each topic accepts, in bytes.
pub type TopicBatchLimits = BTreeMap<Arc<str>, usize>;

/// Bytes of a batch for topics that accept less than the default: some twenty commands.
const SMALL_BATCH_BYTES: usize = 32 * 1024;

/// How often the brokers of each client are checked. A check sends nothing.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Topics of which the batch size is kept, so that the table stays bounded. Further topics get batches of the default
/// size. Names of topics come from definitions and from participants.yaml, so there are fewer.
const MOST_TOPICS: usize = 10_000;

/// How large the batches are in which a record is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BatchSizeClass {
    /// As configured (`batch.size`): well below the limit that topics usually have.
    Default,
    /// Batches of at most [`SMALL_BATCH_BYTES`].
    Small,
    /// One record, so that a refusal certainly concerns this record.
    Single,
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug)]
struct TopicBatchState {
    class: BatchSizeClass,
    /// The largest batch that it accepts, in bytes, if the broker has said it.
    limit: Option<usize>,
}

impl TopicBatchState {
    const NOTHING: TopicBatchState = TopicBatchState { class: BatchSizeClass::Default, limit: None };
}

pub(super) struct ProducerPool {
    config: ClientConfig,
    default_bytes: usize,
    default: Arc<ProducerClient>,
    /// Created at the first use: most installations never use them.
    small: OnceCell<Arc<ProducerClient>>,
    single: OnceCell<Arc<ProducerClient>>,
    topics: RwLock<HashMap<Arc<str>, TopicBatchState>>,
    limits_wanted: Notify,
    /// Nothing is sent. The thread that checks the brokers ends when this is dropped.
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

    /// The batch size for `topic`. A topic that is written to for the first time gets the default, and its limit is
    /// wanted.
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

    /// The client of `class`; creates it at the first use.
    pub(super) async fn client(&self, class: BatchSizeClass) -> Result<Arc<ProducerClient>, DeliveryFailure> {
        let cell = match class {
            BatchSizeClass::Default => return Ok(Arc::clone(&self.default)),
            BatchSizeClass::Small => &self.small,
            BatchSizeClass::Single => &self.single,
        };
        cell.get_or_try_init(|| make(self.config_of(class))).await.map(Arc::clone)
    }

    /// The clients that exist.
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

    /// The topic accepted a record alone that it had refused in a batch of `class`. Its batches are smaller from now
    /// on.
    pub(super) fn use_smaller_batches(&self, topic: &Arc<str>, class: BatchSizeClass) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = topics.get_mut(topic).filter(|known| known.class == class) else { return };
        known.class = match class {
            BatchSizeClass::Default if SMALL_BATCH_BYTES < self.default_bytes => BatchSizeClass::Small,
            BatchSizeClass::Default | BatchSizeClass::Small | BatchSizeClass::Single => BatchSizeClass::Single,
        };
        self.limits_wanted.notify_one();
    }

    /// A batch of several records never has more bytes than the client's `batch.size`, uncompressed and with the
    /// request around it, and the client sends a batch uncompressed if compression would make it larger. So a limit of
    /// at least `batch.size` is safe.
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

/// Checks the brokers of all clients, whether or not anything is sent: records in a client that has lost its brokers
/// would only time out.
fn spawn_broker_checks(pool: Weak<ProducerPool>, over: mpsc::Receiver<Infallible>) {
    let check = move || {
        while over.recv_timeout(CHECK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            let clients = pool.upgrade().map(|pool| pool.clients()).unwrap_or_default();
            clients.iter().for_each(|client| client.check_brokers());
        }
    };
    if let Err(error) = thread::Builder::new().name("kafka-producer-look".into()).spawn(check) {
        tracing::warn!(%error, "no thread to check the brokers of the producer");
    }
}

/// On a thread for blocking work: creating a client may read files.
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
