//! Operators' acts: inputs like any other, but the operator waits for the outcome.

use super::{
    act_preview::{ActPreviewOutcome, ActPreviewer, acted_on, input_of, named},
    archiving::erasing::{ArchiveEraser, LeftErasureOutcome, RewriteWait, reaches_archives},
    journal::{JournalAccess, JournalError, RecordedSaga},
    message::{MessageContent, MessageOutcome, MessageReceipt, ShardMessage},
    router::{MessageSource, ShardRouter},
};
use saga_core::{
    decide::DecisionOutcome,
    event::OperatorAction,
    id::SagaId,
    input::{ActTarget, OperatorAct, SagaInput},
    state::{SagaPlan, SagaStatus},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

/// The maximum time that the caller waits for the disposition.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Acts of this engine that may be on their way to shards that do not take them, nor the inbox: more than a person asks
/// for, and few enough to be kept in memory.
pub const MOST_ACTS: usize = 1024;
/// The time between two looks at the journal when another engine owns the shard.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What became of an act within [`PATIENCE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorActOutcome {
    /// The act is in the journal.
    Applied {
        /// The step that it is about, if it is about one.
        about: Option<ActTarget>,
    },
    /// The act was in the journal already: nothing was done again.
    Repeated {
        /// The time when the act was applied.
        at: Timestamp,
        /// The step that it was about, if it was about one.
        about: Option<ActTarget>,
    },
    /// The saga's state does not allow the act.
    Refused {
        /// Why the act is refused, and which acts are allowed.
        reason: String,
    },
    /// The act is on its way to the shard's owner.
    Accepted {
        /// The step that it is about, if it is about one: a repeat names it.
        about: Option<ActTarget>,
    },
    /// The saga had left the store, and its erasure is on record.
    ErasedFromArchive {
        /// Why a file can still have content; `None`: none has.
        left: Option<String>,
    },
    /// The store has no saga with this id, and of an erasure also no archive.
    UnknownSaga,
    /// The act was not sent, because [`MOST_ACTS`] acts are on their way.
    TooMany,
}

impl From<LeftErasureOutcome> for OperatorActOutcome {
    fn from(outcome: LeftErasureOutcome) -> OperatorActOutcome {
        match outcome {
            LeftErasureOutcome::Unknown => OperatorActOutcome::UnknownSaga,
            LeftErasureOutcome::Recorded { left } => OperatorActOutcome::ErasedFromArchive { left },
            LeftErasureOutcome::Repeated { at } => OperatorActOutcome::Repeated { at, about: None },
            LeftErasureOutcome::Refused(reason) => OperatorActOutcome::Refused { reason },
        }
    }
}

