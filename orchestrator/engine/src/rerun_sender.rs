//! Reruns: an operator's act that begins a saga which runs an ended one again.

use super::{
    act_preview::ActPreviewer,
    act_sender::PATIENCE,
    journal::{JournalAccess, JournalError, RecordedSaga, reruns},
    message::{MessageContent, MessageOutcome, MessageReceipt, ShardMessage},
    router::{MessageSource, ShardRouter},
};
use saga_core::{
    describe::ActPreview,
    id::SagaId,
    rerun::{self, RerunOrder, RerunRefusal},
    state::SagaPlan,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};
use tokio_util::task::TaskTracker;

/// Reruns of this engine that may be on their way to their shards: more than persons ask for.
pub const MOST_RERUNS: usize = 256;
/// The time between two looks at the store when another engine owns the shard.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What became of a rerun within [`PATIENCE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RerunOutcome {
    /// This saga runs the ended one again.
    Started(SagaId),
    /// The same act started this saga before: nothing was done again.
    Repeated(SagaId),
    /// It is not done, for this reason.
    Refused(String),
    /// The act is on its way to the shard's owner.
    Accepted,
    /// The store has no saga with this id.
    UnknownSaga,
    /// The act was not sent, because [`MOST_RERUNS`] reruns are on their way.
    TooMany,
}

/// What a rerun would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RerunPreview {
    /// A saga would begin.
    Begins {
        /// Steps whose outcomes it would take over.
        takes_over: Vec<String>,
        /// Steps whose effects stand, or may, and that it would not take over.
        standing: Vec<String>,
        /// Where it would lead.
        leads_to: Box<ActPreview>,
    },
    /// The act is on record already: it started this saga.
    Nothing(SagaId),
    /// It would not be done, for this reason.
    Refused(String),
}

