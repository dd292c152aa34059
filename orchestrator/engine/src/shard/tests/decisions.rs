//! From a message to the command that follows: what is recorded first, and what is sent.

use super::{
    super::{OwnershipEnd, ShardLoop},
    fixture::{EffectChannel, ShardFixture},
};
use crate::{
    dispatch::OutboundCall,
    message::{MessageContent, MessageOutcome, MessageReceipt, ShardMessage},
    observer::ObserverHandle,
    row,
    unguarded::decided_at,
};
use saga_base::clock::EngineClock;
use saga_core::{
    command::{CommandAnswer, CommandDirection},
    decide::{self, AdmissionVerdict, DecisionOutcome},
    definition::{self, ParticipantCatalog, participants},
    event::{OperatorAction, SagaDecision, TriggerRecord},
    id::{CommandId, SagaId, ShardId},
    input::{OperatorAct, SagaInput, SagaStart},
    policy::SagaPolicies,
    state::SagaPlan,
    time::Timestamp,
};
use saga_event_store::{AppendOutcome, ShardEpoch};
use saga_wire::reply::CommandReply;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

const DEFINITION: &str = r#"
saga: order
trigger: {topic: orders, key: "${ event.id }"}
steps:
  - {step: reserve, do: stock.Reserve, undo: stock.Release}
  - {step: charge, do: stock.Charge, undo: stock.Refund}
"#;

/// A shard's task at work, its two channels, and the saga that it has started.
struct WorkingShard {
    fixture: ShardFixture,
    plan: Arc<SagaPlan>,
    messages: mpsc::Sender<ShardMessage>,
    sent: mpsc::Receiver<OutboundCall>,
    epoch: ShardEpoch,
    stop: CancellationToken,
    task: JoinHandle<(ShardLoop, OwnershipEnd)>,
}

impl WorkingShard {
    async fn start() -> WorkingShard {
        let (participants, plan) = plan();
        let (effects, sent) = EffectChannel::new();
        let clock = EngineClock::since(NOW);
        let observer = ObserverHandle::default();
        let fixture = ShardFixture::new(participants, Arc::clone(&plan), clock, move |_, _| effects, observer).await;
        let mut owned = fixture.claim().await;
        let (epoch, stop) = (owned.epoch, CancellationToken::new());
        let (messages, mut queue) = mpsc::channel(16);
        let until = stop.clone();
        let task = tokio::spawn(async move {
            let ended = owned.serve(&mut queue, &until, std::future::pending()).await;
            (owned, ended)
        });
        WorkingShard { fixture, plan, messages, sent, epoch, stop, task }
    }

    /// Brings `body` to the shard; what becomes of it is received.
    async fn bring(&self, body: MessageContent) -> oneshot::Receiver<MessageOutcome> {
        let (reply, outcome) = oneshot::channel();
        let message = ShardMessage { body, record: None, receipt: MessageReceipt::Reply(reply) };
        self.messages.send(message).await.expect("the shard takes messages");
        outcome
    }

    /// A saga that has started, and its first command.
    async fn started(&mut self) -> (SagaId, CommandId) {
        let start = SagaStart { key: "1".into(), trigger: trigger(), traceparent: None };
        let body = MessageContent::Start { plan: Arc::clone(&self.plan), start: Box::new(start) };
        let outcome = self.bring(body).await.await.expect("it is told");
        let MessageOutcome::Started(saga) = outcome else { panic!("{outcome:?}") };
        (saga, self.next_command().await)
    }

    async fn next_command(&mut self) -> CommandId {
        self.sent.recv().await.expect("a command is sent").command().clone()
    }

    async fn answer(&self, command: CommandId) -> oneshot::Receiver<MessageOutcome> {
        let answer = CommandAnswer::Succeeded { result: json!({}) };
        self.bring(MessageContent::Reply(Box::new(CommandReply {
            saga: command.saga,
            command,
            attempt: Some(1),
            answer,
        })))
        .await
    }

    async fn decisions(&self, saga: SagaId) -> Vec<SagaDecision> {
        self.fixture.journal.read(saga).await.expect("it is read").expect("it is there").decisions
    }

