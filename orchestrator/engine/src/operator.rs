//! What operators can do with an engine: acts on sagas and on guards, alone or many at once, and another
//! participants.yaml.

use super::{
    act_log::PartAct,
    act_preview::ActPreviewOutcome,
    act_result,
    act_sender::{ActSender, OperatorActOutcome},
    archiving::{
        erasing::RewriteWait,
        left::{self, LeftSagaError, LeftSagaLookup},
    },
    bulk::{BulkItem, BulkJobContext, BulkJobRegistry, BulkJobRequest, BulkJobView, TooManyJobs},
    definition_lookup::{DefinitionLookup, DefinitionLookupError, DefinitionTextError, RESTORE_LOG, TEXT_LOG},
    definition_pauses::{PauseLog, PauseRecord},
    journal::{JournalAccess, JournalError, definitions::stored, reading::SagaLine},
    overrides::{OverrideError, OverrideLog},
    projection::{self, ArchiveFolder, MissingArchives, RebuildError},
    reload::ReloadHandle,
    replay::repair::{self, RepairMode, RepairPart},
    rerun_sender::{RerunOutcome, RerunPreview, RerunSender},
    start_sender::{StartOutcome, StartSender},
};
use saga_base::clock::EngineClock;
use saga_core::{act_author::ActAuthor, id::SagaId, input::OperatorAct, rerun::RerunOrder, state::SagaPlan};
use saga_event_store::StoreError;
use saga_resilience::overrides::OverrideRequest;
use saga_wire::direct::DirectTrigger;
use std::{path::PathBuf, sync::Arc, time::Duration};
use uuid::Uuid;

/// Time for a part of a repair of the read model: much shorter than a client of the API waits.
const REPAIR_TIME: Duration = Duration::from_secs(3);

/// Operators' way to an engine. A cheap handle.
#[derive(Clone, Debug)]
pub struct OperatorHandle {
    journal: JournalAccess,
    acts: ActSender,
    reruns: RerunSender,
    starts: StartSender,
    definitions: DefinitionLookup,
    jobs: Arc<BulkJobRegistry>,
    job_context: Arc<BulkJobContext>,
    overrides: Arc<OverrideLog>,
    pauses: Arc<PauseLog>,
    reload: ReloadHandle,
    clock: EngineClock,
    archive_folder: Option<PathBuf>,
}

impl OperatorHandle {
    /// Begins to build a projection anew; the engine that owns the first shard builds it.
    ///
    /// # Errors
    /// When no projection has the name, the store does not answer, or files of archives are missing and that is
    /// refused.
    pub async fn begin_rebuild(&self, name: &str, missing: MissingArchives) -> Result<(), RebuildError> {
        let folder = ArchiveFolder { folder: self.archive_folder.clone(), missing };
        projection::begin_rebuild(self.journal.store().as_ref(), name, folder).await.map(drop)
    }

