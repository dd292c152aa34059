//! One published set of definitions, and how the next one follows from it. Pure.

use saga_core::{
    definition::{TransportKind, TriggerStartPosition},
    time::Timestamp,
};
use saga_kafka::consumer_groups::{GroupOffsets, PartitionOffsets};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long the place of a definition that was removed is kept: as long as a broker keeps the offsets of a group
/// without members.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// A published set. Stored for ever: fields are added with defaults, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DefinitionGeneration {
    /// The published definitions, by the name of the definition.
    pub(crate) definitions: BTreeMap<String, PublishedDefinition>,
    /// Names of the participants that can be called.
    pub(crate) participants: BTreeSet<String>,
    /// One participant for each capability, by [`capability`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) capabilities: BTreeMap<String, String>,
    /// Definitions that are not published any more, and how far records were judged for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) removed: BTreeMap<String, RemovedDefinition>,
    /// Records that are read again for definitions that were added, by the name of the reading.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) catch_ups: BTreeMap<String, BTreeSet<String>>,
}

/// A definition of the published set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublishedDefinition {
    pub(crate) topic: String,
    pub(crate) hash: String,
    /// When it was published first, in milliseconds since the Unix epoch.
    pub(crate) since_ms: i64,
    /// Its first record, by partition; a partition that is not named is its own from its oldest record on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) starts: PartitionOffsets,
}

/// A definition that is not published any more, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RemovedDefinition {
    pub(crate) topic: String,
    pub(crate) at_ms: i64,
    /// The offset of its next record, by partition.
    pub(crate) next: PartitionOffsets,
}

/// A definition as its file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalDefinition {
    pub(crate) topic: String,
    pub(crate) hash: String,
    /// Where the definition's file says that it begins; `None`: the file does not say.
    pub(crate) from: Option<TriggerStartPosition>,
}

/// The definitions, participants and capabilities that an engine has files for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalCatalog {
    pub(crate) definitions: BTreeMap<String, LocalDefinition>,
    pub(crate) participants: BTreeSet<String>,
    pub(crate) capabilities: BTreeMap<String, String>,
}

/// A capability and the way in which it is asked for.
pub(crate) fn capability(name: &str, over: TransportKind) -> String {
    format!("{name} over {over}")
}

/// What the broker says when a set is published.
#[derive(Clone, Debug, Default)]
pub(crate) struct OffsetSnapshot {
    /// The offsets of the consumer group, by topic.
    pub(crate) standing: BTreeMap<String, GroupOffsets>,
    /// The offsets of the time in `from: <time>`, by definition.
    pub(crate) at_time: BTreeMap<String, PartitionOffsets>,
    /// How far unfinished catch-ups are, by their name and topic.
    pub(crate) catch_ups: BTreeMap<String, BTreeMap<String, PartitionOffsets>>,
}

/// Why an engine does not read a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DefinitionMismatch {
    /// It has no file of this definition.
    File(String),
    /// It has another text of this definition.
    Text(String),
}

/// A definition that was added, and where it begins: for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedDefinition {
    pub(crate) definition: String,
    pub(crate) how: DefinitionStart,
    /// Records of its topic that are its own and lie before the group's position.
    pub(crate) behind: i64,
    /// Records between its place and the end of the topic.
    pub(crate) ahead: i64,
}

/// The rule by which an added definition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefinitionStart {
    /// Its topic was never read: where its file says.
    FirstContact,
    /// It begins at the position of the consumer group.
    GroupOffset,
    /// It begins where its file says.
    Configured,
    /// It begins where it was when it was removed.
    Resumed,
}

impl DefinitionGeneration {
    /// Whether it is what `own` has files for.
    pub(crate) fn matches(&self, own: &LocalCatalog) -> bool {
        let same = |name: &String, defined: &PublishedDefinition| {
            own.definitions.get(name).is_some_and(|own| own.hash == defined.hash && own.topic == defined.topic)
        };
        self.definitions.len() == own.definitions.len()
            && self.definitions.iter().all(|(name, defined)| same(name, defined))
            && self.participants == own.participants
            && self.capabilities == own.capabilities
    }

    /// The topics that an engine with these files must not read, because it would finish records without judging them
    /// as published.
    pub(crate) fn forbidden_topics(&self, own: &LocalCatalog) -> BTreeMap<String, Vec<DefinitionMismatch>> {
        let mut topics: BTreeMap<String, Vec<DefinitionMismatch>> = BTreeMap::new();
        for (name, defined) in &self.definitions {
            let lacks = match own.definitions.get(name) {
                None => DefinitionMismatch::File(name.clone()),
                Some(own) if own.hash != defined.hash => DefinitionMismatch::Text(name.clone()),
                Some(_) => continue,
            };
            topics.entry(defined.topic.clone()).or_default().push(lacks);
        }
        topics
    }

    /// Where `definition` begins in its partitions; `None`: it is not known here.
    pub(crate) fn starts(&self, definition: &str) -> Option<(&PartitionOffsets, i64)> {
        self.definitions.get(definition).map(|defined| (&defined.starts, defined.since_ms))
    }

    /// The first set ever. Of a topic that is read already, everything up to where the group stands is taken to have
    /// been judged.
    pub(crate) fn first(own: &LocalCatalog, broker: &OffsetSnapshot, now: Timestamp) -> DefinitionGeneration {
        let (mut first, _) = DefinitionGeneration::default().next(own, broker, now, "");
        first.catch_ups.clear();
        for defined in first.definitions.values_mut() {
            if broker.standing.get(&defined.topic).is_some_and(GroupOffsets::is_known) {
                defined.starts.clear();
            }
        }
        first
    }

