//! Publishing what this engine has files for.

use crate::{
    active_config::{ActiveConfig, ActiveConfigCell},
    definition_generations::{
        GenerationTracker,
        generation::{
            AddedDefinition, DefinitionGeneration, DefinitionStart, LocalCatalog, LocalDefinition, OffsetSnapshot,
            capability,
        },
    },
    notes::succession::OptimisticLog,
};
use rdkafka::error::KafkaError;
use saga_base::clock::EngineClock;
use saga_core::{definition::TriggerStartPosition, digest::hex};
use saga_event_store::EventStore;
use saga_kafka::{
    KafkaSettings,
    consumer_groups::{ConsumerGroupAdmin, GroupOffsets, PartitionOffsets},
    settings::CATCH_UP,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tracing::info;

/// The log in the event store, and the kind of its documents.
pub(super) const LOG: &str = "definitions";
pub(super) const SET: &str = "generation";
/// The kind of document that says that a catch-up is over.
const CAUGHT_UP: &str = "caught-up";

/// Of so many looks one reads the log from its start: a database that was restored, or lost commits, has another one.
/// It is short.
const FROM_THE_START: u32 = 30;

/// Engines that start at the same moment publish one after the other; more than these do not.
const ROUNDS: usize = 20;

/// A set cannot be published or read.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// The store did not answer.
    #[error("the event store: {0}")]
    Store(#[from] saga_event_store::StoreError),
    /// The broker did not answer.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A newer build wrote the published set.
    #[error("the published set of definitions {0} cannot be read by this build")]
    Unreadable(String),
    /// Other engines published first at every try.
    #[error("other engines publish their definitions all the time")]
    Crowded,
}

impl PublisherError {
    /// Whether a later try may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            PublisherError::Store(error) => error.is_worth_waiting_at_start(),
            PublisherError::Kafka(_) | PublisherError::Crowded => true,
            PublisherError::Unreadable(_) => false,
        }
    }
}

/// One entry of the log: where the set is stored, and which engine published it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GenerationAnnouncement {
    pub(super) set: String,
    pub(super) by: String,
}

/// What publishing needs of the engine. A cheap handle.
#[derive(Clone, Debug)]
pub struct PublisherContext {
    store: Arc<dyn EventStore>,
    config: Arc<ActiveConfigCell>,
    generations: Arc<GenerationTracker>,
    clock: EngineClock,
    /// Name of this process in what it publishes.
    instance: String,
}

impl PublisherContext {
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        config: Arc<ActiveConfigCell>,
        generations: Arc<GenerationTracker>,
        clock: EngineClock,
        instance: String,
    ) -> PublisherContext {
        PublisherContext { store, config, generations, clock, instance }
    }
}

/// Reads and writes the published set of definitions.
#[derive(Clone, Debug)]
pub struct DefinitionPublisher {
    store: Arc<dyn EventStore>,
    clock: EngineClock,
    log: OptimisticLog<GenerationAnnouncement>,
    pub(super) own: LocalCatalog,
    pub(super) positions: ConsumerGroupAdmin,
    pub(super) group: String,
    instance: String,
    looks: u32,
}

impl DefinitionPublisher {
    /// Publishes what this engine has files for, unless that is what was published last.
    ///
    /// # Errors
    /// When the store or the broker does not answer ([`PublisherError::is_transient`]), or a newer build published
    /// something else.
    pub async fn start(
        context: &PublisherContext,
        kafka: &KafkaSettings,
    ) -> Result<DefinitionPublisher, PublisherError> {
        let mut publisher = DefinitionPublisher {
            store: Arc::clone(&context.store),
            clock: context.clock,
            log: OptimisticLog::of(LOG),
            own: knowledge(&context.config.keep()),
            positions: ConsumerGroupAdmin::new(kafka),
            group: kafka.group.clone(),
            instance: context.instance.clone(),
            looks: 0,
        };
        let generation = publisher.publish().await?;
        context.generations.set_generation(Arc::new(generation), BTreeMap::new());
        context.generations.mark_fresh(tokio::time::Instant::now());
        Ok(publisher)
    }

