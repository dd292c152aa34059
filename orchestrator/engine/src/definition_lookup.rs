//! Which definition an operator means, for a saga that is to go on by another one than it began with.

use super::{
    active_config::ActiveConfigCell,
    journal::{JournalAccess, PlanError, definitions::SHORTEST_HASH},
};
use saga_core::{
    act_author::{ActAuthor, ActOrigin},
    definition::{self, RenderStyle},
    policy::SagaPolicies,
    state::SagaPlan,
    time::Timestamp,
};
use saga_event_store::{NewNote, StoreError};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// What an operator writes for the definition that new sagas begin with.
const CURRENT: &str = "current";

/// No definition is meant, or several are.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionLookupError {
    /// No definition of this name is live on this engine.
    #[error("no definition of the saga `{0}` is live on this engine; name one by its hash")]
    NotLive(String),
    /// No definition has a hash that begins so, or the text is no beginning of a hash.
    #[error(
        "no definition has a hash that begins with `{0}`: write current, or {SHORTEST_HASH} to 64 digits of its hash"
    )]
    NoHash(String),
    /// Several definitions have hashes that begin so: the digits, and the list of definitions.
    #[error("several definitions have hashes that begin with `{0}`: {list}", list = .1.join(", "))]
    Several(String, Vec<String>),
    /// The definition's text cannot be read from the store.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// A text that an operator brings is not stored.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionTextError {
    /// `saga check` finds errors in it; the findings, as `saga check` prints them.
    #[error("the text has errors:\n{0}")]
    Unfit(String),
    /// The store did not take it, or did not take who brought it.
    #[error("the event store did not answer")]
    Store(#[from] StoreError),
}

/// Who brought a definition's text, and why, as it is on record: one that no engine has a file for, or one that the
/// store had lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionTextRecord {
    /// Name of the definition.
    pub name: String,
    /// Hash of the text.
    pub definition: String,
    /// The operator.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
    /// From where the act came.
    #[serde(default, skip_serializing_if = "ActOrigin::is_unknown")]
    pub origin: ActOrigin,
    /// Hash of the text that started sagas of this name on the engine before; `None`: none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// The log of texts that operators brought.
pub(crate) const TEXT_LOG: &str = "definition-texts";

/// The log of texts that operators put back.
pub(crate) const RESTORE_LOG: &str = "definition-restores";

/// Finds definitions that operators name. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct DefinitionLookup {
    journal: JournalAccess,
    config: Arc<ActiveConfigCell>,
}

impl DefinitionLookup {
    pub(crate) fn new(journal: JournalAccess, config: Arc<ActiveConfigCell>) -> DefinitionLookup {
        DefinitionLookup { journal, config }
    }

    /// The plan that `wanted` means for a saga of this name: `current`, or a hash or the beginning of one. It is stored
    /// when this returns, with the policies that the participants give it now.
    ///
    /// # Errors
    /// No definition or several are meant, or the store does not have its text.
    pub(crate) async fn plan_of(&self, name: &str, wanted: &str) -> Result<Arc<SagaPlan>, DefinitionLookupError> {
        let live = self.config.keep();
        let hash = if wanted == CURRENT {
            let plan = live.catalog.named(name).ok_or_else(|| DefinitionLookupError::NotLive(name.to_owned()))?;
            plan.definition.hash.clone()
        } else {
            self.hash_of(name, wanted)?
        };
        Ok(self.journal.stored_plan(&hash, &live.participants).await?)
    }

    /// Stores `text` with the policies that the participants give it now, if `saga check` finds no error in it. When it
    /// returns, sagas can go on by it; it starts none.
    ///
    /// # Errors
    /// The text has errors, or the store does not answer.
    pub(crate) async fn store_text(&self, text: &str) -> Result<Arc<SagaPlan>, DefinitionTextError> {
        let live = self.config.keep();
        let parsed = definition::parse("the text", text, Some(&live.participants), None)
            .map_err(|findings| DefinitionTextError::Unfit(definition::render(&findings, RenderStyle::Plain)))?;
        let policies = SagaPolicies::resolve(&parsed.definition, &live.participants);
        let plan = Arc::new(SagaPlan::new(Arc::new(parsed.definition), Arc::new(policies)));
        self.journal.publish(Arc::clone(&plan)).await?;
        Ok(plan)
    }

    /// Puts on record, in one of the two logs, who brought the text of `plan`; the same id again is the same record.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn record_text(
        &self,
        log: &'static str,
        plan: &SagaPlan,
        (id, by): (Uuid, &ActAuthor),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (name, definition) = (plan.definition.name.clone(), plan.definition.hash.clone());
        let before = self.config.keep().catalog.named(&name).map(|live| live.definition.hash.clone());
        let ActAuthor { who, reason, origin } = by.clone();
        let record = DefinitionTextRecord { name, definition, who, reason, origin: origin.bounded(), before };
        let body = serde_json::to_string(&record).map_err(|error| StoreError::Unusable(error.to_string()))?;
        let note = NewNote { id, topic: log.to_owned(), body, at_ms: now.0 };
        self.journal.store().add_note(&note).await.map(drop)
    }

    /// One that this engine does not know is asked of the store, which knows them whole.
    fn hash_of(&self, name: &str, wanted: &str) -> Result<String, DefinitionLookupError> {
        let is_hash =
            (SHORTEST_HASH..=64).contains(&wanted.len()) && wanted.bytes().all(|digit| digit.is_ascii_hexdigit());
        let known = self.journal.plans().all().into_iter().filter(|plan| plan.definition.name == name);
        let hashes: BTreeSet<String> =
            known.map(|plan| plan.definition.hash.clone()).filter(|it| it.starts_with(wanted)).collect();
        match hashes.len() {
            _ if !is_hash => Err(DefinitionLookupError::NoHash(wanted.to_owned())),
            0 if wanted.len() == 64 => Ok(wanted.to_owned()),
            0 => Err(DefinitionLookupError::NoHash(wanted.to_owned())),
            1 => Ok(hashes.into_iter().next().unwrap_or_default()),
            _ => Err(DefinitionLookupError::Several(wanted.to_owned(), hashes.into_iter().collect())),
        }
    }
}
