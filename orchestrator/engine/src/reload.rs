//! Another participants.yaml while the engine runs: taken whole or not at all.
//!
//! Addresses, guards and secrets apply to the next call. Retries and timeouts are pinned to a saga when it starts, so
//! sagas that run keep theirs. Breakers keep their state, and wait queues keep their calls. Calls that are under way
//! end as they began.

pub(crate) mod record;

use super::{
    active_config::{ActiveConfig, ActiveConfigCell},
    catalog::DefinitionCatalog,
    journal::JournalAccess,
    overrides::OverrideLog,
};
use record::{ReloadMemory, ReloadRecord, hash_of};
use saga_base::{clock::EngineClock, secrets};
use saga_core::{
    definition::{
        CheckFinding, DefinitionLibrary, ParticipantCatalog, RenderStyle, SourceFile, participants::StubParticipants,
        render,
    },
    policy::SagaPolicies,
    state::SagaPlan,
};
use saga_resilience::{
    guard_events::GuardEventKind,
    registry::{GuardRegistry, settings_of},
    settings,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Mutex;
use tracing::{error, info, warn};

/// A participants.yaml that is read again when it changes.
#[derive(Clone, Debug)]
pub struct WatchedFile {
    /// The path that the file is read from.
    pub path: PathBuf,
    /// The stubs that stand in for participants of the file; `None`: there are no stubs.
    pub stand_ins: Option<StubParticipants>,
    /// SHA-256 of the text that is in effect when the engine starts.
    hash: String,
}

impl WatchedFile {
    /// The file at `path`, whose text is in effect.
    #[must_use]
    pub fn new(path: PathBuf, text: &str, stand_ins: Option<StubParticipants>) -> WatchedFile {
        WatchedFile { path, stand_ins, hash: hash_of(text) }
    }

    fn played(&self, participants: ParticipantCatalog) -> ParticipantCatalog {
        match &self.stand_ins {
            Some(stand_ins) => participants.with_stand_ins(stand_ins).0,
            None => participants,
        }
    }
}

/// The result of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The file is in effect.
    Changed {
        /// How many participants the file has.
        participants: usize,
    },
    /// The file says what is in effect already.
    Unchanged,
}

