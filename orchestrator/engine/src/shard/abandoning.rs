//! What an operator can do about a saga whose journal cannot be read: end it as it is, and erase it once it has ended.
//! Whatever else is asked of it finds it read again, in vain.

use super::{
    ShardLoop,
    context::ShardContext,
    erasing::{UnreadErasure, appended_act},
    incidents,
};
use crate::{
    act_trail,
    committer::{CommitError, CommitOutcome, GroupCommitter},
    journal::{self, codec, shown},
    message::{MessageContent, MessageOutcome, MessageReceipt, ShardMessage},
    row,
};
use saga_core::{
    decide::{self, ActMetadata},
    event::OperatorAction,
    id::SagaId,
    incident::IncidentKind,
    input::{OperatorAct, SagaInput},
    state::SagaStatus,
    time::Timestamp,
};
use saga_event_store::{ShardEpoch, StreamAct, StreamAppend, StreamSummary, SummaryUpdate};
use saga_wire::poison::PoisonCode;
use std::sync::Arc;
use tracing::warn;
use uuid::Uuid;

impl ShardLoop {
    /// A message for a saga that was read just now, and cannot be.
    pub(super) fn reject_unreadable(&self, saga: SagaId, message: ShardMessage, error: &journal::JournalError) {
        let reason = shown::unreadable(error);
        match message.body {
            MessageContent::Input { input: SagaInput::Operator(act) | SagaInput::Mended { act, .. }, .. } => {
                self.act_on_unreadable(saga, act, message.receipt, error);
            }
            MessageContent::Rerun { .. } => {
                let why = "a saga that cannot be read cannot be run again";
                let reason = shown::unreadable_at_end(error);
                message.receipt.settle(MessageOutcome::Refused(format!("{reason} Until then {why}")));
            }
            // What came under its key starts nothing, and its journal takes no note of it.
            MessageContent::Start { .. } => {
                message.receipt.settle(MessageOutcome::Duplicate { saga, other_payload: true });
            }
            MessageContent::Input { .. } | MessageContent::Reply(_) | MessageContent::ReadUntil(_) => {
                self.dead_letter(message, PoisonCode::SagaUnreadable, &reason);
            }
        }
    }

    fn act_on_unreadable(
        &self,
        saga: SagaId,
        act: OperatorAct,
        receipt: MessageReceipt,
        error: &journal::JournalError,
    ) {
        let (context, committer) = (Arc::clone(&self.context), self.context.store.committer(self.shard).clone());
        let (epoch, open, ended) = (self.epoch, shown::unreadable(error), shown::unreadable_at_end(error));
        self.context.outputs.tasks.spawn(async move {
            let outcome = match act.action {
                OperatorAction::Abandon => {
                    SagaAbandonment { saga, epoch, act, why: open }.record(&context, &committer).await
                }
                OperatorAction::Erase => UnreadErasure { saga, epoch, act }.record(&context, &committer).await,
                OperatorAction::Retry | OperatorAction::Skip | OperatorAction::Cancel | OperatorAction::Migrate => {
                    refused(&context, saga, (&open, &ended)).await
                }
            };
            receipt.settle(outcome);
        });
    }
}

/// The refusal of an act that needs the journal, with what can be done about the saga.
async fn refused(context: &ShardContext, saga: SagaId, (open, ended): (&str, &str)) -> MessageOutcome {
    let known = context.store.events().summary(saga.uuid()).await;
    let has_ended = known.is_ok_and(|known| known.is_some_and(|it| has_ended(&it)));
    MessageOutcome::Refused(match has_ended {
        true => format!("the saga has ended and cannot change any more. Also, {ended} `saga erase {saga}` erases it"),
        false => format!("it was read again just now. {open}"),
    })
}

fn has_ended(summary: &StreamSummary) -> bool {
    summary.status.parse().is_ok_and(|status: SagaStatus| status.is_terminal())
}

/// The end of a saga that cannot be read.
struct SagaAbandonment {
    saga: SagaId,
    epoch: ShardEpoch,
    act: OperatorAct,
    /// Why the saga's journal cannot be read.
    why: String,
}

impl SagaAbandonment {
    /// Appends the row after the last, under the owner's epoch. Nothing is sent because of it.
    async fn record(&self, context: &ShardContext, committer: &GroupCommitter) -> MessageOutcome {
        let stream = self.saga.uuid();
        let known = (context.store.events().summary(stream).await, context.store.events().last_version(stream).await);
        let (summary, version) = match known {
            (Ok(Some(summary)), Ok(version)) => (summary, version.unwrap_or_default()),
            (Ok(None), Ok(_)) => return MessageOutcome::UnknownSaga,
            (Err(error), _) | (_, Err(error)) => return MessageOutcome::Refused(format!("{error}; try again")),
        };
        if has_ended(&summary) {
            return self.at_its_end(&summary);
        }
        let append = match self.row(summary, version, context.clock.now()) {
            Ok(append) => append,
            Err(unwritable) => return MessageOutcome::Refused(unwritable.to_string()),
        };
        self.told(committer.commit(append).await)
    }

    fn at_its_end(&self, summary: &StreamSummary) -> MessageOutcome {
        if summary.status == SagaStatus::Abandoned.as_str() {
            return MessageOutcome::Ignored("it is abandoned".into());
        }
        MessageOutcome::Refused("the saga has ended and cannot change any more".into())
    }

    fn row(&self, known: StreamSummary, version: u32, now: Timestamp) -> Result<StreamAppend, codec::RowEncodeError> {
        let OperatorAct { id, who, reason, origin, .. } = &self.act;
        let before = act_trail::told((&known.status, known.step.as_deref(), Some(&known.document)), false);
        let ended = SagaStatus::Abandoned.as_str();
        let shown = StreamAct {
            source: act_trail::source(origin),
            before: Some(before),
            after: Some(act_trail::told((ended, None, Some(&known.document)), false)),
            ..row::acted_as(id, who, reason, OperatorAction::Abandon.as_str().to_owned())
        };
        let at = now.max(Timestamp(known.updated_at_ms));
        let decision =
            decide::abandon_unread(version.saturating_add(1), at, ActMetadata { id, who, reason }, &self.why);
        let reason = format!("abandoned by {who} ({reason}); what is left undone is not known");
        Ok(StreamAppend {
            append_id: Uuid::from_u128(fastrand::u128(..)),
            shard: self.saga.shard().0,
            epoch: self.epoch,
            stream: known.stream,
            version: decision.version,
            recorded_at_ms: at.0,
            payload: codec::encode(&decision)?,
            outline: None,
            category: known.category,
            key: known.key,
            new_key: None,
            summary: Some(SummaryUpdate {
                document: known.document,
                status: SagaStatus::Abandoned.as_str().to_owned(),
                open: false,
                step: None,
                reason: Some(reason.replace('\0', "\u{fffd}")),
                started_at_ms: known.started_at_ms,
                waits_on: Vec::new(),
                flags: vec![IncidentKind::Unreadable.as_str().to_owned()],
                code: Some(IncidentKind::Unreadable.as_str().to_owned()),
            }),
            act: Some(shown),
        })
    }

    fn told(&self, appended: Result<CommitOutcome, CommitError>) -> MessageOutcome {
        let outcome = appended_act(appended);
        if outcome == MessageOutcome::Applied {
            incidents::count(IncidentKind::Unreadable);
            warn!(saga = %self.saga, who = self.act.who, "a saga that cannot be read is abandoned; what is left undone is \
             not known");
        }
        outcome
    }
}