    /// Publishes, and returns what is published then: this engine's own set.
    pub(super) async fn publish(&mut self) -> Result<DefinitionGeneration, PublisherError> {
        let mut is_told = false;
        for _ in 0..ROUNDS {
            let before = self.current().await?;
            if !std::mem::replace(&mut is_told, true) {
                self.tell_what_is_live(before.as_ref());
            }
            if let Some(before) = before.as_ref().filter(|before| before.matches(&self.own)) {
                return Ok(before.clone());
            }
            let (next, added) = self.next(before.as_ref()).await?;
            let set = self.keep(&next).await?;
            let announced = GenerationAnnouncement { set, by: self.instance.clone() };
            self.log.write(self.store.as_ref(), &announced, self.clock.now()).await?;
            if self.log.current().is_some_and(|entry| entry.what == announced) {
                self.tell(&next, &added);
                return Ok(next);
            }
        }
        Err(PublisherError::Crowded)
    }

    /// The set that is published now; `None`: no set was published yet.
    pub(super) async fn current(&mut self) -> Result<Option<DefinitionGeneration>, PublisherError> {
        self.log.read(self.store.as_ref()).await?;
        let Some(entry) = self.log.current() else { return Ok(None) };
        let unreadable = || PublisherError::Unreadable(entry.what.set.clone());
        let text = self.store.get_document(SET, &entry.what.set).await?.ok_or_else(unreadable)?;
        serde_json::from_str(&text).map(Some).map_err(|_| unreadable())
    }

    /// Reads on; what is published now, if that is something else than at the last look.
    pub(super) async fn poll_change(&mut self) -> Result<Option<DefinitionGeneration>, PublisherError> {
        let before = self.log.current().cloned();
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(FROM_THE_START) {
            self.log = OptimisticLog::of(LOG);
        }
        self.log.read(self.store.as_ref()).await?;
        if self.log.current() == before.as_ref() { Ok(None) } else { self.current().await }
    }

    /// Of the generation that was read last.
    pub(super) fn number(&self) -> i64 {
        self.log.current().map_or(0, |entry| entry.number.0)
    }

    /// The instance that published the current set; empty if there is none.
    pub(super) fn by(&self) -> String {
        self.log.current().map(|entry| entry.what.by.clone()).unwrap_or_default()
    }

    /// Whether the catch-up with this name is over.
    pub(super) async fn is_caught_up(&self, catch_up: &str) -> Result<bool, PublisherError> {
        Ok(self.store.get_document(CAUGHT_UP, catch_up).await?.is_some())
    }

    /// A catch-up is over, for all engines.
    pub(super) async fn caught_up(&self, catch_up: &str) -> Result<(), PublisherError> {
        Ok(self.store.put_document(CAUGHT_UP, catch_up, "").await?)
    }

    /// The group in which the records of a catch-up are read.
    pub(super) fn group_of(&self, catch_up: &str) -> String {
        format!("{}{CATCH_UP}{catch_up}", self.group)
    }

    async fn next(
        &self,
        before: Option<&DefinitionGeneration>,
    ) -> Result<(DefinitionGeneration, Vec<AddedDefinition>), PublisherError> {
        let now = self.clock.now();
        match before {
            None => {
                let broker = self.ask(&DefinitionGeneration::default()).await?;
                Ok((DefinitionGeneration::first(&self.own, &broker, now), Vec::new()))
            }
            Some(before) => {
                let mut before = before.clone();
                self.forget_caught_up(&mut before).await?;
                let broker = self.ask(&before).await?;
                let catch_up = format!("{:08x}", fastrand::u32(..));
                Ok(before.next(&self.own, &broker, now, &catch_up))
            }
        }
    }

    async fn forget_caught_up(&self, generation: &mut DefinitionGeneration) -> Result<(), PublisherError> {
        for catch_up in generation.catch_ups.keys().cloned().collect::<Vec<_>>() {
            if self.is_caught_up(&catch_up).await? {
                generation.catch_ups.remove(&catch_up);
            }
        }
        Ok(())
    }

