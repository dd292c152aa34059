//! Records of the inbox: what another engine read or learnt for a shard of this one, or what this engine put there
//! itself.

use super::{
    active_config::ActiveConfigCell,
    dead_letter::{DeadLetter, DeadLetterWriter},
    journal::JournalAccess,
    message::{MessageContent, MessageOutcome, MessageReceipt, ShardMessage},
    partition_holds::ConsumerHolds,
    retry::RetryDelays,
    router::{MessageSource, ShardRouter},
    store_health::StoreHealth,
    trigger_intake::TriggerIntake,
};
use saga_core::{
    id::SagaId,
    input::{OperatorAct, SagaInput},
    state::SagaPlan,
};
use saga_kafka::RecordAck;
use saga_wire::{
    KafkaRecord, PayloadSchema,
    inbox::{self, CallOutcome, InboxEnvelope},
    poison::PoisonCode,
    reply::CommandReply,
    trigger::{self, TriggerOutcome},
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Between two tries to read a definition while the store is unavailable.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Takes records of the inbox. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct InboxIntake {
    intake: TriggerIntake,
    router: ShardRouter,
    journal: JournalAccess,
    config: Arc<ActiveConfigCell>,
    letters: DeadLetterWriter,
    store_health: Arc<StoreHealth>,
}

/// What the engine that judged a trigger pinned the saga to.
#[derive(Clone, Copy, Debug)]
struct PinnedDefinition<'a> {
    name: &'a str,
    hash: &'a str,
    /// `None`: a build that did not say.
    policies: Option<&'a str>,
}

impl InboxIntake {
    pub(crate) fn new(
        intake: TriggerIntake,
        router: ShardRouter,
        journal: JournalAccess,
        config: Arc<ActiveConfigCell>,
        letters: DeadLetterWriter,
        store_health: Arc<StoreHealth>,
    ) -> InboxIntake {
        InboxIntake { intake, router, journal, config, letters, store_health }
    }

    /// For the consumer of the inbox, which holds the same partitions back.
    pub(crate) fn consumer_holds(&self) -> ConsumerHolds {
        self.intake.consumer_holds()
    }

    /// Brings what the record says to its shard. Returns when the shard's queue has it, or its dead letter is on the
    /// way.
    pub(crate) async fn take_record(&self, record: Arc<KafkaRecord>, ack: RecordAck) {
        let receipt = MessageReceipt::Offset(ack);
        match inbox::receive(&record) {
            Ok(InboxEnvelope::Trigger { record: original, decoded, definition, hash, policies }) => {
                let pinned = PinnedDefinition { name: &definition, hash: &hash, policies: policies.as_deref() };
                self.take_trigger((Arc::new(original), as_read(decoded)), pinned, receipt).await;
            }
            Ok(InboxEnvelope::Reply { record: original, decoded }) => {
                let reply = (Arc::new(original), as_read(decoded));
                self.intake.take_reply(reply, receipt, MessageSource::Inbox).await;
            }
            Ok(InboxEnvelope::Outcome(CallOutcome { saga, .. })) if !self.router.has(saga.shard()) => {
                self.letters.send(record, receipt, DeadLetter::of_foreign_saga());
            }
            Ok(InboxEnvelope::Operator { saga, .. } | InboxEnvelope::Rerun { saga, .. })
                if !self.router.has(saga.shard()) =>
            {
                self.letters.send(record, receipt, DeadLetter::of_foreign_saga());
            }
            Ok(InboxEnvelope::Outcome(outcome)) => self.take_outcome(outcome, receipt).await,
            Ok(InboxEnvelope::Operator { saga, act, definition }) => {
                let input = self.input_of(act, definition).await;
                let body = input.map(|input| MessageContent::Input { saga, input });
                self.take_act(saga, body, (record, receipt)).await;
            }
            Ok(InboxEnvelope::Rerun { saga, order, definition }) => {
                let plan = self.plan_named(definition).await;
                let body = plan.map(|plan| MessageContent::Rerun { saga, plan, order: Box::new(order) });
                self.take_act(saga, body, (record, receipt)).await;
            }
            Err(poison) => self.letters.send(record, receipt, poison.into()),
        }
    }

