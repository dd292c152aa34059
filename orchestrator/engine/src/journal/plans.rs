//! Definitions and policies by hash: a saga goes on with what it was started with, whatever the files say now.

use super::fault::{self, JournalError, JournalFault, JournalFaultKind, PlanError};
use memchr::memmem;
use saga_core::{
    definition::{self, ParticipantCatalog, SagaDefinition},
    event::{SagaDecision, SagaEvent},
    id::SagaId,
    policy::SagaPolicies,
    state::SagaPlan,
    time::Timestamp,
};
use saga_event_store::{EventStore, JournalReader, StreamRow, StreamSummary};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The kinds of documents in the store that plans are made of.
pub(super) const DEFINITION: &str = "definition";
const POLICIES: &str = "policies";

/// Plans that were read or started with, by the hashes of definition and policies. They are few (one per deployed
/// version), so none is forgotten.
#[derive(Debug, Default)]
pub struct PlanCache(RwLock<HashMap<(String, String), Arc<SagaPlan>>>);

impl PlanCache {
    /// Stores the texts of `plan` under their hashes and remembers it. When it returns, a saga may be pinned to it.
    ///
    /// # Errors
    /// When the store did not take them.
    pub async fn publish(
        &self,
        store: &dyn EventStore,
        plan: Arc<SagaPlan>,
    ) -> Result<(), saga_event_store::StoreError> {
        store.put_document(DEFINITION, &plan.definition.hash, &plan.definition.text).await?;
        store.put_document(POLICIES, &plan.policies_hash, &plan.policies.canonical_json()).await?;
        self.remember(plan);
        Ok(())
    }

    /// What the saga runs by at the end of its journal, with what it ran by before.
    ///
    /// # Errors
    /// When the store is unavailable, or does not have what the saga's rows name.
    pub async fn of(
        &self,
        store: &dyn JournalReader,
        saga: SagaId,
        decisions: &[SagaDecision],
    ) -> Result<Arc<SagaPlan>, JournalError> {
        let no_start = || JournalFault { saga, version: Some(1), kind: JournalFaultKind::NoStart };
        let (definition, policies) = hashes(decisions).ok_or_else(no_start)?;
        let plan = self.exactly(store, definition, policies).await;
        let mut plan = plan.map_err(|error| fault::of_plan(saga, 1, error))?;
        for decision in decisions {
            let Some((definition, policies)) = changed(decision) else { continue };
            let next = self.exactly(store, definition, policies).await;
            let next = next.map_err(|error| fault::of_plan(saga, decision.version, error))?;
            plan = Arc::new(next.after(plan));
        }
        Ok(plan)
    }

    /// Every plan that this process has used.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<SagaPlan>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The plan with these hashes, if it was used before.
    #[must_use]
    pub fn get(&self, definition: &str, policies: &str) -> Option<Arc<SagaPlan>> {
        let plans = self.0.read().unwrap_or_else(PoisonError::into_inner);
        plans.get(&(definition.to_owned(), policies.to_owned())).cloned()
    }

    /// The plan with these hashes, as the store has it: for new sagas of a definition that another engine has files
    /// for.
    ///
    /// # Errors
    /// When the store is unavailable ([`PlanError::is_transient`]), has no such texts, or this build cannot read them.
    pub async fn exactly(
        &self,
        store: &dyn JournalReader,
        definition: &str,
        policies: &str,
    ) -> Result<Arc<SagaPlan>, PlanError> {
        if let Some(plan) = self.get(definition, policies) {
            return Ok(plan);
        }
        let plan = Arc::new(load(store, definition, policies).await?);
        self.remember(Arc::clone(&plan));
        Ok(plan)
    }

    /// A plan for new sagas of the definition with this hash, as the store has it, with the policies that these
    /// participants give it.
    ///
    /// # Errors
    /// When the store is unavailable ([`PlanError::is_transient`]), has no such text, or this build cannot read it.
    pub async fn stored(
        &self,
        store: &dyn EventStore,
        hash: &str,
        participants: &ParticipantCatalog,
    ) -> Result<Arc<SagaPlan>, PlanError> {
        let definition = match self.of_definition(hash) {
            Some(plan) => Arc::clone(&plan.definition),
            None => Arc::new(read_definition(hash, &document(store, DEFINITION, hash).await?)?),
        };
        let policies = SagaPolicies::resolve(&definition, participants);
        let plan = Arc::new(SagaPlan::new(definition, Arc::new(policies)));
        self.publish(store, Arc::clone(&plan)).await?;
        Ok(plan)
    }

