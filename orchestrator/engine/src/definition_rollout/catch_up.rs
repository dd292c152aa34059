//! Records that were finished before all engines knew of an added definition are read again, for that definition alone,
//! in a consumer group of their own: engines share the work, and a restart goes on where it was.

use super::publisher::{DefinitionPublisher, PublisherError};
use crate::{
    definition_generations::{HEARD_FOR, generation::DefinitionGeneration},
    trigger_intake::{self, EvaluationScope, IntakeExit, TriggerIntake},
};
use saga_kafka::{
    ConsumerEvent, DeliveredRecord, KafkaConsumer, KafkaSettings,
    consumer::{AssignmentMode, ConsumerSettings, TopicStart},
    consumer_groups::{GroupOffsets, PartitionOffsets},
};
use saga_wire::TopicPartition;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};
use tracing::{debug, info, warn};

/// Kafka's word for how long a member of a group may be silent; the engine's own default is [`SESSION`].
const SESSION_TIMEOUT: &str = "session.timeout.ms";
const SESSION: Duration = Duration::from_secs(10);

/// For a commit that an engine had begun before it noticed.
const ON_THE_WAY: Duration = Duration::from_secs(10);

/// For the consumer of a catch-up that is over.
const STOP: Duration = Duration::from_secs(10);

/// The catch-ups that this engine runs.
pub(super) struct CatchUps {
    intake: TriggerIntake,
    kafka: KafkaSettings,
    /// How the topics of triggers are read.
    plan: ConsumerSettings,
    running: BTreeMap<String, RunningCatchUp>,
    over: HashSet<String>,
}

struct RunningCatchUp {
    consumer: Arc<KafkaConsumer>,
    topics: BTreeSet<String>,
    since: Instant,
    /// Where it is over: engines that did not know the definitions finished nothing beyond.
    ends: Option<BTreeMap<String, GroupOffsets>>,
}

impl CatchUps {
    pub(super) fn new(intake: TriggerIntake, kafka: &KafkaSettings, plan: &ConsumerSettings) -> CatchUps {
        CatchUps { intake, kafka: kafka.clone(), plan: plan.clone(), running: BTreeMap::new(), over: HashSet::new() }
    }

    /// Starts those that are due, and ends those that are over.
    pub(super) async fn reconcile(
        &mut self,
        publisher: &DefinitionPublisher,
        generation: &DefinitionGeneration,
    ) -> Result<(), PublisherError> {
        for gone in
            self.running.keys().filter(|name| !generation.catch_ups.contains_key(*name)).cloned().collect::<Vec<_>>()
        {
            self.stop(&gone).await;
        }
        for (name, of) in &generation.catch_ups {
            let is_known = of.iter().all(|definition| publisher.own.definitions.contains_key(definition));
            if !is_known || self.over.contains(name) {
                continue;
            }
            if publisher.is_caught_up(name).await? {
                self.stop(name).await;
                self.over.insert(name.clone());
                // Refused while another engine is still in it: the last one deletes it.
                if let Err(error) = publisher.positions.delete(&publisher.group_of(name)).await {
                    debug!(%error, catch_up = name, "the group of a catch-up is not deleted");
                }
            } else if self.running.contains_key(name) {
                self.look(publisher, name).await?;
            } else {
                self.start(publisher, generation, name, of).await?;
            }
        }
        Ok(())
    }

    async fn start(
        &mut self,
        publisher: &DefinitionPublisher,
        generation: &DefinitionGeneration,
        name: &str,
        of: &BTreeSet<String>,
    ) -> Result<(), PublisherError> {
        let group = publisher.group_of(name);
        let topics: BTreeSet<String> =
            of.iter().filter_map(|definition| Some(generation.definitions.get(definition)?.topic.clone())).collect();
        self.begin(publisher, generation, &group, &topics, of).await?;
        let starts = topics.iter().map(|topic| TopicStart::earliest(topic)).collect();
        let plan = ConsumerSettings {
            name: "catch-up",
            group,
            mode: AssignmentMode::Group,
            topics: starts,
            ..self.plan.clone()
        };
        let (consumer, events) = match KafkaConsumer::start(&self.kafka, plan) {
            Ok(started) => started,
            Err(error) => {
                warn!(%error, catch_up = name, "records cannot be read again yet");
                return Ok(());
            }
        };
        info!(catch_up = name, definitions = ?of, ?topics, "records that were finished without these definitions are \
         read again for them");
        let consumer = Arc::new(consumer);
        tokio::spawn(read(self.intake.clone(), Arc::clone(&consumer), events, Arc::new(of.clone())));
        self.running.insert(name.to_owned(), RunningCatchUp { consumer, topics, since: Instant::now(), ends: None });
        Ok(())
    }

