//! Commits the row of an erasure, with the rows before it as they read from then on.

use super::context::ShardContext;
use super::store_retry::until_answered;
use crate::{
    act_trail,
    committer::{CommitError, CommitOutcome, GroupCommitter},
    journal::{
        codec::{self, RowEncodeError},
        erasing::{ended_unread, erased_by, erased_rows},
    },
    message::MessageOutcome,
    row,
};
use saga_core::{
    decide::{self, ActMetadata},
    event::OperatorAction,
    id::SagaId,
    input::OperatorAct,
    time::Timestamp,
};
use saga_event_store::{
    ShardEpoch, StoreError, StreamAct, StreamAppend, StreamErasure, StreamRow, StreamSummary, SummaryUpdate,
};
use tracing::warn;
use uuid::Uuid;

/// The rows that are read here stay the last ones until the commit: one append of a saga is under way at a time, and
/// this is it.
///
/// # Errors
/// When a row would not be read back, the store refuses, or the committer has stopped.
pub(super) async fn commit(
    context: &ShardContext,
    committer: &GroupCommitter,
    append: StreamAppend,
) -> Result<CommitOutcome, CommitError> {
    let read = || context.store.events().read(append.stream);
    let rows = until_answered(context, "read a saga that is erased", read).await;
    match erased_rows(&rows, append.version) {
        Ok(rows) => committer.erase(StreamErasure { append, rows }).await,
        Err(unfit) => Err(CommitError::Impossible(unfit.to_string())),
    }
}

/// The erasure of a saga that has ended and cannot be read.
pub(super) struct UnreadErasure {
    pub(super) saga: SagaId,
    pub(super) epoch: ShardEpoch,
    pub(super) act: OperatorAct,
}

impl UnreadErasure {
    /// Takes the content out of all rows, whatever they are, and appends the row of the act after the last one. What
    /// the read model says of the saga stays, without its reason.
    pub(super) async fn record(&self, context: &ShardContext, committer: &GroupCommitter) -> MessageOutcome {
        let known = (context.store.events().summary(self.saga.uuid()).await, self.rows(context).await);
        let (summary, rows) = match known {
            (Ok(Some(summary)), Ok(rows)) => (summary, rows),
            (Ok(None), Ok(_)) => return MessageOutcome::UnknownSaga,
            (Err(error), _) | (_, Err(error)) => return MessageOutcome::Refused(format!("{error}; try again")),
        };
        if erased_by(&rows).is_some_and(|id| id == self.act.id) {
            return MessageOutcome::Ignored("it is on record already".into());
        }
        if let Err(refusal) = ended_unread(&summary) {
            return MessageOutcome::Refused(refusal.to_owned());
        }
        match self.erasure(summary, &rows, context.clock.now()) {
            Ok(erasure) => self.told(committer.erase(erasure).await),
            Err(unwritable) => MessageOutcome::Refused(unwritable.to_string()),
        }
    }

    /// As they can be read; of a saga that cannot be unsealed, as they are stored.
    async fn rows(&self, context: &ShardContext) -> Result<Vec<StreamRow>, StoreError> {
        let (store, stream) = (context.store.events(), self.saga.uuid());
        match store.read(stream).await {
            Err(error) if error.is_damage() => {
                let stored = store.read_stored_within(&[stream], u64::MAX).await?;
                Ok(stored.rows.into_iter().map(|(_, row)| row).collect())
            }
            rows => rows,
        }
    }

    fn erasure(
        &self,
        known: StreamSummary,
        rows: &[StreamRow],
        now: Timestamp,
    ) -> Result<StreamErasure, RowEncodeError> {
        let OperatorAct { id, who, reason, origin, .. } = &self.act;
        let told =
            |is_erased| act_trail::told((&known.status, known.step.as_deref(), Some(&known.document)), is_erased);
        let shown = StreamAct {
            source: act_trail::source(origin),
            before: Some(told(false)),
            after: Some(told(true)),
            ..row::acted_as(id, who, reason, OperatorAction::Erase.as_str().to_owned())
        };
        let at = now.max(Timestamp(known.updated_at_ms));
        let version = rows.last().map_or(1, |row| row.version.saturating_add(1));
        let decision = decide::erase_unread(version, at, ActMetadata { id, who, reason });
        let append = StreamAppend {
            append_id: Uuid::from_u128(fastrand::u128(..)),
            shard: self.saga.shard().0,
            epoch: self.epoch,
            stream: known.stream,
            version,
            recorded_at_ms: at.0,
            payload: codec::encode(&decision)?,
            outline: None,
            category: known.category,
            key: known.key,
            new_key: None,
            summary: Some(SummaryUpdate {
                document: known.document,
                status: known.status,
                open: false,
                step: known.step,
                reason: None,
                started_at_ms: known.started_at_ms,
                waits_on: Vec::new(),
                flags: known.flags,
                code: known.code,
            }),
            act: Some(shown),
        };
        Ok(StreamErasure { append, rows: erased_rows(rows, version)? })
    }

    fn told(&self, appended: Result<CommitOutcome, CommitError>) -> MessageOutcome {
        let outcome = appended_act(appended);
        if outcome == MessageOutcome::Applied {
            warn!(saga = %self.saga, who = self.act.who, "a saga that cannot be read is erased");
        }
        outcome
    }
}

/// What became of an act on a saga that cannot be read.
pub(super) fn appended_act(appended: Result<CommitOutcome, CommitError>) -> MessageOutcome {
    match appended {
        Ok(CommitOutcome::Committed(_)) => MessageOutcome::Applied,
        Ok(CommitOutcome::Conflict | CommitOutcome::DuplicateKey { .. }) => {
            MessageOutcome::Refused("something else was recorded at the same moment; look at it again".into())
        }
        Ok(CommitOutcome::Fenced) | Err(CommitError::Stopped) => {
            MessageOutcome::Refused("its shard has another owner by now; try again".into())
        }
        Err(CommitError::Impossible(reason)) => MessageOutcome::Refused(reason),
    }
}
