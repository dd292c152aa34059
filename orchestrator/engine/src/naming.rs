//! Names in questions that nothing here has: an empty answer says nothing of a slip.

use crate::{
    definition_rollout::recorded,
    journal::{
        PlanCache,
        known::{self, KnownBeside, UnknownFilterName},
        reading::{self, SagaQuery},
    },
};
use saga_event_store::{EventStore, StoreError};
use std::collections::BTreeSet;

/// What `wanted` names that is known by none; asked where it found nothing. `None`: all of it is known, or nothing is.
/// `participants` are those that are configured, if that is known.
///
/// # Errors
/// When the store does not answer.
pub async fn misnamed(
    store: &dyn EventStore,
    plans: &PlanCache,
    wanted: &SagaQuery,
    participants: &[String],
) -> Result<Option<UnknownFilterName>, StoreError> {
    let beside = KnownBeside { sagas: sagas_beside(store).await?, participants };
    known::misnamed(store, plans, wanted, &beside).await
}

/// The definition with this name, if no saga is of it, none in an archive is, and no engine published it. `None`: it is
/// known, or nothing is.
///
/// # Errors
/// When the store does not answer.
pub async fn unknown_saga(
    store: &dyn EventStore,
    plans: &PlanCache,
    name: &str,
) -> Result<Option<UnknownFilterName>, StoreError> {
    let wanted = SagaQuery { saga: Some(name.to_owned()), limit: 1, ..SagaQuery::default() };
    if !reading::list(store, &wanted).await?.is_empty() {
        return Ok(None);
    }
    misnamed(store, plans, &wanted, &[]).await
}

/// The definition with this name, if it is not among `known`.
#[must_use]
pub fn unknown_saga_among(known: &BTreeSet<String>, name: &str) -> Option<UnknownFilterName> {
    known::missing_saga(known, name)
}

/// Definitions that no saga of the store has to be of: those of archives, and those that start sagas.
async fn sagas_beside(store: &dyn EventStore) -> Result<BTreeSet<String>, StoreError> {
    let archives = store.archives().await?;
    let archived = archives.into_iter().flat_map(|it| it.content.categories);
    Ok(archived.chain(recorded::published(store).await?).collect())
}