/// A file was refused whole: what was in effect stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It has errors, or the definitions that are live cannot work with it.
    #[error("{rendered}")]
    Findings {
        /// The first error, in one line.
        first: String,
        /// How many more errors there are.
        more: usize,
        /// All errors with their positions, as text for operators.
        rendered: String,
    },
    /// A participant cannot be called like that.
    #[error(transparent)]
    Guards(#[from] settings::ParticipantSettingsError),
    /// The policies that it gives to sagas cannot be stored.
    #[error("the event store does not take the new policies")]
    Store(#[from] saga_event_store::StoreError),
}

impl ReloadError {
    /// What was wrong, for a line in a stream of events.
    fn in_one_line(&self) -> String {
        match self {
            ReloadError::Findings { first, more: 0, .. } => first.clone(),
            ReloadError::Findings { first, more, .. } => {
                format!("{first} (and {more} more: the log has them, and `saga check`)")
            }
            ReloadError::Guards(_) | ReloadError::Store(_) => self.to_string(),
        }
    }
}

/// Puts another participants.yaml into effect. A cheap handle.
#[derive(Clone, Debug)]
pub struct ReloadHandle {
    journal: JournalAccess,
    guards: Arc<GuardRegistry>,
    config: Arc<ActiveConfigCell>,
    overrides: Arc<OverrideLog>,
    /// `None`: this engine has no participants.yaml of its own.
    watched: Option<WatchedFile>,
    /// Held during a reload, so that reloads run one at a time.
    memory: Arc<Mutex<ReloadMemory>>,
    clock: EngineClock,
}

impl ReloadHandle {
    pub(crate) fn new(
        journal: JournalAccess,
        guards: Arc<GuardRegistry>,
        config: Arc<ActiveConfigCell>,
        overrides: Arc<OverrideLog>,
        watched: Option<WatchedFile>,
        (instance, clock): (String, EngineClock),
    ) -> ReloadHandle {
        let memory = ReloadMemory::new(instance, watched.as_ref().map(|watched| watched.hash.clone()));
        ReloadHandle { journal, guards, config, overrides, watched, memory: Arc::new(Mutex::new(memory)), clock }
    }

    /// Where participants.yaml is; `None`: it cannot be reloaded.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.watched.as_ref().map(|watched| watched.path.as_path())
    }

    /// Puts `file` into effect, and the reload on record. `lookup` answers for the variables in it. Reloads run one at
    /// a time. A crash during a reload has no effect: no saga uses what is stored by then. A crash after it, or a store
    /// that does not answer, can leave it without a record.
    ///
    /// # Errors
    /// When it is refused; the log says so too.
    pub async fn reload(
        &self,
        file: &SourceFile,
        lookup: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<ReloadOutcome, ReloadError> {
        let mut memory = self.memory.lock().await;
        let now = hash_of(&file.text);
        let outcome = self.replace(file, lookup).await;
        match &outcome {
            Ok(ReloadOutcome::Changed { participants }) => {
                info!(
                    file = file.name,
                    participants, "participants are reloaded; addresses, guards and secrets hold from the next call"
                );
                self.guards.changes().publish(None, GuardEventKind::ConfigReloaded);
                count("changed");
                self.put_on_record(memory.changed(now)).await;
            }
            Ok(ReloadOutcome::Unchanged) => memory.unchanged(now),
            Err(refused) => {
                error!(file = file.name, "the changed file is refused whole, what was in effect stays: {refused}");
                let reason = refused.in_one_line();
                let record = memory.refused(Some(now), &reason);
                self.guards.changes().publish(None, GuardEventKind::ConfigRefused { reason });
                count("refused");
                if let Some(record) = record {
                    self.put_on_record(record).await;
                }
            }
        }
        outcome
    }

    /// What is in effect does not depend on the record.
    async fn put_on_record(&self, record: ReloadRecord) {
        if let Err(error) = record.add(self.journal.store().as_ref(), self.clock.now()).await {
            warn!(%error, "the reload of participants is not on record: `saga audit` does not show it");
        }
    }

    /// Reports that the file cannot be read: what was in effect stays. The log says so, the stream of guard events, and
    /// the record.
    pub async fn report_unreadable(&self, why: &str) {
        error!("participants cannot be read, what was in effect stays: {why}");
        self.guards.changes().publish(None, GuardEventKind::ConfigRefused { reason: why.to_owned() });
        count("refused");
        let record = self.memory.lock().await.refused(None, why);
        if let Some(record) = record {
            self.put_on_record(record).await;
        }
    }

    async fn replace(
        &self,
        file: &SourceFile,
        lookup: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<ReloadOutcome, ReloadError> {
        let before = self.config.keep();
        let read = read(&before, file, lookup)?;
        let participants = match &self.watched {
            Some(watched) => watched.played(read),
            None => read,
        };
        secrets::remember(secrets::of_participants(&participants));
        if participants == *before.participants {
            return Ok(ReloadOutcome::Unchanged);
        }
        let plans: Vec<Arc<SagaPlan>> =
            before.catalog.plans().iter().map(|plan| resolved(plan, &participants)).collect();
        for plan in &plans {
            self.journal.publish(Arc::clone(plan)).await?;
        }
        self.guards.configure(&settings_of(&participants))?;
        let count = participants.names().count();
        self.config
            .replace(ActiveConfig { catalog: DefinitionCatalog::new(plans), participants: Arc::new(participants) });
        // A participant that is new may have been steered while the file named it before.
        self.overrides.reapply();
        Ok(ReloadOutcome::Changed { participants: count })
    }
}

/// The participants of a file without errors that the live definitions can work with.
fn read(
    live: &ActiveConfig,
    file: &SourceFile,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<ParticipantCatalog, ReloadError> {
    let definitions = live.catalog.plans().iter().map(|plan| &plan.definition);
    let sources: Vec<SourceFile> =
        definitions.map(|it| SourceFile::new(format!("{}.saga.yaml", it.name), it.text.clone())).collect();
    let library = DefinitionLibrary::read(&sources, Some(file), &[], lookup);
    // Warnings are for the author of a file. The warnings about the definitions were reported when the engine started.
    let errors: Vec<_> = library.findings.into_iter().filter(CheckFinding::is_error).collect();
    match errors.split_first() {
        None => Ok(library.participants),
        Some((first, more)) => Err(ReloadError::Findings {
            first: first.to_string(),
            more: more.len(),
            rendered: render(&errors, RenderStyle::Plain),
        }),
    }
}

fn resolved(plan: &SagaPlan, participants: &ParticipantCatalog) -> Arc<SagaPlan> {
    let policies = SagaPolicies::resolve(&plan.definition, participants);
    Arc::new(SagaPlan::new(Arc::clone(&plan.definition), Arc::new(policies)))
}

fn count(outcome: &'static str) {
    metrics::counter!("saga_participants_reloads_total", "outcome" => outcome).increment(1);
}