    /// Writes rows of the read model anew from the journals, or tells which it would write: of the sagas after `after`,
    /// for some seconds. The caller goes on with the next part.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn repair_read_model(&self, mode: RepairMode, after: Option<SagaId>) -> Result<RepairPart, StoreError> {
        let (store, plans) = (Arc::clone(self.journal.store()), self.journal.shared_plans());
        repair::repair_part(store, plans, (mode, after), REPAIR_TIME).await
    }

    pub(crate) fn new(
        journal: JournalAccess,
        (acts, reruns, starts): (ActSender, RerunSender, StartSender),
        definitions: DefinitionLookup,
        (overrides, pauses): (Arc<OverrideLog>, Arc<PauseLog>),
        reload: ReloadHandle,
        (clock, archive_folder): (EngineClock, Option<PathBuf>),
    ) -> OperatorHandle {
        let job_context = BulkJobContext::new(journal.clone(), acts.clone(), definitions.clone(), clock);
        OperatorHandle {
            journal,
            acts,
            reruns,
            starts,
            definitions,
            jobs: Arc::default(),
            job_context: Arc::new(job_context),
            overrides,
            pauses,
            reload,
            clock,
            archive_folder,
        }
    }

    /// Brings `act` to the saga's owner and waits for what becomes of it, at most
    /// [`PATIENCE`](super::operate::PATIENCE); with `plan` the saga goes on by that definition. An act that was
    /// accepted is not lost, unless its owner crashes before the commit: a repeat under the same id is applied then,
    /// and changes nothing otherwise.
    pub async fn act_on_saga(&self, saga: SagaId, act: OperatorAct, plan: Option<Arc<SagaPlan>>) -> OperatorActOutcome {
        self.acts.send(saga, act, plan, RewriteWait::Await).await
    }

    /// What `act` would lead to if it were given now; what happens meanwhile may change that. `None`: there is no such
    /// saga.
    ///
    /// # Errors
    /// When the saga cannot be read.
    pub async fn preview(
        &self,
        saga: SagaId,
        act: &OperatorAct,
        plan: Option<&Arc<SagaPlan>>,
    ) -> Result<Option<ActPreviewOutcome>, JournalError> {
        self.acts.preview(saga, act, plan).await
    }

    /// Whether the saga is erased, in the store or in an archive.
    ///
    /// # Errors
    /// When the store does not answer, or a file that may have the saga cannot be read.
    pub async fn is_erased(&self, saga: SagaId) -> Result<bool, LeftSagaError> {
        self.acts.eraser().is_erased(saga).await
    }

    /// The sagas that this one runs again, and those that run it again, without the ones that are erased: each has the
    /// trigger, and what it took over.
    ///
    /// # Errors
    /// When the store does not answer, or a file that may have one of them cannot be read.
    pub async fn reruns_of(&self, saga: SagaId) -> Result<Vec<SagaId>, LeftSagaError> {
        self.acts.eraser().reruns_of(saga).await
    }

    /// How many sagas the archives on record have that sagas of this definition are in, or of any.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn archived_sagas(&self, saga: Option<&str>) -> Result<u64, StoreError> {
        left::count_at_most(self.journal.store().as_ref(), saga, (None, None)).await
    }

    /// What `name` means among the sagas that have left the store, of the definition `saga` if given.
    ///
    /// # Errors
    /// When the store does not answer, or a file that may have the saga cannot be read.
    pub async fn find_left(&self, name: &str, saga: Option<&str>) -> Result<LeftSagaLookup, LeftSagaError> {
        self.acts.eraser().find(name, saga).await
    }

    /// Begins a saga of the definition, and waits for what becomes of that, at most
    /// [`PATIENCE`](super::act_sender::PATIENCE). The start is not lost, unless the owner crashes before the commit: a
    /// repeat begins the saga then, and finds it otherwise.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn start(&self, definition: &str, asked: &DirectTrigger) -> Result<StartOutcome, StoreError> {
        self.starts.send(definition, asked).await
    }

    /// Begins a saga that runs an ended one again, and waits for what becomes of that, at most
    /// [`PATIENCE`](super::act_sender::PATIENCE). It runs by `plan`, or by what the ended saga ran by. The act is not
    /// lost, unless the owner crashes before the commit: a repeat under the same id begins the saga then, and finds it
    /// otherwise.
    ///
    /// # Errors
    /// When the store does not answer, or the ended saga cannot be read.
    pub async fn rerun(
        &self,
        saga: SagaId,
        order: RerunOrder,
        plan: Option<Arc<SagaPlan>>,
    ) -> Result<RerunOutcome, JournalError> {
        self.reruns.send(saga, order, plan).await
    }

    /// What the rerun would lead to if it began now. `None`: there is no such saga.
    ///
    /// # Errors
    /// As [`OperatorHandle::rerun`].
    pub async fn preview_rerun(
        &self,
        saga: SagaId,
        order: &RerunOrder,
        plan: Option<Arc<SagaPlan>>,
    ) -> Result<Option<RerunPreview>, JournalError> {
        self.reruns.preview(saga, order, plan).await
    }

    /// Where the saga is as soon as it waits, is parked or has ended, and after `wait` in any case. `None`: the store
    /// does not say.
    pub async fn result(&self, saga: SagaId, wait: Duration) -> Option<SagaLine> {
        act_result::of(&self.journal, saga, wait).await
    }

    /// The plan that `wanted` means for a saga of this name: `current`, or a hash or the beginning of one. It is stored
    /// when this returns.
    ///
    /// # Errors
    /// No definition or several are meant, or the store does not have its text.
    pub async fn plan_of(&self, name: &str, wanted: &str) -> Result<Arc<SagaPlan>, DefinitionLookupError> {
        self.definitions.plan_of(name, wanted).await
    }

    /// Stores the text of a definition that no engine has a file for, and who brought it and why; the same id again is
    /// the same record. It starts no sagas; sagas can be moved to it when this returns.
    ///
    /// # Errors
    /// `saga check` finds errors in it, or the store does not answer.
    pub async fn store_definition(
        &self,
        text: &str,
        id: Uuid,
        by: &ActAuthor,
    ) -> Result<Arc<SagaPlan>, DefinitionTextError> {
        let plan = self.definitions.store_text(text).await?;
        self.definitions.record_text(TEXT_LOG, &plan, (id, by), self.clock.now()).await?;
        Ok(plan)
    }

    /// Puts the documents of a plan into the store again, each under its hash, then who did so on record, and returns
    /// how many sagas run by its definition and have not ended. The same id again is the same act. Sagas that lack a
    /// document go on within minutes.
    ///
    /// # Errors
    /// When the store does not answer. The documents may be stored then without a record: the same call again puts
    /// both there.
    pub async fn restore_documents(&self, plan: SagaPlan, id: Uuid, by: &ActAuthor) -> Result<i64, StoreError> {
        let (hash, plan) = (plan.definition.hash.clone(), Arc::new(plan));
        self.journal.publish(Arc::clone(&plan)).await?;
        self.definitions.record_text(RESTORE_LOG, &plan, (id, by), self.clock.now()).await?;
        let stored = stored(self.journal.store().as_ref()).await?;
        Ok(stored.iter().filter(|it| it.definition == hash).map(|it| it.open_sagas).sum())
    }

    /// Puts an act on record that has no record of its own. Its effect comes after.
    ///
    /// # Errors
    /// When the store does not answer: then the act is not done.
    pub async fn record_act(&self, act: &PartAct) -> Result<Uuid, StoreError> {
        act.record(self.journal.store().as_ref(), self.clock.now()).await
    }

    /// Begins a job, and returns it as it stands. One with the same id that runs is that job; one that has ended is
    /// gone through again, and does nothing twice.
    ///
    /// # Errors
    /// When as many run as may.
    pub fn begin_job(&self, order: BulkJobRequest) -> Result<BulkJobView, TooManyJobs> {
        self.jobs.begin(&self.job_context, order)
    }

    /// All jobs that are remembered, the latest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<BulkJobView> {
        self.jobs.all()
    }

    /// A job, and its items from number `after` on, counted from 0. `None`: this engine knows none with this id.
    #[must_use]
    pub fn find_job(&self, id: Uuid, after: usize) -> Option<(BulkJobView, Vec<BulkItem>)> {
        self.jobs.find(id, after)
    }

    /// Begins no more acts of a job. `None`: this engine knows none with this id.
    #[must_use]
    pub fn cancel_job(&self, id: Uuid) -> Option<BulkJobView> {
        self.jobs.cancel(id)
    }

    /// Puts `act` on record, then into effect here; other engines follow within seconds. Returns its place, and whether
    /// it is in effect here already.
    ///
    /// # Errors
    /// [`OverrideError`]; then it is not on record, unless the store's answer was lost: the same id again is the same
    /// act.
    pub async fn act_on_guards(&self, id: Uuid, act: &OverrideRequest) -> Result<(i64, bool), OverrideError> {
        self.overrides.act(id, act, self.clock.now()).await
    }

    /// Puts a pause of a definition, or its end, on record, then into force here; other engines follow within seconds.
    /// Returns whether it is in force here already. The same id again is the same act.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn pause(&self, id: Uuid, act: &PauseRecord) -> Result<bool, StoreError> {
        self.pauses.act(id, act, self.clock.now()).await
    }

    /// The handle that puts another participants.yaml into effect.
    #[must_use]
    pub fn reload(&self) -> &ReloadHandle {
        &self.reload
    }
}
