//! The definitions that sagas of a store run by or ran by.

use super::plans::DEFINITION;
use saga_core::time::{Timestamp, rfc3339};
use saga_event_store::{EventStore, StoreError, StreamDimension, StreamFilter};
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap};
use uuid::Uuid;

/// The most definitions that are counted: an installation has some per deployment.
const MOST: u32 = 10_000;

/// Fewest digits that name a definition by the beginning of its hash.
pub(crate) const SHORTEST_HASH: usize = 6;

/// One text of a definition, and the sagas that run by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredDefinition {
    /// Name of the definition.
    pub name: String,
    /// Hash of the text.
    pub definition: String,
    /// Sagas that run by it and have not ended.
    pub open_sagas: i64,
    /// When the oldest open saga started; `None`: none is open. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_open_at: Option<String>,
    /// All sagas that run by it or ended by it.
    pub sagas: i64,
    /// When the first of them started. RFC 3339, UTC.
    pub first_started_at: String,
}

/// A word names no definition, or several.
#[derive(Debug, thiserror::Error)]
pub enum StoredDefinitionError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing is called so.
    #[error(
        "no saga runs or ran by a definition `{0}`: write its name, or {SHORTEST_HASH} to 64 digits of its hash\nhint: \
         `saga definitions used` shows them"
    )]
    None(String),
    /// Several are called so.
    #[error("`{word}` names several definitions: {list}\nhint: write the beginning of one hash", list = .all.join(", "))]
    Several {
        /// The word.
        word: String,
        /// The hashes, with the time of the first saga of each.
        all: Vec<String>,
    },
    /// The store has sagas of it and not its text.
    #[error("the store does not have the text of the definition {0}")]
    Missing(String),
}

/// Every definition by which a saga of the store runs or ran: those with open sagas first, then the newest. Reads the
/// read model whole.
///
/// # Errors
/// When the store does not answer.
pub async fn stored(store: &dyn EventStore) -> Result<Vec<StoredDefinition>, StoreError> {
    let by = [StreamDimension::Category, StreamDimension::Document];
    let all = StreamFilter { from: Some(Uuid::nil()), limit: MOST, ..StreamFilter::default() };
    let open = StreamFilter { only_open: true, limit: MOST, ..StreamFilter::default() };
    let named = |group: &saga_event_store::StreamGroup| (group.category.clone(), group.document.clone());
    let open: BTreeMap<_, _> = store.tally(&open, &by).await?.into_iter().map(|group| (named(&group), group)).collect();
    let mut stored: Vec<(i64, StoredDefinition)> = Vec::new();
    for group in store.tally(&all, &by).await? {
        let open = open.get(&named(&group));
        let definition = StoredDefinition {
            name: group.category.unwrap_or_default(),
            definition: group.document.unwrap_or_default(),
            open_sagas: open.map_or(0, |open| open.streams),
            oldest_open_at: open.map(|open| rfc3339(Timestamp(open.oldest_started_ms))),
            sagas: group.streams,
            first_started_at: rfc3339(Timestamp(group.oldest_started_ms)),
        };
        stored.push((group.oldest_started_ms, definition));
    }
    stored.sort_by_key(|(first_ms, it)| (it.name.clone(), it.open_sagas == 0, Reverse(*first_ms)));
    Ok(stored.into_iter().map(|(_, definition)| definition).collect())
}

/// The definition that `word` names, by its name or by the beginning of its hash, and its text.
///
/// # Errors
/// When it names none or several, or the store does not have the text.
pub async fn named(store: &dyn EventStore, word: &str) -> Result<(StoredDefinition, String), StoredDefinitionError> {
    let is_hash = word.len() >= SHORTEST_HASH && word.bytes().all(|digit| digit.is_ascii_hexdigit());
    let fits = |it: &StoredDefinition| it.name == word || is_hash && it.definition.starts_with(word);
    let mut found: Vec<StoredDefinition> = stored(store).await?.into_iter().filter(fits).collect();
    if found.len() > 1 {
        let all = found.iter().map(|it| format!("{} ({}, first saga {})", it.definition, it.name, it.first_started_at));
        return Err(StoredDefinitionError::Several { word: word.to_owned(), all: all.collect() });
    }
    let definition = found.pop().ok_or_else(|| StoredDefinitionError::None(word.to_owned()))?;
    let text = store.get_document(DEFINITION, &definition.definition).await?;
    let text = text.ok_or_else(|| StoredDefinitionError::Missing(definition.definition.clone()))?;
    Ok((definition, text))
}
