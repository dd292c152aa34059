//! The clients of a producer: each makes batches up to a size of its own, and a topic is written to by one whose batches it takes.

use super::{
    client::ProducerClient,
    outcome::{DeliveryFailure, DeliveryFailureKind},
};
use rdkafka::{ClientConfig, error::KafkaResult};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak, mpsc},
    thread,
    time::Duration,
};
use tokio::sync::{Notify, OnceCell};

/// The largest batch that each topic takes, in bytes.
pub type TopicBatchLimits = BTreeMap<Arc<str>, usize>;

/// Batches of topics that take smaller ones than is usual: 32 KiB, some twenty commands.
const NARROW_BYTES: usize = 32 * 1024;

/// How often a client is looked at. A look asks nobody.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Topics that are told apart; what is written to further ones goes in batches of the usual size. Names of topics come from definitions and
/// from participants.yaml, so there are fewer.
const MOST_TOPICS: usize = 10_000;

/// How large the batches are that a record leaves in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BatchSizeClass {
    /// As configured (`batch.size`): well below the limit that brokers usually have.
    Wide,
    /// [`NARROW_BYTES`] at most.
    Narrow,
    /// One record: what is refused is refused for itself.
    Lone,
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug)]
struct TopicBatchState {
    lane: BatchSizeClass,
    /// What it takes, as far as that was learnt.
    limit: Option<usize>,
}

impl TopicBatchState {
    const NOTHING: TopicBatchState = TopicBatchState { lane: BatchSizeClass::Wide, limit: None };
}

pub(super) struct ProducerPool {
    config: ClientConfig,
    wide_bytes: usize,
    wide: Arc<ProducerClient>,
    /// Made when they are first needed: most installations need neither.
    narrow: OnceCell<Arc<ProducerClient>>,
    lone: OnceCell<Arc<ProducerClient>>,
    topics: RwLock<HashMap<Arc<str>, TopicBatchState>>,
    wants_limits: Notify,
    /// The thread that looks ends when this is dropped.
    _looking: mpsc::Sender<()>,
}

impl ProducerPool {
    pub(super) fn start(config: ClientConfig) -> KafkaResult<Arc<ProducerPool>> {
        let wide = ProducerClient::start(config.clone())?;
        let wide_bytes = config.get("batch.size").and_then(|bytes| bytes.parse().ok()).unwrap_or(usize::MAX);
        let (_looking, over) = mpsc::channel();
        let lanes = Arc::new(ProducerPool {
            config,
            wide_bytes,
            wide,
            narrow: OnceCell::new(),
            lone: OnceCell::new(),
            topics: RwLock::default(),
            wants_limits: Notify::new(),
            _looking,
        });
        keep_looking(Arc::downgrade(&lanes), over);
        Ok(lanes)
    }

    /// Whose batches `topic` takes. Of a topic that is written to for the first time nothing is known yet.
    pub(super) fn of(&self, topic: &Arc<str>) -> BatchSizeClass {
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner).get(topic).copied();
        known.map(|known| known.lane).unwrap_or_else(|| {
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            if topics.len() < MOST_TOPICS {
                topics.insert(Arc::clone(topic), TopicBatchState::NOTHING);
                self.wants_limits.notify_one();
            }
            BatchSizeClass::Wide
        })
    }

    /// The client of `lane`, made if it is the first time.
    pub(super) async fn client(&self, lane: BatchSizeClass) -> Result<Arc<ProducerClient>, DeliveryFailure> {
        let cell = match lane {
            BatchSizeClass::Wide => return Ok(Arc::clone(&self.wide)),
            BatchSizeClass::Narrow => &self.narrow,
            BatchSizeClass::Lone => &self.lone,
        };
        cell.get_or_try_init(|| make(self.config_of(lane))).await.map(Arc::clone)
    }

    /// Those that are made.
    pub(super) fn clients(&self) -> Vec<Arc<ProducerClient>> {
        [Some(&self.wide), self.narrow.get(), self.lone.get()].into_iter().flatten().map(Arc::clone).collect()
    }

    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).keys().map(Arc::clone).collect()
    }

    pub(super) fn limit(&self, topic: &str) -> Option<usize> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(topic)?.limit
    }

    pub(super) async fn wants_limits(&self) {
        self.wants_limits.notified().await;
    }

    pub(super) fn learn(&self, limits: &TopicBatchLimits) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for (topic, limit) in limits {
            if topics.len() < MOST_TOPICS || topics.contains_key(topic) {
                topics.insert(Arc::clone(topic), TopicBatchState { lane: self.lane_for(*limit), limit: Some(*limit) });
            }
        }
    }

    /// It took a record alone that it had refused in a batch: its batches are smaller from now on.
    pub(super) fn refused_a_batch(&self, topic: &Arc<str>, lane: BatchSizeClass) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = topics.get_mut(topic).filter(|known| known.lane == lane) else { return };
        known.lane = match lane {
            BatchSizeClass::Wide if NARROW_BYTES < self.wide_bytes => BatchSizeClass::Narrow,
            BatchSizeClass::Wide | BatchSizeClass::Narrow | BatchSizeClass::Lone => BatchSizeClass::Lone,
        };
        self.wants_limits.notify_one();
    }

    /// A client's batch of several records never has more bytes than its `batch.size`, uncompressed and with the request around it; and it
    /// sends a batch uncompressed that compression would make larger.
    fn lane_for(&self, limit: usize) -> BatchSizeClass {
        if self.wide_bytes <= limit {
            BatchSizeClass::Wide
        } else if NARROW_BYTES <= limit {
            BatchSizeClass::Narrow
        } else {
            BatchSizeClass::Lone
        }
    }

    fn config_of(&self, lane: BatchSizeClass) -> ClientConfig {
        let mut config = self.config.clone();
        match lane {
            BatchSizeClass::Wide => {}
            BatchSizeClass::Narrow => {
                config.set("batch.size", NARROW_BYTES.to_string());
            }
            BatchSizeClass::Lone => {
                config.set("batch.num.messages", "1");
            }
        }
        config
    }
}

/// Looks after the brokers of all clients, whether or not anything is sent: what waits in a client that has lost them would only time out.
fn keep_looking(lanes: Weak<ProducerPool>, over: mpsc::Receiver<()>) {
    let look = move || {
        while over.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            let clients = lanes.upgrade().map(|lanes| lanes.clients()).unwrap_or_default();
            clients.iter().for_each(|client| client.check_brokers());
        }
    };
    if let Err(error) = thread::Builder::new().name("kafka-producer-look".into()).spawn(look) {
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
            .field("wide_bytes", &self.wide_bytes)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
