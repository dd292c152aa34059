//! One lane: commands of the sagas that fall to it, one after the other.

use super::{PoisonCallback, PoisonReason, PoisonRecord, offsets::CommandOffset, record};
use crate::{command::SagaCommand, participant::CommandService};
use rdkafka::{
    Message,
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tracing::warn;

/// Pause before a reply is sent again that the client could not deliver. The broker cannot be reached then, so there is
/// no hurry.
const REPLY_RETRY: Duration = Duration::from_secs(1);

/// A command that was read.
#[derive(Debug)]
pub(super) struct QueuedCommand {
    pub(super) command: SagaCommand,
    pub(super) reply_topic: String,
    pub(super) place: CommandOffset,
    pub(super) record: OwnedMessage,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneOutcome {
    Replied,
    Unsettled,
    Poison,
}

/// One lane. All lanes share the service, the producer and the callback.
pub(super) struct CommandLane<A> {
    pub(super) answering: Arc<A>,
    pub(super) producer: FutureProducer,
    pub(super) on_poison: PoisonCallback,
    pub(super) finished: mpsc::Sender<(CommandOffset, LaneOutcome)>,
}

impl<A: CommandService> CommandLane<A> {
    pub(super) async fn run(self, mut works: mpsc::Receiver<QueuedCommand>) {
        while let Some(work) = works.recv().await {
            let end = self.answer(&work).await;
            if self.finished.send((work.place, end)).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, work: &QueuedCommand) -> LaneOutcome {
        let answer = match self.answering.answer(work.command.clone()).await {
            Ok(answer) => answer,
            Err(unsettled) => {
                warn!(%unsettled, error = %unsettled.source, "a command gets no reply; it comes again");
                return LaneOutcome::Unsettled;
            }
        };
        let (headers, value) = record::reply(&work.command, &answer);
        loop {
            let mut reply = FutureRecord::to(&work.reply_topic).key(&work.command.id.saga).headers(headers.clone());
            reply.payload = value.as_ref();
            match self.producer.send(reply, Timeout::Never).await {
                Ok(_) => return LaneOutcome::Replied,
                Err((error, _)) if is_permanent(&error) => return self.poison(work, &error),
                Err((error, _)) => {
                    warn!(command = %work.command.id, %error, "a reply was not acknowledged; it is sent again");
                }
            }
            tokio::time::sleep(REPLY_RETRY).await;
        }
    }

    fn poison(&self, work: &QueuedCommand, error: &KafkaError) -> LaneOutcome {
        let reason = PoisonReason::Reply { topic: work.reply_topic.clone(), reason: error.to_string() };
        skip(&self.on_poison, &PoisonRecord { reason, record: work.record.clone() });
        LaneOutcome::Poison
    }
}

/// Logs that a record is skipped, and calls the service's callback.
pub(super) fn skip(on_poison: &PoisonCallback, poison: &PoisonRecord) {
    warn!(topic = poison.record.topic(), partition = poison.record.partition(), offset = poison.record.offset(),
        reason = %poison.reason, "a record is skipped");
    on_poison(poison);
}

/// Whether no later try can succeed. A missing topic may be created later, but a whole lane must not wait for that.
fn is_permanent(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidTopic
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::PolicyViolation
        )
    )
}