    /// Commits where the reading begins, if no engine has committed it: a topic may be long.
    async fn begin(
        &self,
        publisher: &DefinitionPublisher,
        generation: &DefinitionGeneration,
        group: &str,
        topics: &BTreeSet<String>,
        of: &BTreeSet<String>,
    ) -> Result<(), PublisherError> {
        let standing = publisher.positions.group_offsets(group, topics).await?;
        let mut begins = Vec::new();
        for (topic, standing) in standing.iter().filter(|(_, standing)| !standing.is_known()) {
            let starts: Vec<&PartitionOffsets> = of
                .iter()
                .filter_map(|name| generation.definitions.get(name).filter(|it| it.topic == *topic))
                .map(|it| &it.starts)
                .collect();
            for partition in standing.ends.keys() {
                let first = starts.iter().map(|starts| starts.get(partition)).min().flatten();
                let at = TopicPartition { topic: topic.as_str().into(), partition: *partition };
                begins.extend(first.map(|first| (at, *first)));
            }
        }
        if begins.is_empty() {
            return Ok(());
        }
        // Refused when another engine reads already: then it has begun.
        if let Err(error) = publisher.positions.commit(group, begins).await {
            warn!(%error, group, "where records are read again from is not committed; if no engine did, the topic is read \
             whole");
        }
        Ok(())
    }

    async fn look(&mut self, publisher: &DefinitionPublisher, name: &str) -> Result<(), PublisherError> {
        let grace = self.grace();
        let Some(running) = self.running.get_mut(name) else { return Ok(()) };
        if running.since.elapsed() < grace {
            return Ok(());
        }
        if running.ends.is_none() {
            running.ends = Some(publisher.positions.group_offsets(&publisher.group, &running.topics).await?);
        }
        let progress = publisher.positions.group_offsets(&publisher.group_of(name), &running.topics).await?;
        if running.ends.as_ref().is_some_and(|ends| has_reached(&progress, ends)) {
            publisher.caught_up(name).await?;
            info!(
                catch_up = name,
                "the engine has read again, for the added definitions, all records that older engines had finished"
            );
        }
        Ok(())
    }

    /// After so long no engine finishes records without knowing what was published: it has heard of it, or waits, or
    /// lost its partitions.
    fn grace(&self) -> Duration {
        let said = self.kafka.properties.get(SESSION_TIMEOUT).and_then(|text| text.parse().ok());
        HEARD_FOR + said.map_or(SESSION, Duration::from_millis) + ON_THE_WAY
    }

    async fn stop(&mut self, name: &str) {
        if let Some(running) = self.running.remove(name) {
            running.consumer.stop(STOP).await;
        }
    }
}

fn has_reached(progress: &BTreeMap<String, GroupOffsets>, ends: &BTreeMap<String, GroupOffsets>) -> bool {
    ends.iter().all(|(topic, standing)| {
        let reached = progress.get(topic).map(|it| &it.committed);
        standing.committed.iter().all(|(partition, end)| {
            *end == 0 || reached.and_then(|it| it.get(partition)).is_some_and(|next| next >= end)
        })
    })
}

async fn read(
    intake: TriggerIntake,
    consumer: Arc<KafkaConsumer>,
    mut events: mpsc::Receiver<ConsumerEvent>,
    of: Arc<BTreeSet<String>>,
) -> IntakeExit {
    let mut holds = intake.consumer_holds();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                None => return IntakeExit::Stopped,
                Some(ConsumerEvent::Records(records)) => {
                    for DeliveredRecord { record, ack } in records {
                        let record = Arc::new(record);
                        intake.wait_while_paused(&record).await;
                        intake.take_trigger(record, ack, EvaluationScope::Again(&of)).await;
                    }
                }
                Some(other) => trigger_intake::report("catch-up", &other),
            },
            () = holds.changed() => holds.apply(&consumer),
        }
    }
}