    async fn ask(&self, before: &DefinitionGeneration) -> Result<OffsetSnapshot, PublisherError> {
        let own = self.own.definitions.values().map(|own| own.topic.clone());
        let topics: BTreeSet<String> = own.chain(before.definitions.values().map(|it| it.topic.clone())).collect();
        let standing = self.positions.group_offsets(&self.group, &topics).await?;
        let mut at_time = BTreeMap::new();
        for (name, own) in &self.own.definitions {
            if let Some(TriggerStartPosition::Time(time)) = own.from
                && !before.definitions.contains_key(name)
            {
                at_time.insert(name.clone(), self.positions.offsets_at(&self.group, &own.topic, time).await?);
            }
        }
        let mut catch_ups = BTreeMap::new();
        for catch_up in before.catch_ups.keys() {
            let standing = self.positions.group_offsets(&self.group_of(catch_up), &topics).await?;
            catch_ups.insert(catch_up.clone(), committed(standing));
        }
        Ok(OffsetSnapshot { standing, at_time, catch_ups })
    }

    async fn keep(&self, generation: &DefinitionGeneration) -> Result<String, PublisherError> {
        let text = serde_json::to_string(generation).map_err(|error| PublisherError::Unreadable(error.to_string()))?;
        let hash = hex(&Sha256::digest(&text));
        self.store.put_document(SET, &hash, &text).await?;
        Ok(hash)
    }

    /// Against what was published before: what started sagas until now.
    fn tell_what_is_live(&self, before: Option<&DefinitionGeneration>) {
        for (name, own) in &self.own.definitions {
            match before.and_then(|before| before.definitions.get(name)) {
                None => info!(definition = name, hash = own.hash, topic = own.topic, "a definition is live: new"),
                Some(former) if former.hash == own.hash => {
                    info!(definition = name, hash = own.hash, topic = own.topic, "a definition is live: as before");
                }
                Some(former) => info!(
                    definition = name,
                    hash = own.hash,
                    former = former.hash,
                    topic = own.topic,
                    "a definition is live: changed; sagas that run go on by the former one"
                ),
            }
        }
        let gone = before.iter().flat_map(|before| before.definitions.keys());
        for name in gone.filter(|name| !self.own.definitions.contains_key(*name)) {
            info!(definition = name, "a definition is not live any more: it has no file; sagas that run go on");
        }
    }

    fn tell(&self, generation: &DefinitionGeneration, added: &[AddedDefinition]) {
        let (definitions, removed) = (generation.definitions.len(), generation.removed.len());
        info!(generation = self.number(), definitions, removed, "the definitions of this engine are published");
        for AddedDefinition { definition, how, behind, ahead } in added {
            let begins = match how {
                DefinitionStart::FirstContact => {
                    "no engine has read its topic: the definition starts where `trigger.from` says"
                }
                DefinitionStart::GroupOffset => {
                    "an engine already reads its topic: the definition starts at the current position and gets no older \
                     records. To get them, write `from: earliest`"
                }
                DefinitionStart::Configured => {
                    "an engine already reads its topic: the definition starts where its `trigger.from` says"
                }
                DefinitionStart::Resumed => {
                    "the definition was removed less than seven days ago: it continues at its old position"
                }
            };
            info!(definition, records_to_read_again = behind, records_ahead = ahead, "a definition is new: {begins}");
        }
    }
}

fn committed(standing: BTreeMap<String, GroupOffsets>) -> BTreeMap<String, PartitionOffsets> {
    standing.into_iter().map(|(topic, standing)| (topic, standing.committed)).collect()
}

fn knowledge(live: &ActiveConfig) -> LocalCatalog {
    let own = live.catalog.plans().iter().map(|plan| {
        let trigger = &plan.definition.trigger;
        let own =
            LocalDefinition { topic: trigger.topic.clone(), hash: plan.definition.hash.clone(), from: trigger.from };
        (plan.definition.name.clone(), own)
    });
    let participants = live.participants.names().map(ToString::to_string).collect();
    let mut capabilities = BTreeMap::new();
    for (name, participant) in live.participants.iter() {
        for it in &participant.capabilities {
            capabilities.entry(capability(it, participant.transport.over())).or_insert_with(|| name.to_owned());
        }
    }
    LocalCatalog { definitions: own.collect(), participants, capabilities }
}
