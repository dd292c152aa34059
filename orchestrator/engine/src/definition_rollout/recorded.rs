//! What engines published, as it is on record: which definitions started sagas from when on, and by which text.

use super::publisher::{GenerationAnnouncement, LOG, SET};
use crate::{definition_generations::generation::DefinitionGeneration, notes::succession::OptimisticLog};
use saga_core::time::Timestamp;
use saga_event_store::{EventStore, StoreError};
use std::collections::BTreeMap;

/// A change of what starts sagas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedDefinitionChange {
    /// When it was published, by the clock of the engine.
    pub(crate) at: Timestamp,
    /// Number of the published set.
    pub(crate) number: i64,
    /// The engine that has the files.
    pub(crate) by: String,
    /// Name of the definition.
    pub(crate) name: String,
    pub(crate) kind: DefinitionChangeKind,
}

/// What became of a definition, by the hashes of its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DefinitionChangeKind {
    /// It starts sagas from then on.
    Published { hash: String },
    /// Another text of it starts sagas from then on.
    Replaced { hash: String, by: String },
    /// It starts no more sagas.
    Withdrawn { hash: String },
}

/// The changes within these times, both included, newest first: at least `most` of them if there are so many. A set
/// that cannot be read is named in `unreadable`, and what changed with it is left out.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn changes(
    store: &dyn EventStore,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    most: usize,
    unreadable: &mut Vec<String>,
) -> Result<Vec<RecordedDefinitionChange>, StoreError> {
    let mut log: OptimisticLog<GenerationAnnouncement> = OptimisticLog::of(LOG);
    log.read(store).await?;
    let entries = log.entries();
    let mut changes = Vec::new();
    for (index, entry) in entries.iter().enumerate().rev() {
        if since.is_some_and(|since| entry.at < since) || changes.len() > most {
            break;
        }
        if until.is_some_and(|until| entry.at > until) {
            continue;
        }
        let before = match index.checked_sub(1).map(|before| &entries[before]) {
            None => Some(BTreeMap::new()),
            Some(before) => hashes(store, &before.what.set).await?,
        };
        let (Some(before), Some(now)) = (before, hashes(store, &entry.what.set).await?) else {
            unreadable.push(format!("the definitions that were published as number {}", entry.number.0));
            continue;
        };
        let change = |(name, kind)| RecordedDefinitionChange {
            at: entry.at,
            number: entry.number.0,
            by: entry.what.by.clone(),
            name,
            kind,
        };
        changes.extend(differences(&before, &now).into_iter().map(change));
    }
    Ok(changes)
}

/// Names of the definitions that start sagas, as the newest set says.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn published(store: &dyn EventStore) -> Result<Vec<String>, StoreError> {
    let mut log: OptimisticLog<GenerationAnnouncement> = OptimisticLog::of(LOG);
    log.read(store).await?;
    let Some(newest) = log.entries().last() else { return Ok(Vec::new()) };
    Ok(hashes(store, &newest.what.set).await?.unwrap_or_default().into_keys().collect())
}

/// The definitions of a set, by name; `None`: the set cannot be read.
async fn hashes(store: &dyn EventStore, set: &str) -> Result<Option<BTreeMap<String, String>>, StoreError> {
    let Some(text) = store.get_document(SET, set).await? else { return Ok(None) };
    let generation: Option<DefinitionGeneration> = serde_json::from_str(&text).ok();
    Ok(generation.map(|it| it.definitions.into_iter().map(|(name, published)| (name, published.hash)).collect()))
}

fn differences(
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Vec<(String, DefinitionChangeKind)> {
    let withdrawn = before.iter().filter(|(name, _)| !now.contains_key(*name));
    let withdrawn =
        withdrawn.map(|(name, hash)| (name.clone(), DefinitionChangeKind::Withdrawn { hash: hash.clone() }));
    let published = now.iter().filter_map(|(name, hash)| match before.get(name) {
        Some(same) if same == hash => None,
        Some(former) => Some((name.clone(), DefinitionChangeKind::Replaced { hash: former.clone(), by: hash.clone() })),
        None => Some((name.clone(), DefinitionChangeKind::Published { hash: hash.clone() })),
    });
    withdrawn.chain(published).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_gone_or_another_text_is_a_change() {
        let set = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let changes =
            differences(&set(&[("a", "1"), ("b", "1"), ("c", "1")]), &set(&[("b", "1"), ("c", "2"), ("d", "1")]));
        let text = |hash: &str| hash.to_owned();
        assert_eq!(
            changes,
            [
                (text("a"), DefinitionChangeKind::Withdrawn { hash: text("1") }),
                (text("c"), DefinitionChangeKind::Replaced { hash: text("1"), by: text("2") }),
                (text("d"), DefinitionChangeKind::Published { hash: text("1") }),
            ]
        );
    }
}
