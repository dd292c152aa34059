//! Records of trigger and reply topics: each is decided here, once per definition, and brought to the shards it
//! concerns.

use super::{
    active_config::ActiveConfigCell,
    dead_letter::{DeadLetter, DeadLetterWriter},
    definition_generations::GenerationTracker,
    definition_pauses::{DefinitionPause, PauseLog},
    message::{MessageContent, MessageReceipt, ShardMessage},
    partition_holds::{ConsumerHolds, PartitionHolds},
    router::{MessageSource, ShardRouter},
    schema_source::SchemaSource,
    schema_waits::{SchemaWaits, WaitingRecord},
    trigger_backpressure::TriggerBackpressure,
};
use saga_core::{definition::SagaDefinition, id::ShardId, input::SagaStart, state::SagaPlan};
use saga_kafka::{
    ConsumerEvent, DeliveredRecord, KafkaConsumer, RecordAck,
    consumer::{AckCondition, RecordLoss},
    end_offsets,
};
use saga_wire::{
    KafkaRecord, PayloadSchema, PayloadSchemaName, TopicPartition, cloudevents,
    reply::{self, CommandReply, ParsedReply},
    trigger::{self, TriggerEvaluation, TriggerOutcome},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info, warn};

/// The reason why the intake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntakeExit {
    /// The caller stopped the intake.
    Stopped,
    /// The intake cannot go on, for this reason.
    Failed(String),
}

/// For which definitions a record is judged.
#[derive(Clone, Copy, Debug)]
pub(super) enum EvaluationScope<'a> {
    /// For all definitions of its topic.
    ForAll,
    /// Only for these definitions: the record was judged for the others before.
    Again(&'a BTreeSet<String>),
}

impl EvaluationScope<'_> {
    fn is_for(self, definition: &str) -> bool {
        match self {
            EvaluationScope::ForAll => true,
            EvaluationScope::Again(definitions) => definitions.contains(definition),
        }
    }
}

/// Takes records of trigger and reply topics. A cheap handle.
#[derive(Clone, Debug)]
pub struct TriggerIntake {
    router: ShardRouter,
    config: Arc<ActiveConfigCell>,
    generations: Arc<GenerationTracker>,
    letters: DeadLetterWriter,
    backpressure: Arc<TriggerBackpressure>,
    holds: PartitionHolds,
    schemas: SchemaSource,
    pauses: Arc<PauseLog>,
    waits: Arc<SchemaWaits>,
    /// Name of the topic of replies; `None` without Kafka.
    replies: Option<Arc<str>>,
}

impl TriggerIntake {
    pub(crate) fn new(
        router: ShardRouter,
        config: Arc<ActiveConfigCell>,
        generations: Arc<GenerationTracker>,
        letters: DeadLetterWriter,
        (backpressure, holds): (Arc<TriggerBackpressure>, PartitionHolds),
        (schemas, pauses): (SchemaSource, Arc<PauseLog>),
        replies: Option<Arc<str>>,
    ) -> TriggerIntake {
        let waits = Arc::new(SchemaWaits::new(holds.clone()));
        TriggerIntake { router, config, generations, letters, backpressure, holds, schemas, pauses, waits, replies }
    }

