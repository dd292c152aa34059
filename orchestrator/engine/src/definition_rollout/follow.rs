//! Following what is published: an engine leaves the topics of definitions that it lacks to other engines, and takes
//! them again when no engine reads them.

use super::{
    catch_up::CatchUps,
    publisher::{DefinitionPublisher, PublisherError},
};
use crate::{
    definition_generations::{
        GenerationTracker,
        generation::{DefinitionGeneration, DefinitionMismatch},
    },
    store_health::StoreHealth,
    trigger_intake::TriggerIntake,
};
use saga_kafka::{
    KafkaConsumer, KafkaSettings,
    consumer::{ConsumerSettings, TopicStart},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};
use tracing::{error, info, warn};

/// Between two looks: an engine that knows less notices it within it. A look that finds nothing costs one short read of
/// an index.
const LOOK: Duration = Duration::from_secs(1);

/// The time between two looks at the readers of left topics, and at the progress of catch-ups.
const TEND: Duration = Duration::from_secs(2);

/// Looks at which a left topic has to be without a reader before it is taken again: a group that an engine joins takes
/// a few seconds. Twice as many after each time, so that two engines that crash in turn do not pass a topic to and fro
/// all the time.
const NOBODY: u32 = 5;
const NOBODY_MOST: u32 = 160;

/// The tasks that follow, until it is dropped.
#[derive(Debug)]
pub struct FollowerTasks(Vec<JoinHandle<()>>);

impl Drop for FollowerTasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// What following needs of the engine. A cheap handle.
#[derive(Clone, Debug)]
pub struct FollowerContext {
    generations: Arc<GenerationTracker>,
    /// Takes the records that are read again.
    intake: TriggerIntake,
    store_health: Arc<StoreHealth>,
}

impl FollowerContext {
    pub(crate) fn new(
        generations: Arc<GenerationTracker>,
        intake: TriggerIntake,
        store_health: Arc<StoreHealth>,
    ) -> FollowerContext {
        FollowerContext { generations, intake, store_health }
    }
}

/// Follows from now on. `consumer` reads the topics of `plan`.
#[must_use]
pub fn follow(
    context: &FollowerContext,
    publisher: DefinitionPublisher,
    consumer: Arc<KafkaConsumer>,
    kafka: &KafkaSettings,
    plan: &ConsumerSettings,
) -> FollowerTasks {
    let follower = GenerationFollower {
        generations: Arc::clone(&context.generations),
        publisher: publisher.clone(),
        consumer,
        topics: plan.topics.clone(),
        is_unavailable: false,
    };
    let tending = GenerationMaintenance {
        generations: Arc::clone(&context.generations),
        store_health: Arc::clone(&context.store_health),
        catch_ups: CatchUps::new(context.intake.clone(), kafka, plan),
        publisher,
        unread: 0,
        patience: NOBODY,
    };
    FollowerTasks(vec![tokio::spawn(follower.run()), tokio::spawn(tending.run())])
}

struct GenerationFollower {
    generations: Arc<GenerationTracker>,
    publisher: DefinitionPublisher,
    consumer: Arc<KafkaConsumer>,
    topics: Vec<TopicStart>,
    is_unavailable: bool,
}

impl GenerationFollower {
    async fn run(mut self) {
        loop {
            let asked = Instant::now();
            match self.publisher.poll_change().await {
                Ok(news) => {
                    if let Some(generation) = news {
                        self.apply(generation);
                    }
                    self.is_unavailable = false;
                    self.generations.mark_fresh(asked);
                }
                Err(error) => self.not_heard(&error),
            }
            tokio::time::sleep(LOOK.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }

    fn not_heard(&mut self, error: &PublisherError) {
        if !std::mem::replace(&mut self.is_unavailable, true) {
            warn!(%error, "the engine cannot read the published definitions; trigger records wait until it can read them");
        }
    }

    fn apply(&self, generation: DefinitionGeneration) {
        let (number, by) = (self.publisher.number(), self.publisher.by());
        let before = self.generations.yielded_topics();
        let lacking = generation.forbidden_topics(&self.publisher.own);
        let left: BTreeMap<String, String> =
            lacking.iter().map(|(topic, lacks)| (topic.clone(), reason(lacks))).collect();
        for (topic, reason) in left.iter().filter(|(topic, _)| !before.contains_key(*topic)) {
            warn!(
                topic,
                reason,
                generation = number,
                published_by = by,
                "this engine stops reading the topic and leaves it to engines with the published files"
            );
        }
        for topic in before.keys().filter(|topic| !left.contains_key(*topic)) {
            info!(topic, generation = number, published_by = by, "this engine reads the topic again");
        }
        // Before the topics change, so that nothing that is on its way is judged.
        self.generations.set_generation(Arc::new(generation), left.clone());
        metrics::gauge!("saga_topics_left").set(f64::from(u32::try_from(left.len()).unwrap_or(u32::MAX)));
        if !left.keys().eq(before.keys()) {
            let kept = self.topics.iter().filter(|start| !left.contains_key(&*start.topic)).cloned();
            self.consumer.set_topics(kept.collect());
        }
    }
}

fn reason(lacks: &[DefinitionMismatch]) -> String {
    let each = lacks.iter().map(|lacks| match lacks {
        DefinitionMismatch::File(name) => format!("this engine has no file of `{name}`, which is published"),
        DefinitionMismatch::Text(name) => {
            format!("this engine has another text of `{name}` than the one that is published")
        }
    });
    each.collect::<Vec<_>>().join("; ")
}

struct GenerationMaintenance {
    generations: Arc<GenerationTracker>,
    store_health: Arc<StoreHealth>,
    catch_ups: CatchUps,
    publisher: DefinitionPublisher,
    /// Looks at which something that was left had no reader.
    unread: u32,
    patience: u32,
}

impl GenerationMaintenance {
    async fn run(mut self) {
        loop {
            tokio::time::sleep(TEND).await;
            if let Err(error) = self.reconcile().await {
                self.store_health.missed("tend what is published", &error);
            }
        }
    }

    async fn reconcile(&mut self) -> Result<(), PublisherError> {
        if let Some(generation) = self.generations.generation() {
            self.catch_ups.reconcile(&self.publisher, &generation).await?;
        }
        self.reclaim_unread_topics().await
    }

    async fn reclaim_unread_topics(&mut self) -> Result<(), PublisherError> {
        let left = self.generations.yielded_topics();
        if left.is_empty() {
            self.unread = 0;
            return Ok(());
        }
        let Some(read) = self.publisher.positions.subscribed_topics(&self.publisher.group).await? else {
            return Ok(());
        };
        let unread: BTreeSet<&String> = left.keys().filter(|topic| !read.contains(*topic)).collect();
        self.unread = if unread.is_empty() { 0 } else { self.unread + 1 };
        if self.unread < self.patience {
            return Ok(());
        }
        error!(
            topics = ?unread,
            "no engine reads these topics: the engines with the published definitions are gone. This engine publishes its \
             own definitions again"
        );
        (self.unread, self.patience) = (0, (self.patience * 2).min(NOBODY_MOST));
        self.publisher.publish().await.map(drop)
    }
}