    async fn take_outcome(&self, outcome: CallOutcome, receipt: MessageReceipt) {
        let CallOutcome { saga, command, attempt, answer } = outcome;
        let shard = saga.shard();
        let body = MessageContent::Reply(Box::new(CommandReply { saga, command, attempt, answer }));
        self.router.route(shard, ShardMessage { body, record: None, receipt }, MessageSource::Inbox).await;
    }

    async fn take_act(
        &self,
        saga: SagaId,
        body: Result<MessageContent, String>,
        (record, receipt): (Arc<KafkaRecord>, MessageReceipt),
    ) {
        let body = match body {
            Ok(body) => body,
            Err(reason) => {
                let letter = DeadLetter::new(PoisonCode::UnknownDefinition, reason);
                return self.letters.send(record, receipt, letter);
            }
        };
        self.router.route(saga.shard(), ShardMessage { body, record: None, receipt }, MessageSource::Inbox).await;
    }

    /// The engine that forwarded a retry by another definition had stored its text before.
    async fn input_of(&self, act: OperatorAct, definition: Option<(String, String)>) -> Result<SagaInput, String> {
        Ok(match self.plan_named(definition).await? {
            None => SagaInput::Operator(act),
            Some(plan) => SagaInput::Mended { act, plan },
        })
    }

    /// The plan with the hashes of a text and of its policies, if an act names them.
    async fn plan_named(&self, definition: Option<(String, String)>) -> Result<Option<Arc<SagaPlan>>, String> {
        let Some((hash, policies)) = &definition else { return Ok(None) };
        self.plan_of(PinnedDefinition { name: "", hash, policies: Some(policies) }).await.map(Some)
    }

    /// The forwarded trigger names the definition that wants it, by hash; that may be a version which this engine has
    /// only in the store.
    async fn take_trigger(
        &self,
        (original, schema): (Arc<KafkaRecord>, PayloadSchema),
        pinned: PinnedDefinition<'_>,
        receipt: MessageReceipt,
    ) {
        let definition = pinned.name;
        let plan = match self.plan_of(pinned).await {
            Ok(plan) => plan,
            Err(reason) => {
                let letter = DeadLetter::new(PoisonCode::UnknownDefinition, reason).of(definition);
                return self.letters.send(original, receipt, letter);
            }
        };
        match trigger::evaluate_one(&original, &schema, &plan.definition) {
            TriggerOutcome::Start(start) => {
                self.intake.begin(&plan, *start, &original, (receipt, MessageSource::Inbox)).await;
            }
            TriggerOutcome::Poison(poison) => {
                self.letters.send(original, receipt, DeadLetter::from(poison).of(definition));
            }
            TriggerOutcome::Unwanted | TriggerOutcome::Replayed => {
                receipt.settle(MessageOutcome::Ignored("unwanted".into()));
            }
        }
    }

    /// The plan of exactly this text: another text of the same name may want other records. The engine that forwarded
    /// the trigger had stored the text before; a store that is unavailable is waited for.
    async fn plan_of(&self, pinned: PinnedDefinition<'_>) -> Result<Arc<SagaPlan>, String> {
        let PinnedDefinition { name, hash, policies } = pinned;
        let live = self.config.keep();
        let is_it = |plan: &&Arc<SagaPlan>| {
            plan.definition.hash == hash && policies.is_none_or(|policies| policies == plan.policies_hash)
        };
        if let Some(plan) = live.catalog.named(name).filter(is_it) {
            return Ok(Arc::clone(plan));
        }
        let mut delays = RetryDelays::new(RETRY_MIN, RETRY_MAX);
        loop {
            let plan = match policies {
                Some(policies) => self.journal.exact_plan(hash, policies).await,
                None => self.journal.stored_plan(hash, &live.participants).await,
            };
            match plan {
                Ok(plan) => return Ok(plan),
                Err(error) if error.is_transient() => {
                    self.store_health.missed("read the definition of a forwarded trigger", &error);
                    delays.wait().await;
                }
                Err(error) => return Err(format!("definition `{name}`: {error}")),
            }
        }
    }
}

/// The engine that forwarded the record read its value where that takes a schema.
fn as_read(decoded: Option<Value>) -> PayloadSchema {
    decoded.map_or(PayloadSchema::Unneeded, PayloadSchema::Decoded)
}