    /// Takes records until the consumer's channel closes: after its stop, or when it cannot go on.
    pub async fn run(self, consumer: Arc<KafkaConsumer>, mut events: mpsc::Receiver<ConsumerEvent>) -> IntakeExit {
        let mut holds = self.consumer_holds();
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => return IntakeExit::Stopped,
                    Some(ConsumerEvent::Failed(reason)) => return IntakeExit::Failed(reason),
                    Some(event) => self.take(event).await,
                },
                () = holds.changed() => holds.apply(&consumer),
            }
        }
    }

    /// For another consumer, which holds the same partitions back.
    pub(crate) fn consumer_holds(&self) -> ConsumerHolds {
        ConsumerHolds::new(&self.holds)
    }

    async fn take(&self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Records(records) => {
                for DeliveredRecord { record, ack } in records {
                    self.take_record(Arc::new(record), ack).await;
                }
            }
            revoked @ ConsumerEvent::Revoked(_) => {
                report("triggers", &revoked);
                if let ConsumerEvent::Revoked(partitions) = &revoked {
                    self.waits.forget(partitions);
                }
            }
            other @ (ConsumerEvent::Assigned(_)
            | ConsumerEvent::FirstContact { .. }
            | ConsumerEvent::OffsetsLost { .. }
            | ConsumerEvent::Trouble(_)
            | ConsumerEvent::Recovered
            | ConsumerEvent::Failed(_)) => report("triggers", &other),
        }
    }

    async fn take_record(&self, record: Arc<KafkaRecord>, ack: RecordAck) {
        let is_reply = self.is_reply(&record);
        if is_reply && end_offsets::is_marker(&record) {
            return ack.finish();
        }
        if is_reply && cloudevents::is_replayed(&record) {
            count_replayed("reply");
            return ack.finish();
        }
        let Some((record, ack)) = self.waits.join((record, ack)) else { return };
        if self.schemas.is_at_hand(&record, self.schema_needed(&record)) && !self.has_paused(&record) {
            return self.take_now(record, ack).await;
        }
        let partition = record.topic_partition();
        self.waits.begin(&partition);
        tokio::spawn(self.clone().take_waiting(partition, (record, ack)));
    }

    /// Takes a record that waits for its schema or for the end of a pause, and then the records of its partition that
    /// wait for it.
    async fn take_waiting(self, partition: TopicPartition, first: WaitingRecord) {
        let mut next = Some(first);
        while let Some((record, ack)) = next {
            let taken = async {
                self.wait_for_schema(&record).await;
                self.wait_while_paused(&record).await;
                self.take_now(record, ack).await;
            };
            self.waits.holding(&partition, taken).await;
            next = self.waits.next(&partition);
        }
    }

    /// Before the definitions are looked at: after a long wait others may be published. The schema is at hand from then
    /// on.
    async fn wait_for_schema(&self, record: &KafkaRecord) {
        if !self.is_reply(record) {
            drop(self.schemas.of_record(record, self.schema_needed(record)).await);
        }
    }

    /// Why the definition starts nothing; `None`: it is not paused.
    pub(crate) fn pause_of(&self, definition: &str) -> Option<DefinitionPause> {
        self.pauses.of(definition)
    }

    /// Whether the record's topic triggers a definition that is paused.
    fn has_paused(&self, record: &KafkaRecord) -> bool {
        !self.pauses.is_empty() && !self.is_reply(record) && !self.paused_of(record).is_empty()
    }

    fn paused_of(&self, record: &KafkaRecord) -> Vec<Arc<SagaDefinition>> {
        let paused = self.pauses.all();
        let config = self.config.keep();
        let all = config.catalog.definitions_of(&record.topic).iter();
        all.filter(|definition| paused.contains_key(&definition.name)).cloned().collect()
    }

    /// Returns when no definition that is paused would begin a saga by the record. It stays unfinished by then, and the
    /// records of its partition wait behind it: Kafka keeps them, in their order.
    pub(crate) async fn wait_while_paused(&self, record: &KafkaRecord) {
        if self.is_reply(record) {
            return;
        }
        let mut changes = self.pauses.changes();
        loop {
            changes.mark_unchanged();
            let paused = self.paused_of(record);
            let schema = self.schemas.of_record(record, trigger::schema_needed(record, &paused)).await;
            let begins = |judged: &TriggerEvaluation| matches!(judged.disposition, TriggerOutcome::Start(_));
            if !trigger::evaluate(record, &schema, &paused).iter().any(begins) || changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_reply(&self, record: &KafkaRecord) -> bool {
        self.replies.as_ref() == Some(&record.topic)
    }

    fn schema_needed(&self, record: &KafkaRecord) -> Option<PayloadSchemaName> {
        if self.is_reply(record) {
            return reply::schema_needed(record);
        }
        trigger::schema_needed(record, self.config.keep().catalog.definitions_of(&record.topic))
    }

    /// Takes a record whose turn it is; waits for its schema.
    async fn take_now(&self, record: Arc<KafkaRecord>, ack: RecordAck) {
        if self.is_reply(&record) {
            let schema = self.schemas.of_record(&record, reply::schema_needed(&record)).await;
            return self.take_reply((record, schema), MessageReceipt::Offset(ack), MessageSource::Outside).await;
        }
        self.generations.wait_fresh().await;
        if self.generations.reads(&record.topic) {
            metrics::counter!("saga_records_total", "topic" => record.topic.to_string()).increment(1);
            ack.only_if(Arc::clone(&self.generations) as Arc<dyn AckCondition>);
            self.take_trigger(record, ack, EvaluationScope::ForAll).await;
        } else {
            // An engine that knows more reads it: here it must not count as finished.
            drop(ack);
        }
    }

    /// A record of a trigger topic: every definition of the topic has its own disposition of it. Waits for its schema.
    pub(crate) async fn take_trigger(&self, record: Arc<KafkaRecord>, ack: RecordAck, judged: EvaluationScope<'_>) {
        let mut live = self.config.keep();
        let needed = trigger::schema_needed(&record, live.catalog.definitions_of(&record.topic));
        let schema = self.schemas.of_record(&record, needed).await;
        if needed.is_some() {
            live = self.config.keep();
        }
        let plans = live.catalog.of_topic(&record.topic);
        let definitions = live.catalog.definitions_of(&record.topic);
        for TriggerEvaluation { definition, disposition } in trigger::evaluate(&record, &schema, definitions) {
            let plan = definition.and_then(|index| plans.get(index));
            if self.is_wanted(plan, &record, judged) {
                self.take_evaluation(disposition, plan, &record, &ack).await;
            }
        }
        ack.finish();
    }

    /// What is no definition's matter was reported when the record was judged for all.
    fn is_wanted(&self, plan: Option<&Arc<SagaPlan>>, record: &KafkaRecord, judged: EvaluationScope<'_>) -> bool {
        let name = plan.map(|plan| plan.definition.name.as_str());
        name.map_or(matches!(judged, EvaluationScope::ForAll), |name| {
            judged.is_for(name) && self.generations.is_for(name, record)
        })
    }

    async fn take_evaluation(
        &self,
        disposition: TriggerOutcome,
        plan: Option<&Arc<SagaPlan>>,
        record: &Arc<KafkaRecord>,
        ack: &RecordAck,
    ) {
        match (disposition, plan) {
            (TriggerOutcome::Start(start), Some(plan)) => {
                self.backpressure.hold_back(plan, record);
                let receipt = MessageReceipt::Offset(ack.clone());
                self.begin(plan, *start, record, (receipt, MessageSource::Outside)).await;
            }
            (TriggerOutcome::Poison(poison), plan) => {
                let definition = plan.map(|plan| plan.definition.name.clone());
                let poison = if self.is_sensitive(record) { poison.without_excerpt() } else { poison };
                let letter = DeadLetter { poison, definition };
                self.letters.send(Arc::clone(record), MessageReceipt::Offset(ack.clone()), letter);
            }
            (TriggerOutcome::Replayed, _) => count_replayed("trigger"),
            (TriggerOutcome::Unwanted | TriggerOutcome::Start(_), _) => {
                debug!(record = %record.coordinates(), "the trigger does not want the record");
            }
        }
    }

    /// Whether a definition of the topic has sensitive values: what cannot be read may have them anywhere.
    fn is_sensitive(&self, record: &KafkaRecord) -> bool {
        let live = self.config.keep();
        live.catalog.definitions_of(&record.topic).iter().any(|definition| !definition.sensitive.is_empty())
    }

    /// Brings a start to the shard of its key.
    pub(crate) async fn begin(
        &self,
        plan: &Arc<SagaPlan>,
        start: SagaStart,
        record: &Arc<KafkaRecord>,
        (receipt, source): (MessageReceipt, MessageSource),
    ) {
        let shard = ShardId::of(&plan.definition.name, &start.key, self.router.shards());
        let body = MessageContent::Start { plan: Arc::clone(plan), start: Box::new(start) };
        let message = ShardMessage { body, record: Some(Arc::clone(record)), receipt };
        self.router.route(shard, message, source).await;
    }

    /// A reply of a participant, read here or handed on through the inbox. One that cannot be read goes to the DLQ; if
    /// it says which command it answers, its saga parks first.
    pub(crate) async fn take_reply(
        &self,
        (record, schema): (Arc<KafkaRecord>, PayloadSchema),
        receipt: MessageReceipt,
        source: MessageSource,
    ) {
        metrics::counter!("saga_replies_total").increment(1);
        match reply::parse(&record, &schema) {
            ParsedReply::Reply(reply) if !self.router.has(reply.saga.shard()) => {
                self.letters.send(record, receipt, DeadLetter::of_foreign_saga());
            }
            ParsedReply::Reply(reply) => self.route_reply(reply, Some(record), receipt, source).await,
            ParsedReply::Poison { poison, unknown } => {
                let Some(reply) = unknown.filter(|reply| self.router.has(reply.saga.shard())) else {
                    return self.letters.send(record, receipt, poison.into());
                };
                let (decided, is_decided) = oneshot::channel();
                self.route_reply(reply, None, MessageReceipt::Reply(decided), source).await;
                // After a crash in between the record is read again. Without an answer the engine stops, or hands the
                // saga to another one.
                let letters = self.letters.clone();
                tokio::spawn(async move {
                    drop(is_decided.await);
                    letters.send(record, receipt, poison.into());
                });
            }
        }
    }

    async fn route_reply(
        &self,
        reply: CommandReply,
        record: Option<Arc<KafkaRecord>>,
        receipt: MessageReceipt,
        source: MessageSource,
    ) {
        let shard = reply.saga.shard();
        let body = MessageContent::Reply(Box::new(reply));
        self.router.route(shard, ShardMessage { body, record, receipt }, source).await;
    }
}

/// Counts a record that is ignored because it is published once more.
fn count_replayed(kind: &'static str) {
    metrics::counter!("saga_replayed_ignored_total", "kind" => kind).increment(1);
}

/// Logs an event that a consumer reports about itself.
pub(super) fn report(consumer: &'static str, event: &ConsumerEvent) {
    match event {
        ConsumerEvent::Assigned(partitions) => info!(consumer, count = partitions.len(), "partitions assigned"),
        ConsumerEvent::Revoked(partitions) => info!(consumer, count = partitions.len(), "partitions revoked"),
        ConsumerEvent::FirstContact { topic, records } => {
            info!(consumer, %topic, records, "the consumer group is new on the topic: so many records are there to be \
             read");
        }
        ConsumerEvent::OffsetsLost { partition, expected, resumed, loss } => {
            match loss {
                RecordLoss::Expired { records } => error!(
                    consumer, %partition, expected, resumed, records, "records that were not read yet are gone from \
                     the topic"
                ),
                RecordLoss::Replaced { records } => {
                    error!(
                        consumer, %partition, expected, resumed, lost_at_least = records,
                        "the topic is another one: it was deleted and made anew, or an election lost its newest records; \
                         what is in it now is read whole, and keys keep sagas from starting twice"
                    );
                    metrics::counter!("saga_logs_replaced_total", "topic" => partition.topic.to_string()).increment(1);
                }
            }
            metrics::counter!("saga_offsets_lost_total").increment(loss.records());
        }
        ConsumerEvent::Trouble(reason) => {
            warn!(consumer, reason, "Kafka cannot be reached or refuses; intake waits and tries again");
        }
        ConsumerEvent::Recovered => info!(consumer, "Kafka answers again"),
        ConsumerEvent::Failed(reason) => error!(consumer, reason, "intake cannot go on"),
        ConsumerEvent::Records(_) => {}
    }
}