    /// The definition with this hash, as it was stored.
    ///
    /// # Errors
    /// When the store is unavailable, has no such text, or this build cannot read it.
    pub(crate) async fn definition(
        &self,
        store: &dyn JournalReader,
        hash: &str,
    ) -> Result<Arc<SagaDefinition>, PlanError> {
        match self.of_definition(hash) {
            Some(plan) => Ok(Arc::clone(&plan.definition)),
            None => Ok(Arc::new(read_definition(hash, &document(store, DEFINITION, hash).await?)?)),
        }
    }

    fn of_definition(&self, hash: &str) -> Option<Arc<SagaPlan>> {
        let plans = self.0.read().unwrap_or_else(PoisonError::into_inner);
        plans.values().find(|plan| plan.definition.hash == hash).cloned()
    }

    fn remember(&self, plan: Arc<SagaPlan>) {
        let key = (plan.definition.hash.clone(), plan.policies_hash.clone());
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, plan);
    }
}

/// The texts that a saga runs by and ran by, by kind and hash, as far as its rows can be read.
pub(crate) fn texts_of(summary: &StreamSummary, rows: &[StreamRow]) -> Vec<(&'static str, String)> {
    let mut texts = vec![(DEFINITION, summary.document.clone())];
    let changes = memmem::Finder::new("definitionChanged");
    for row in rows.iter().filter(|row| row.version == 1 || changes.find(&row.payload).is_some()) {
        let at = Timestamp(row.recorded_at_ms);
        let Ok(decision) = super::codec::decode(row.version, at, &row.payload) else { continue };
        let decision = std::slice::from_ref(&decision);
        let named = hashes(decision).or_else(|| changed(&decision[0]));
        texts.extend(
            named.into_iter().flat_map(|(definition, policies)| {
                [(DEFINITION, definition.to_owned()), (POLICIES, policies.to_owned())]
            }),
        );
    }
    texts
}

fn hashes(decisions: &[SagaDecision]) -> Option<(&str, &str)> {
    let first = decisions.first()?.events.first()?;
    let SagaEvent::SagaStarted { definition, policies, .. } = first else { return None };
    Some((definition, policies))
}

/// The hashes of what the row is decided by, if that is another than before.
fn changed(decision: &SagaDecision) -> Option<(&str, &str)> {
    let SagaEvent::DefinitionChanged { definition, policies, .. } = decision.events.first()? else { return None };
    Some((definition, policies))
}

async fn load(store: &dyn JournalReader, definition: &str, policies: &str) -> Result<SagaPlan, PlanError> {
    let text = document(store, DEFINITION, definition).await?;
    let definition = read_definition(definition, &text)?;
    let text = document(store, POLICIES, policies).await?;
    let policies = read_policies(policies, &text)?;
    Ok(SagaPlan::new(Arc::new(definition), Arc::new(policies)))
}

async fn document(store: &dyn JournalReader, kind: &'static str, hash: &str) -> Result<String, PlanError> {
    let found = store.get_document(kind, hash).await?;
    found.ok_or_else(|| PlanError::Missing { kind, hash: hash.to_owned() })
}

/// Without participants and schemas: they may have changed since, and the text was proved when it was stored.
fn read_definition(hash: &str, text: &str) -> Result<SagaDefinition, PlanError> {
    let unreadable = |reason: String| PlanError::Unreadable { kind: DEFINITION, hash: hash.to_owned(), reason };
    let definition = definition::parse_stored(text).map_err(unreadable)?;
    if definition.hash == hash { Ok(definition) } else { Err(unreadable(ANOTHER_TEXT.to_owned())) }
}

fn read_policies(hash: &str, text: &str) -> Result<SagaPolicies, PlanError> {
    let unreadable = |reason: String| PlanError::Unreadable { kind: POLICIES, hash: hash.to_owned(), reason };
    let policies = SagaPolicies::from_json(text).map_err(|error| unreadable(error.to_string()))?;
    // Of the text, because a later build may write the same policies in another way.
    if definition::hash(text) == hash { Ok(policies) } else { Err(unreadable(ANOTHER_TEXT.to_owned())) }
}

/// Of a document that was changed after it was stored, though it can be read.
const ANOTHER_TEXT: &str = "its text has another hash, so it was changed after it was stored";
