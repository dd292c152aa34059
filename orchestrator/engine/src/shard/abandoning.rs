//! What an operator can do about a saga whose journal cannot be read: end it as it is. Whatever else is asked of it finds it read again, in vain.

use super::{incidents, owned::Owned};
use crate::{
    Parts,
    committer::{Committer, NotCommitted},
    journal::{self, codec, shown},
    message::{Body, Disposition, Message},
};
use saga_core::{
    decide::{self, Act},
    event::OperatorAction,
    id::SagaId,
    incident::IncidentKind,
    input::{Input, OperatorAct},
    state::Status,
    time::Timestamp,
};
use saga_event_store::{Append, Appended, Epoch, StreamSummary, Summary};
use saga_wire::poison::PoisonCode;
use std::sync::Arc;
use tracing::warn;
use uuid::Uuid;

impl Owned {
    /// A message for a saga that was read just now, and cannot be.
    pub(super) fn in_vain(&self, saga: SagaId, message: Message, error: &journal::Error) {
        let reason = shown::unreadable(error);
        match message.body {
            Body::Input {
                input: Input::Operator(act @ OperatorAct { action: OperatorAction::Abandon, .. }), ..
            } => {
                let (parts, committer) = (Arc::clone(&self.parts), self.parts.committer(self.shard).clone());
                let OperatorAct { id, who, reason: asked, .. } = act;
                let abandonment = Abandonment { saga, epoch: self.epoch, id, who, reason: asked, why: reason };
                let receipt = message.receipt;
                self.parts.calls.spawn(async move { receipt.settle(abandonment.record(&parts, &committer).await) });
            }
            Body::Input { input: Input::Operator(_) | Input::Mended { .. }, .. } => {
                message
                    .receipt
                    .settle(Disposition::Refused(format!("it was read again just now. {reason}; abandon ends it")));
            }
            // What came under its key starts nothing, and its journal takes no note of it.
            Body::Start { .. } => message.receipt.settle(Disposition::Duplicate { saga, other_payload: true }),
            Body::Input { .. } | Body::Reply(_) | Body::ReadUntil(_) => {
                self.set_aside(message, PoisonCode::SagaUnreadable, &reason);
            }
        }
    }
}

/// The end of a saga that cannot be read.
struct Abandonment {
    saga: SagaId,
    epoch: Epoch,
    id: String,
    who: String,
    reason: String,
    /// Why it cannot be read.
    why: String,
}

impl Abandonment {
    /// Appends the row after the last, under the owner's epoch. Nothing leaves by it.
    async fn record(&self, parts: &Parts, committer: &Committer) -> Disposition {
        let stream = self.saga.uuid();
        let known = (parts.store.summary(stream).await, parts.store.last_version(stream).await);
        let (summary, version) = match known {
            (Ok(Some(summary)), Ok(Some(version))) => (summary, version),
            (Ok(None), Ok(_)) | (Ok(_), Ok(None)) => return Disposition::UnknownSaga,
            (Err(error), _) | (_, Err(error)) => return Disposition::Refused(format!("{error}; try again")),
        };
        if summary.status.parse().is_ok_and(|status: Status| status.is_terminal()) {
            return self.at_its_end(&summary);
        }
        let append = match self.row(summary, version, parts.clock.now()) {
            Ok(append) => append,
            Err(unwritable) => return Disposition::Refused(unwritable.to_string()),
        };
        self.told(committer.append(append).await)
    }

    fn at_its_end(&self, summary: &StreamSummary) -> Disposition {
        if summary.status == Status::Abandoned.as_str() {
            return Disposition::Ignored("it is abandoned".into());
        }
        Disposition::Refused("the saga has ended, and a terminal saga changes no more".into())
    }

    fn row(&self, known: StreamSummary, version: u32, now: Timestamp) -> Result<Append, codec::Unwritable> {
        let act = Act { id: &self.id, who: &self.who, reason: &self.reason };
        let at = now.max(Timestamp(known.updated_at_ms));
        let decision = decide::abandon_unread(version.saturating_add(1), at, act, &self.why);
        let reason = format!("abandoned by {} ({}); what is left undone is not known", self.who, self.reason);
        Ok(Append {
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
            summary: Some(Summary {
                document: known.document,
                status: Status::Abandoned.as_str().to_owned(),
                open: false,
                step: None,
                reason: Some(reason.replace('\0', "\u{fffd}")),
                started_at_ms: known.started_at_ms,
                waits_on: Vec::new(),
                flags: vec![IncidentKind::Unreadable.as_str().to_owned()],
                code: Some(IncidentKind::Unreadable.as_str().to_owned()),
            }),
        })
    }

    fn told(&self, appended: Result<Appended, NotCommitted>) -> Disposition {
        match appended {
            Ok(Appended::Committed) => {
                incidents::count(IncidentKind::Unreadable);
                warn!(saga = %self.saga, who = self.who, "a saga that cannot be read is abandoned; what is left undone is not known");
                Disposition::Applied
            }
            Ok(Appended::Conflict | Appended::DuplicateKey { .. }) => {
                Disposition::Refused("something else was recorded at the same moment; look at it again".into())
            }
            Ok(Appended::Fenced) | Err(NotCommitted::Stopped) => {
                Disposition::Refused("its shard has another owner by now; try again".into())
            }
            Err(NotCommitted::Impossible(reason)) => Disposition::Refused(reason),
        }
    }
}
