//! The messages that reach a shard, and the receipts that are settled when a message is dealt with.

use super::{answer_progress::AnswerWatermarkUpdate, load_permits::LoadPermit, row::payload_hash};
use saga_core::{
    command::{CommandAnswer, CommandRef, RetryAdvice},
    direct_start::{DirectStart, origin},
    event::TriggerRecord,
    id::SagaId,
    input::{SagaInput, SagaStart},
    rerun::RerunOrder,
    state::{SagaPlan, SagaState},
};
use saga_kafka::RecordAck;
use saga_resilience::gate::NotifiedCall;
use saga_wire::{KafkaRecord, reply::CommandReply};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A reply to a saga that is in an archive changes nothing, for this reason.
pub(crate) const SAGA_LEFT: &str = "the saga has ended and left the store";
/// A message that changes nothing which is on record, for this reason.
pub(crate) const NO_NEWS: &str = "it is no news";
/// A message cannot be processed, for this reason.
pub(crate) const NO_SAGA: &str = "no saga has this id";

/// One thing for one shard. It is finished exactly once: after the commit of what it caused, or of the finding that it
/// causes nothing.
#[derive(Debug)]
pub(crate) struct ShardMessage {
    /// The content that the shard processes.
    pub body: MessageContent,
    /// The bytes it came as, so that another owner can be handed the same.
    pub record: Option<Arc<KafkaRecord>>,
    /// The sender that waits until the message is dealt with.
    pub receipt: MessageReceipt,
}

impl ShardMessage {
    /// A word about the answers that lie before it in the shard's queue.
    #[must_use]
    pub(crate) fn read_until(read: AnswerWatermarkUpdate) -> ShardMessage {
        ShardMessage { body: MessageContent::ReadUntil(read), record: None, receipt: MessageReceipt::None }
    }

    /// A message with an input and without a receipt: no sender waits for it.
    #[must_use]
    pub(crate) fn of(saga: SagaId, input: SagaInput) -> ShardMessage {
        ShardMessage { body: MessageContent::Input { saga, input }, record: None, receipt: MessageReceipt::None }
    }

    /// The saga's time has come, and it has its turn.
    #[must_use]
    pub(crate) fn time_reached(saga: SagaId, turn: LoadPermit) -> ShardMessage {
        ShardMessage {
            body: MessageContent::Input { saga, input: SagaInput::TimeReached },
            record: None,
            receipt: MessageReceipt::Turn(turn),
        }
    }

    /// Whether an engine made it for a saga that it had read: a timer, an answer to its call, a turn in a line. What
    /// came from elsewhere may name a saga that there never was.
    #[must_use]
    pub(crate) fn is_own(&self) -> bool {
        match &self.body {
            MessageContent::Start { .. }
            | MessageContent::Rerun { .. }
            | MessageContent::Input {
                input: SagaInput::KeyTaken { .. } | SagaInput::Operator(_) | SagaInput::Mended { .. },
                ..
            } => false,
            MessageContent::ReadUntil(_) => true,
            MessageContent::Reply(reply) => self.record.is_none() && !is_unreadable(&reply.answer),
            MessageContent::Input {
                input:
                    SagaInput::TimeReached
                    | SagaInput::Released { .. }
                    | SagaInput::Delivered { .. }
                    | SagaInput::Answered { .. },
                ..
            } => true,
        }
    }
}

/// The content of a message.
#[derive(Debug)]
pub(crate) enum MessageContent {
    /// A trigger that its definition wants.
    Start {
        /// The definition and policies that the saga will be pinned to.
        plan: Arc<SagaPlan>,
        /// The business key and the trigger of the saga.
        start: Box<SagaStart>,
    },
    /// An operator asks that an ended saga is run again, by another saga.
    Rerun {
        /// The saga that has ended.
        saga: SagaId,
        /// What the new saga is pinned to; `None`: what the ended one runs by.
        plan: Option<Arc<SagaPlan>>,
        /// The act, with its id, its author and its reason.
        order: Box<RerunOrder>,
    },
    /// All answers up to a time have been read: those before it are in the queue already.
    ReadUntil(AnswerWatermarkUpdate),
    /// A participant's reply, which names its step as the definition does.
    Reply(Box<CommandReply>),
    /// An input for a saga, such as a timer or an operator's act.
    Input {
        /// The saga that the input is for.
        saga: SagaId,
        /// The input for the saga's state machine.
        input: SagaInput,
    },
}