    /// The set after this one: what `own` has files for. `catch_up` names the reading of what was missed by definitions
    /// that are added.
    pub(crate) fn next(
        &self,
        own: &LocalCatalog,
        broker: &OffsetSnapshot,
        now: Timestamp,
        catch_up: &str,
    ) -> (DefinitionGeneration, Vec<AddedDefinition>) {
        let mut next = DefinitionGeneration {
            participants: own.participants.clone(),
            capabilities: own.capabilities.clone(),
            ..DefinitionGeneration::default()
        };
        let mut added = Vec::new();
        for (name, file) in &own.definitions {
            let defined = match self.definitions.get(name).filter(|before| before.topic == file.topic) {
                Some(before) => PublishedDefinition { hash: file.hash.clone(), ..before.clone() },
                None => {
                    let (defined, how) = self.added(name, file, broker, now);
                    added.push(told(name, &defined, how, broker));
                    defined
                }
            };
            next.definitions.insert(name.clone(), defined);
        }
        next.removed = self.removed_after(own, broker, now);
        next.catch_ups = self.catch_ups_after(own);
        let missed: BTreeSet<String> =
            added.iter().filter(|it| it.how != DefinitionStart::FirstContact).map(|it| it.definition.clone()).collect();
        if !missed.is_empty() {
            next.catch_ups.insert(catch_up.to_owned(), missed);
        }
        (next, added)
    }

    fn added(
        &self,
        name: &str,
        file: &LocalDefinition,
        broker: &OffsetSnapshot,
        now: Timestamp,
    ) -> (PublishedDefinition, DefinitionStart) {
        let standing = broker.standing.get(&file.topic).cloned().unwrap_or_default();
        let kept_since = now.minus(KEPT).0;
        let before = self.removed.get(name).filter(|it| it.topic == file.topic && it.at_ms >= kept_since);
        let by_file = match file.from {
            Some(TriggerStartPosition::Earliest) | None => PartitionOffsets::new(),
            Some(TriggerStartPosition::Latest) => standing.ends.clone(),
            Some(TriggerStartPosition::Time(_)) => {
                let mut starts = standing.ends.clone();
                starts.extend(broker.at_time.get(name).into_iter().flatten());
                starts
            }
        };
        let (starts, how) = match (before, standing.is_known(), file.from) {
            (Some(before), _, _) => (before.next.clone(), DefinitionStart::Resumed),
            (None, false, _) => (by_file, DefinitionStart::FirstContact),
            (None, true, Some(_)) => (by_file, DefinitionStart::Configured),
            (None, true, None) => (standing.committed, DefinitionStart::GroupOffset),
        };
        (PublishedDefinition { topic: file.topic.clone(), hash: file.hash.clone(), since_ms: now.0, starts }, how)
    }

    fn removed_after(
        &self,
        own: &LocalCatalog,
        broker: &OffsetSnapshot,
        now: Timestamp,
    ) -> BTreeMap<String, RemovedDefinition> {
        let kept_since = now.minus(KEPT).0;
        let is_gone = |name: &String, topic: &str| own.definitions.get(name).is_none_or(|file| file.topic != topic);
        let before = self.removed.iter().filter(|(name, it)| it.at_ms >= kept_since && is_gone(name, &it.topic));
        let mut removed: BTreeMap<String, RemovedDefinition> =
            before.map(|(name, it)| (name.clone(), it.clone())).collect();
        for (name, defined) in self.definitions.iter().filter(|(name, defined)| is_gone(name, &defined.topic)) {
            let next = self.judged_to(name, defined, broker);
            removed.insert(name.clone(), RemovedDefinition { topic: defined.topic.clone(), at_ms: now.0, next });
        }
        removed
    }

    /// Up to where all records were judged for a definition: what it still catches up with was not, and what lies
    /// before its first record is not its own. A catch-up reads for several definitions, from the first record of any.
    fn judged_to(&self, name: &str, defined: &PublishedDefinition, broker: &OffsetSnapshot) -> PartitionOffsets {
        let mut next = broker.standing.get(&defined.topic).map(|it| it.committed.clone()).unwrap_or_default();
        for (catch_up, _) in self.catch_ups.iter().filter(|(_, of)| of.contains(name)) {
            let progress = broker.catch_ups.get(catch_up).and_then(|topics| topics.get(&defined.topic));
            for (partition, next) in &mut next {
                *next = (*next).min(progress.and_then(|it| it.get(partition)).copied().unwrap_or(0));
            }
        }
        for (partition, first) in &defined.starts {
            let next = next.entry(*partition).or_insert(*first);
            *next = (*next).max(*first);
        }
        next
    }

    fn catch_ups_after(&self, own: &LocalCatalog) -> BTreeMap<String, BTreeSet<String>> {
        let still =
            |of: &BTreeSet<String>| of.iter().filter(|name| own.definitions.contains_key(*name)).cloned().collect();
        let left = self.catch_ups.iter().map(|(name, of)| (name.clone(), still(of)));
        left.filter(|(_, of): &(String, BTreeSet<String>)| !of.is_empty()).collect()
    }
}

fn told(name: &str, defined: &PublishedDefinition, how: DefinitionStart, broker: &OffsetSnapshot) -> AddedDefinition {
    let standing = broker.standing.get(&defined.topic).cloned().unwrap_or_default();
    let start = |partition: &i32| defined.starts.get(partition).copied().unwrap_or(0);
    let committed = |partition: &i32| standing.committed.get(partition).copied().unwrap_or(0);
    let behind = standing.ends.keys().map(|partition| (committed(partition) - start(partition)).max(0)).sum();
    let ahead = standing.ends.iter().map(|(partition, end)| (end - start(partition)).max(0)).sum();
    AddedDefinition { definition: name.to_owned(), how, behind, ahead }
}

#[cfg(test)]
mod tests;
