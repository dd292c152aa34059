//! Names in questions that nothing here has: an empty answer says nothing of a slip.

use crate::{
    archiving::left::{self, LeftSagaError, LeftSagaLookup},
    definition_rollout::recorded,
    journal::{
        LetterNames, PlanCache,
        known::{self, KnownBeside, LettersBeside, UnknownFilterName},
        reading::{self, SagaLookup, SagaQuery},
    },
};
use saga_core::id::SagaId;
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

/// What a question about dead letters, of the topic `dlq` or of all, names and nothing here has; asked where it found
/// nothing. `topics` are those that the caller knows. `None`: all of it is known, or nothing is.
///
/// # Errors
/// When the store does not answer.
pub async fn misnamed_letters(
    store: &dyn EventStore,
    plans: &PlanCache,
    dlq: Option<&str>,
    wanted: &LetterNames<'_>,
    topics: &[String],
) -> Result<Option<UnknownFilterName>, StoreError> {
    if *wanted == LetterNames::default() {
        return Ok(None);
    }
    let mut beside = LettersBeside {
        sagas: sagas_beside(store).await?,
        topics: topics.iter().cloned().collect(),
        causes: BTreeSet::new(),
    };
    for group in store.letter_groups(dlq, (i64::MAX, i64::MAX)).await? {
        beside.sagas.extend(group.definition);
        beside.topics.extend(group.origin_topic);
        beside.causes.insert(group.fingerprint);
    }
    let live = plans.all().into_iter().map(|plan| plan.definition.trigger.topic.clone());
    beside.topics.extend(live);
    known::misnamed_letters(store, plans, wanted, beside).await
}

/// The name of what acts are asked for, if nothing here can be meant by it: no saga of the store or of its archives, no
/// participant, no definition. Ids, hashes and letters count as known: nobody mistypes them by a letter.
///
/// # Errors
/// When the store does not answer.
pub async fn unknown_target(
    store: &dyn EventStore,
    plans: &PlanCache,
    name: &str,
) -> Result<Option<UnknownFilterName>, StoreError> {
    let is_hash = name.len() >= HASH_CHARS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash || name.contains('/') || name.parse::<SagaId>().is_ok() || is_saga(store, name).await? {
        return Ok(None);
    }
    let mut beside = sagas_beside(store).await?;
    beside.insert(PARTICIPANTS_FILE.to_owned());
    known::unknown_target(store, plans, name, beside).await
}

/// What acts on the participants of an engine are on.
const PARTICIPANTS_FILE: &str = "participants.yaml";
/// Characters of a hash that no name has.
const HASH_CHARS: usize = 32;

/// Whether a saga of the store or of an archive has this key.
async fn is_saga(store: &dyn EventStore, key: &str) -> Result<bool, StoreError> {
    if !matches!(reading::find_key(store, key, None).await?, SagaLookup::None) {
        return Ok(true);
    }
    match left::find(store, None, key, None).await {
        Ok(LeftSagaLookup::None) => Ok(false),
        Ok(LeftSagaLookup::One(_) | LeftSagaLookup::Several(_)) => Ok(true),
        // It may be in one.
        Err(LeftSagaError::Archive { .. } | LeftSagaError::NoFolder { .. }) => Ok(true),
        Err(LeftSagaError::Store(error)) => Err(error),
    }
}

/// Definitions that no saga of the store has to be of: those of archives, and those that start sagas.
async fn sagas_beside(store: &dyn EventStore) -> Result<BTreeSet<String>, StoreError> {
    let archives = store.archives().await?;
    let archived = archives.into_iter().flat_map(|it| it.content.categories);
    Ok(archived.chain(recorded::published(store).await?).collect())
}