    /// Appends an act under the epoch of this shard, as an earlier append of unknown outcome would.
    async fn append_elsewhere(&self, saga: SagaId, action: OperatorAction) {
        let mut recorded = self.fixture.journal.read(saga).await.expect("it is read").expect("it is there");
        let act = OperatorAct {
            id: "act".into(),
            who: "eve".into(),
            reason: "test".into(),
            action,
            about: None,
            origin: Box::default(),
        };
        let input = SagaInput::Operator(act);
        let outcome = decided_at(NOW, 1, AdmissionVerdict::Admitted, |context| {
            decide::decide(&recorded.plan, &mut recorded.state, &input, context)
        });
        let Ok(DecisionOutcome::Decided(decision)) = outcome else { panic!("{outcome:?}") };
        let by = row::ShardWriter { shard: ShardId(0), epoch: self.epoch };
        let append = row::showing(by, &recorded.plan, &recorded.state, &decision).expect("a row");
        let appended = self.fixture.store.append(&[append]).await.expect("the store answers");
        assert_eq!(appended, [AppendOutcome::Committed]);
    }

    async fn stop(self) -> (ShardLoop, OwnershipEnd) {
        self.stop.cancel();
        self.task.await.expect("the task ends")
    }
}

fn plan() -> (ParticipantCatalog, Arc<SagaPlan>) {
    let text = "participants:\n  stock: {kafka: {commands: stock}, timeout: 30s}\n";
    let participants = participants::parse("participants.yaml", text, &|_| None).expect("participants");
    let parsed = definition::parse("order.saga.yaml", DEFINITION, Some(&participants), None).expect("a definition");
    let policies = SagaPolicies::resolve(&parsed.definition, &participants);
    (participants, Arc::new(SagaPlan::new(Arc::new(parsed.definition), Arc::new(policies))))
}

fn trigger() -> TriggerRecord {
    TriggerRecord {
        topic: "orders".into(),
        partition: 0,
        offset: 0,
        key: None,
        timestamp: NOW,
        headers: BTreeMap::new(),
        event: json!({"id": "1"}),
    }
}

#[tokio::test]
async fn an_answer_is_one_append_and_then_the_next_command_is_sent() {
    let mut shard = WorkingShard::start().await;
    let (saga, first) = shard.started().await;
    assert_eq!((&*first.step, first.direction), ("reserve", CommandDirection::Do));
    assert_eq!(shard.decisions(saga).await.len(), 1);

    let outcome = shard.answer(first).await.await.expect("it is told");
    assert_eq!(outcome, MessageOutcome::Applied);
    let next = shard.next_command().await;
    assert_eq!((&*next.step, next.direction), ("charge", CommandDirection::Do));
    assert_eq!(shard.decisions(saga).await.len(), 2, "the answer and the next step are one decision");
    assert_eq!(shard.stop().await.1, OwnershipEnd::Stopped);
}

#[tokio::test]
async fn a_fenced_shard_sends_nothing_and_keeps_the_answer() {
    let mut shard = WorkingShard::start().await;
    let (saga, first) = shard.started().await;
    let _next_owner = shard.fixture.claim().await;

    let outcome = shard.answer(first).await;
    let (mut owned, ended) = (&mut shard.task).await.expect("the task ends");
    assert_eq!(ended, OwnershipEnd::Fenced);
    assert!(shard.sent.try_recv().is_err(), "no command is sent");
    assert_eq!(shard.decisions(saga).await.len(), 1, "nothing is recorded");
    let kept = owned.take_unfinished();
    assert_eq!(kept.len(), 1, "the answer goes to the next owner");
    drop(kept);
    assert!(outcome.await.is_err(), "nothing was said of it");
}

#[tokio::test]
async fn a_conflict_is_decided_again_from_what_is_stored() {
    let mut shard = WorkingShard::start().await;
    let (saga, first) = shard.started().await;
    shard.append_elsewhere(saga, OperatorAction::Cancel).await;

    let outcome = shard.answer(first).await.await.expect("it is told");
    assert_eq!(outcome, MessageOutcome::Applied);
    // A saga that is cancelled does not go on: what has succeeded is undone.
    let mut commands = vec![shard.next_command().await];
    if commands[0].direction == CommandDirection::Do {
        commands.push(shard.next_command().await);
    }
    let last = commands.pop().expect("a command");
    assert_eq!((&*last.step, last.direction), ("reserve", CommandDirection::Undo));
    assert!(commands.iter().all(|again| &*again.step == "reserve"), "{commands:?}");
    let versions: Vec<u32> = shard.decisions(saga).await.iter().map(|decision| decision.version).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(shard.stop().await.1, OwnershipEnd::Stopped);
}