/// Brings reruns to the owners of their sagas. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct RerunSender {
    journal: JournalAccess,
    previewer: ActPreviewer,
    router: ShardRouter,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl RerunSender {
    pub(crate) fn new(
        journal: JournalAccess,
        previewer: ActPreviewer,
        router: ShardRouter,
        tasks: TaskTracker,
    ) -> RerunSender {
        RerunSender { journal, previewer, router, permits: Arc::new(Semaphore::new(MOST_RERUNS)), tasks }
    }

    /// Brings the act to the saga's owner and waits for the outcome. If the owner crashes before the commit, an act in
    /// its queue is lost; the operator gets at most `Accepted` for it. A repeat under the same id begins the saga then,
    /// and finds it otherwise.
    ///
    /// # Errors
    /// When the store does not answer, or the ended saga cannot be read.
    pub(crate) async fn send(
        &self,
        saga: SagaId,
        order: RerunOrder,
        plan: Option<Arc<SagaPlan>>,
    ) -> Result<RerunOutcome, JournalError> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return Ok(RerunOutcome::TooMany) };
        let Some(recorded) = self.journal.read(saga).await? else { return Ok(RerunOutcome::UnknownSaga) };
        let name = recorded.plan.definition.name.clone();
        if let Some(known) = self.on_record(&recorded, &order.id).await? {
            return Ok(known);
        }
        let (reply, answer) = oneshot::channel();
        let act = order.id.clone();
        let body = MessageContent::Rerun { saga, plan, order: Box::new(order) };
        let message = ShardMessage { body, record: None, receipt: MessageReceipt::Reply(reply) };
        let until = Instant::now() + PATIENCE;
        // A task of its own: an act whose operator does not wait any more is brought to its saga all the same.
        let router = self.router.clone();
        self.tasks.spawn(async move {
            router.route(saga.shard(), message, MessageSource::Outside).await;
            drop(permit);
        });
        match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(MessageOutcome::Forwarded)) => self.begun_elsewhere(&name, saga, &act, until).await,
            Ok(Ok(outcome)) => Ok(settled(saga, outcome)),
            Ok(Err(_)) | Err(_) => Ok(RerunOutcome::Accepted),
        }
    }

    /// What the act would lead to if it were given now. `None`: the store has no saga with this id.
    ///
    /// # Errors
    /// When the store does not answer, or the ended saga cannot be read.
    pub(crate) async fn preview(
        &self,
        saga: SagaId,
        order: &RerunOrder,
        plan: Option<Arc<SagaPlan>>,
    ) -> Result<Option<RerunPreview>, JournalError> {
        let Some(recorded) = self.journal.read(saga).await? else { return Ok(None) };
        Ok(Some(match self.on_record(&recorded, &order.id).await? {
            Some(RerunOutcome::Repeated(rerun)) => RerunPreview::Nothing(rerun),
            Some(RerunOutcome::Refused(reason)) => RerunPreview::Refused(reason),
            Some(
                RerunOutcome::Started(_) | RerunOutcome::Accepted | RerunOutcome::UnknownSaga | RerunOutcome::TooMany,
            )
            | None => {
                let plan = plan.unwrap_or_else(|| rerun::plan_of(&recorded.plan));
                self.previewed(&recorded, &plan, order)
                    .unwrap_or_else(|refusal| RerunPreview::Refused(refusal.to_string()))
            }
        }))
    }

    fn previewed(
        &self,
        recorded: &RecordedSaga,
        plan: &SagaPlan,
        order: &RerunOrder,
    ) -> Result<RerunPreview, RerunRefusal> {
        let fork = rerun::fork((&recorded.plan, &recorded.state), plan, order)?;
        let takes_over = fork.taken.iter().map(|(step, _)| plan.definition.step(*step).name.clone()).collect();
        let standing = fork.origin.standing.clone();
        Ok(match self.previewer.rerun(recorded, plan, fork) {
            Some(leads_to) => RerunPreview::Begins { takes_over, standing, leads_to: Box::new(leads_to) },
            None => RerunPreview::Refused("what it would lead to cannot be told".to_owned()),
        })
    }

    /// What the store says of the act, and of the saga's rerun; `None`: the act is new, and the saga is not run again
    /// yet. A repeat that names the business key means the saga that the act began, or a later one: the key leads to
    /// the newest.
    async fn on_record(&self, recorded: &RecordedSaga, act: &str) -> Result<Option<RerunOutcome>, JournalError> {
        if let Some(begun) = self.begun_by(recorded, act).await? {
            return Ok(Some(RerunOutcome::Repeated(begun)));
        }
        self.known(&recorded.plan.definition.name, recorded.state.id, act).await
    }

    /// The saga that the act began, if it is this one, or one that led to this one.
    async fn begun_by(&self, recorded: &RecordedSaga, act: &str) -> Result<Option<SagaId>, JournalError> {
        let (mut begun, mut origin) = (recorded.state.id, recorded.state.forked_from.clone());
        while let Some(from) = origin {
            if from.act == act {
                return Ok(Some(begun));
            }
            begun = from.saga;
            origin = self.journal.read(begun).await?.and_then(|earlier| earlier.state.forked_from);
        }
        Ok(None)
    }

    /// What the store says of the saga's rerun; `None`: it is not run again yet.
    async fn known(&self, name: &str, saga: SagaId, act: &str) -> Result<Option<RerunOutcome>, JournalError> {
        let rerun = reruns::of(self.journal.store().as_ref(), name, saga).await?;
        Ok(rerun.map(|rerun| match rerun.is_by(act) {
            true => RerunOutcome::Repeated(rerun.id),
            false => RerunOutcome::Refused(taken(saga, rerun.id)),
        }))
    }

    /// Another engine owns the shard, so the store is the only place that shows the outcome.
    async fn begun_elsewhere(
        &self,
        name: &str,
        saga: SagaId,
        act: &str,
        until: Instant,
    ) -> Result<RerunOutcome, JournalError> {
        while Instant::now() < until {
            match self.known(name, saga, act).await? {
                Some(RerunOutcome::Repeated(rerun)) => return Ok(RerunOutcome::Started(rerun)),
                Some(other) => return Ok(other),
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
        Ok(RerunOutcome::Accepted)
    }
}

fn settled(saga: SagaId, outcome: MessageOutcome) -> RerunOutcome {
    match outcome {
        MessageOutcome::Started(rerun) => RerunOutcome::Started(rerun),
        MessageOutcome::Duplicate { saga: rerun, other_payload: false } => RerunOutcome::Repeated(rerun),
        MessageOutcome::Duplicate { saga: rerun, other_payload: true } => RerunOutcome::Refused(taken(saga, rerun)),
        MessageOutcome::Refused(reason) | MessageOutcome::Ignored(reason) => RerunOutcome::Refused(reason),
        MessageOutcome::UnknownSaga => RerunOutcome::UnknownSaga,
        MessageOutcome::Applied | MessageOutcome::Forwarded => RerunOutcome::Accepted,
    }
}

fn taken(saga: SagaId, rerun: SagaId) -> String {
    format!(
        "{saga} is run again already, by {rerun}: a saga is run again once. When {rerun} has ended, run that one again"
    )
}
