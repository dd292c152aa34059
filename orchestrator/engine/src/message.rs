//! What reaches a shard, and who has to be told when it is dealt with.

use super::{answer_path::ReadUntil, row::payload_hash, turns::Turn};
use saga_core::{
    command::CommandRef,
    event::Trigger,
    id::SagaId,
    input::{Input, Start},
    state::Plan,
};
use saga_kafka::Ack;
use saga_resilience::gate::Woken;
use saga_wire::{Record, reply::Reply};
use std::sync::Arc;
use tokio::sync::oneshot;

/// One thing for one shard. It is finished exactly once: after the commit of what it caused, or of the finding that it causes nothing.
#[derive(Debug)]
pub struct Message {
    /// What it says.
    pub body: Body,
    /// The bytes it came as, so that another owner can be handed the same.
    pub record: Option<Arc<Record>>,
    /// Who waits for it to be dealt with.
    pub receipt: Receipt,
}

impl Message {
    /// A word about the answers that lie before it in the shard's queue.
    #[must_use]
    pub fn read_until(read: ReadUntil) -> Message {
        Message { body: Body::ReadUntil(read), record: None, receipt: Receipt::None }
    }

    /// An input that nobody waits for.
    #[must_use]
    pub fn of(saga: SagaId, input: Input) -> Message {
        Message { body: Body::Input { saga, input }, record: None, receipt: Receipt::None }
    }

    /// The saga's time has come, and it has its turn.
    #[must_use]
    pub fn time_reached(saga: SagaId, turn: Turn) -> Message {
        Message { body: Body::Input { saga, input: Input::TimeReached }, record: None, receipt: Receipt::Turn(turn) }
    }

    /// Whether an engine made it for a saga that it had read: a timer, an answer to its call, a turn in a line. What came from elsewhere may
    /// name a saga that there never was.
    #[must_use]
    pub fn is_own(&self) -> bool {
        match &self.body {
            Body::Start { .. }
            | Body::Input { input: Input::KeyTaken { .. } | Input::Operator(_) | Input::Mended { .. }, .. } => false,
            Body::ReadUntil(_) => true,
            Body::Reply(_) => self.record.is_none(),
            Body::Input {
                input: Input::TimeReached | Input::Released { .. } | Input::Delivered { .. } | Input::Answered { .. },
                ..
            } => true,
        }
    }
}

/// What a message says.
#[derive(Debug)]
pub enum Body {
    /// A trigger that its definition wants.
    Start {
        /// The definition and policies that the saga will be pinned to.
        plan: Arc<Plan>,
        /// Key and trigger.
        start: Box<Start>,
    },
    /// Answers have been read.
    ReadUntil(ReadUntil),
    /// A participant's reply, which names its step as the definition does.
    Reply(Box<Reply>),
    /// Something that happens to a saga.
    Input {
        /// Which.
        saga: SagaId,
        /// What.
        input: Input,
    },
}

impl Body {
    /// The saga it is about; `None` for one that does not exist yet, and for what is about all.
    #[must_use]
    pub fn saga(&self) -> Option<SagaId> {
        match self {
            Body::Start { .. } | Body::ReadUntil(_) => None,
            Body::Reply(reply) => Some(reply.command.saga),
            Body::Input { saga, .. } => Some(*saga),
        }
    }

    /// What happens to a saga that runs by `plan`; `None` if it names a step that the plan does not have. A start that comes to a saga has a
    /// key that is taken.
    #[must_use]
    pub fn input(&self, plan: &Plan) -> Option<Input> {
        match self {
            Body::ReadUntil(_) => None,
            Body::Start { start, .. } => Some(key_taken(&start.trigger)),
            Body::Input { input, .. } => Some(input.clone()),
            Body::Reply(reply) => {
                let step = plan.definition.find(&reply.command.step)?;
                let command = CommandRef { step, direction: reply.command.direction };
                Some(Input::Answered { command, attempt: reply.attempt, answer: reply.answer.clone() })
            }
        }
    }
}

/// The payload is told by the beginning of its hash: enough to tell a handful of records apart.
fn key_taken(trigger: &Trigger) -> Input {
    let payload = payload_hash(&trigger.event)[..6].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Input::KeyTaken { record: coordinates(trigger), payload: format!("sha256 {payload}…") }
}

/// Topic, partition and offset of the record.
pub(super) fn coordinates(trigger: &Trigger) -> String {
    format!("{}/{}/{}", trigger.topic, trigger.partition, trigger.offset)
}

/// Who waits for a message to be dealt with.
#[derive(Debug)]
pub enum Receipt {
    /// Nobody: a call's outcome or a timer, which the journal brings back after a crash.
    None,
    /// The offset of a Kafka record.
    Offset(Ack),
    /// An operator, or whoever started a saga in process.
    Reply(oneshot::Sender<Disposition>),
    /// The next saga whose time has come, and for which there was no room in memory.
    Turn(Turn),
    /// A guard's line, which calls the next one when this one has asked.
    Woken(Woken),
}

impl Receipt {
    /// Tells whoever waits. An offset is finished whatever the disposition says: each of them is final.
    pub fn settle(self, disposition: Disposition) {
        match self {
            Receipt::None => {}
            Receipt::Woken(woken) => drop(woken),
            Receipt::Turn(turn) => drop(turn),
            Receipt::Offset(ack) => ack.finish(),
            // Who no longer waits has given up on the answer, not on the act.
            Receipt::Reply(reply) => drop(reply.send(disposition)),
        }
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It caused this saga to start.
    Started(SagaId),
    /// Its business key is taken by this saga.
    Duplicate {
        /// The saga that has the key.
        saga: SagaId,
        /// Whether the payload is another one than that saga was started with.
        other_payload: bool,
    },
    /// It caused a decision.
    Applied,
    /// It is dealt with and changed nothing.
    Ignored(String),
    /// An operator's act that the saga's state does not allow.
    Refused(String),
    /// No such saga.
    UnknownSaga,
    /// It was handed to the shard's owner through the inbox.
    Forwarded,
}