impl MessageContent {
    /// The saga it is about; `None` for one that does not exist yet, and for what is about all.
    #[must_use]
    pub(crate) fn saga(&self) -> Option<SagaId> {
        match self {
            MessageContent::Start { .. } | MessageContent::ReadUntil(_) => None,
            MessageContent::Reply(reply) => Some(reply.saga),
            MessageContent::Input { saga, .. } | MessageContent::Rerun { saga, .. } => Some(*saga),
        }
    }

    /// What happens to the saga of `state`, which runs by `plan`. A start that comes to a saga has a key that is taken.
    ///
    /// # Errors
    /// It does not happen to this saga, for this reason.
    pub(crate) fn input(&self, plan: &SagaPlan, state: &SagaState) -> Result<SagaInput, &'static str> {
        match self {
            MessageContent::ReadUntil(_) | MessageContent::Rerun { .. } => Err("it is no input of a saga"),
            MessageContent::Start { start, .. } => Ok(key_taken(&start.trigger)),
            MessageContent::Input { input, .. } => Ok(input.clone()),
            MessageContent::Reply(reply) => {
                let step = plan.definition.find(&reply.command.step);
                let step = step.ok_or("the saga's definition has no such step")?;
                let command = CommandRef { step, direction: reply.command.direction };
                if state.command_id(plan, command) != reply.command {
                    return Err("the saga that ce_correlationid names did not send the command of idempotency_key");
                }
                Ok(SagaInput::Answered { command, attempt: reply.attempt, answer: reply.answer.clone() })
            }
        }
    }
}

/// Whether the answer stands for a reply that cannot be read. The record of that reply goes to the topic of dead
/// letters, so the message carries none.
fn is_unreadable(answer: &CommandAnswer) -> bool {
    match answer {
        CommandAnswer::Unknown { retry, .. } => *retry == RetryAdvice::Park,
        CommandAnswer::Succeeded { .. }
        | CommandAnswer::Failed { .. }
        | CommandAnswer::Ongoing { .. }
        | CommandAnswer::NotSent { .. } => false,
    }
}

/// The beginning of its hash identifies the payload: that is enough to distinguish a few records.
fn key_taken(trigger: &TriggerRecord) -> SagaInput {
    let payload = payload_hash(&trigger.event)[..6].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    SagaInput::KeyTaken { record: coordinates(trigger), payload: format!("sha256 {payload}…") }
}

/// Topic, partition and offset of the record, or which request stands in its place.
pub(super) fn coordinates(trigger: &TriggerRecord) -> String {
    match DirectStart::of(trigger) {
        Some(start) => format!("{} (request {})", origin(trigger), start.id),
        None => origin(trigger),
    }
}

/// The sender that waits for a message to be dealt with.
#[derive(Debug)]
pub(crate) enum MessageReceipt {
    /// No sender waits: the message is a call's outcome or a timer, which the journal brings back after a crash.
    None,
    /// The offset of a Kafka record.
    Offset(RecordAck),
    /// An operator waits, or the caller that started a saga in process.
    Reply(oneshot::Sender<MessageOutcome>),
    /// The next saga whose time has come, and for which there was no room in memory.
    Turn(LoadPermit),
    /// The wait queue of a guard, which calls the next command when this one has asked.
    Woken(NotifiedCall),
}

impl MessageReceipt {
    /// Notifies the waiting sender. An offset is finished whatever the disposition says: each disposition is final.
    pub(crate) fn settle(self, disposition: MessageOutcome) {
        match self {
            MessageReceipt::None => {}
            MessageReceipt::Woken(woken) => drop(woken),
            MessageReceipt::Turn(turn) => drop(turn),
            MessageReceipt::Offset(ack) => ack.finish(),
            // An operator that no longer waits has given up on the answer, not on the act.
            MessageReceipt::Reply(reply) => drop(reply.send(disposition)),
        }
    }
}

/// The final outcome of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MessageOutcome {
    /// The message caused this saga to start.
    Started(SagaId),
    /// Another saga has the business key of the start, or runs the ended saga again.
    Duplicate {
        /// The saga that has the key.
        saga: SagaId,
        /// Whether that saga was started by another payload, or by another act.
        other_payload: bool,
    },
    /// The message caused a decision, which is committed.
    Applied,
    /// The message is dealt with and changed nothing, for this reason.
    Ignored(String),
    /// The saga's state does not allow the operator's act, for this reason.
    Refused(String),
    /// The store has no saga with this id.
    UnknownSaga,
    /// The message was handed to the shard's owner through the inbox.
    Forwarded,
}