/// Brings acts to their sagas. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct ActSender {
    journal: JournalAccess,
    previewer: ActPreviewer,
    eraser: ArchiveEraser,
    router: ShardRouter,
    /// Permits of acts on their way to their shards.
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl ActSender {
    pub(crate) fn new(
        journal: JournalAccess,
        (previewer, eraser): (ActPreviewer, ArchiveEraser),
        router: ShardRouter,
        tasks: TaskTracker,
    ) -> ActSender {
        ActSender { journal, previewer, eraser, router, permits: Arc::new(Semaphore::new(MOST_ACTS)), tasks }
    }

    /// Finds, previews and erases sagas that have left the store.
    pub(crate) fn eraser(&self) -> &ArchiveEraser {
        &self.eraser
    }

    /// Brings `act` to the saga's owner and waits for the outcome. An act that was accepted is in the owner's queue or
    /// in the inbox. If the owner crashes before the commit, an act in its queue is lost. The operator gets at most
    /// `Accepted` for such an act: a repeat under the same id is applied then, and changes nothing otherwise.
    /// An erasure reaches a saga that has left the store, too.
    pub(crate) async fn send(
        &self,
        saga: SagaId,
        act: OperatorAct,
        plan: Option<Arc<SagaPlan>>,
        wait: RewriteWait,
    ) -> OperatorActOutcome {
        if !reaches_archives(act.action) {
            return self.send_to_owner(saga, act, plan).await;
        }
        if self.eraser.has_left(saga).await {
            return self.eraser.erase(saga, &act, wait).await.into();
        }
        match self.send_to_owner(saga, act.clone(), plan).await {
            // It may have left in between.
            OperatorActOutcome::UnknownSaga => self.eraser.erase(saga, &act, wait).await.into(),
            other => other,
        }
    }

    /// What `act` would lead to if it were given now, also of a saga that has left the store if the act reaches it.
    /// `None`: there is no such saga.
    ///
    /// # Errors
    /// When the saga cannot be read.
    pub(crate) async fn preview(
        &self,
        saga: SagaId,
        act: &OperatorAct,
        plan: Option<&Arc<SagaPlan>>,
    ) -> Result<Option<ActPreviewOutcome>, JournalError> {
        match self.previewer.preview(saga, act, plan).await? {
            None if reaches_archives(act.action) => Ok(self.eraser.preview(saga, act).await),
            found => Ok(found),
        }
    }

    async fn send_to_owner(&self, saga: SagaId, act: OperatorAct, plan: Option<Arc<SagaPlan>>) -> OperatorActOutcome {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return OperatorActOutcome::TooMany };
        let act = match self.looked_at(saga, act).await {
            Ok(act) => act,
            Err(known) => return known,
        };
        let input = input_of(&act, plan.as_ref());
        let (reply, answer) = oneshot::channel();
        let body = MessageContent::Input { saga, input: input.clone() };
        let message = ShardMessage { body, record: None, receipt: MessageReceipt::Reply(reply) };
        let until = Instant::now() + PATIENCE;
        // A task of its own: an act whose operator does not wait any more is brought to its saga all the same.
        let router = self.router.clone();
        self.tasks.spawn(async move {
            router.route(saga.shard(), message, MessageSource::Outside).await;
            drop(permit);
        });
        match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(disposition)) => self.settled(saga, (&act, &input), disposition, until).await,
            Ok(Err(_)) | Err(_) => OperatorActOutcome::Accepted { about: act.about },
        }
    }

    /// Looks at the journal before the act is sent. An act that is in the journal already is answered from it. A skip
    /// that names no step is for the step that needs a person now, because the operator has seen that step. The skip
    /// must not settle another step that needs a person by the time it arrives.
    async fn looked_at(&self, saga: SagaId, act: OperatorAct) -> Result<OperatorAct, OperatorActOutcome> {
        // The saga's owner answers for a saga that cannot be read, because it can end that saga.
        let Ok(Some(recorded)) = self.journal.current(saga).await else { return Ok(act) };
        if recorded.state.acts.find(&act.id).is_some() {
            return Err(self.repeated(recorded, act));
        }
        if act.action != OperatorAction::Skip || act.about.is_some() {
            return Ok(act);
        }
        let plan = Arc::clone(&recorded.plan);
        match self.decide(recorded, &SagaInput::Operator(act.clone())) {
            Some(DecisionOutcome::Refused(refused)) => Err(OperatorActOutcome::Refused { reason: refused.to_string() }),
            Some(DecisionOutcome::Decided(decision)) => {
                let about = acted_on(&decision).map(|command| named(&plan, command));
                Ok(OperatorAct { about, ..act })
            }
            Some(DecisionOutcome::Ignored(_) | DecisionOutcome::Noted) | None => Ok(act),
        }
    }

    /// The same id with another content is refused; what is the same changes nothing.
    fn repeated(&self, recorded: RecordedSaga, act: OperatorAct) -> OperatorActOutcome {
        let Some(acted) = recorded.state.acts.find(&act.id) else {
            return OperatorActOutcome::Accepted { about: act.about };
        };
        let (at, about) = (acted.at, acted.command.map(|command| named(&recorded.plan, command)));
        match self.decide(recorded, &SagaInput::Operator(act)) {
            Some(DecisionOutcome::Refused(refused)) => OperatorActOutcome::Refused { reason: refused.to_string() },
            Some(DecisionOutcome::Ignored(_) | DecisionOutcome::Noted | DecisionOutcome::Decided(_)) | None => {
                OperatorActOutcome::Repeated { at, about }
            }
        }
    }

    fn decide(&self, recorded: RecordedSaga, input: &SagaInput) -> Option<DecisionOutcome> {
        self.previewer.decide(recorded, input).map(|(outcome, _)| outcome)
    }

    async fn settled(
        &self,
        saga: SagaId,
        (act, input): (&OperatorAct, &SagaInput),
        disposition: MessageOutcome,
        until: Instant,
    ) -> OperatorActOutcome {
        match disposition {
            MessageOutcome::Applied
            | MessageOutcome::Started(_)
            | MessageOutcome::Duplicate { .. }
            | MessageOutcome::Ignored(_) => OperatorActOutcome::Applied { about: act.about.clone() },
            MessageOutcome::Refused(reason) => OperatorActOutcome::Refused { reason },
            MessageOutcome::UnknownSaga => OperatorActOutcome::UnknownSaga,
            MessageOutcome::Forwarded => self.recorded_elsewhere(saga, (act, input), until).await,
        }
    }

    /// Another engine owns the shard, so the journal is the only place that shows the outcome.
    async fn recorded_elsewhere(
        &self,
        saga: SagaId,
        (act, input): (&OperatorAct, &SagaInput),
        until: Instant,
    ) -> OperatorActOutcome {
        let about = act.about.clone();
        while Instant::now() < until {
            if self.is_recorded(saga, &act.id).await {
                return OperatorActOutcome::Applied { about };
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        match self.would_be_refused(saga, input).await {
            Some(reason) => OperatorActOutcome::Refused { reason },
            None => OperatorActOutcome::Accepted { about },
        }
    }

    /// What the owner's answer would be to an act that it has not recorded.
    async fn would_be_refused(&self, saga: SagaId, input: &SagaInput) -> Option<String> {
        let recorded = self.journal.read(saga).await.ok()??;
        match self.decide(recorded, input)? {
            DecisionOutcome::Refused(refused) => Some(refused.to_string()),
            DecisionOutcome::Decided(_) | DecisionOutcome::Noted | DecisionOutcome::Ignored(_) => None,
        }
    }

    async fn is_recorded(&self, saga: SagaId, id: &str) -> bool {
        match self.journal.read(saga).await {
            Ok(recorded) => recorded.is_some_and(|recorded| recorded.state.acts.find(id).is_some()),
            Err(error) => !error.is_transient() && self.is_abandoned(saga).await,
        }
    }

    /// Of a saga that cannot be read only the read model tells: all that can be recorded of it is its end.
    async fn is_abandoned(&self, saga: SagaId) -> bool {
        let summary = self.journal.store().summary(saga.uuid()).await;
        summary.is_ok_and(|summary| summary.is_some_and(|it| it.status == SagaStatus::Abandoned.as_str()))
    }
}
