//! What of the client's statistics is looked at: how far it has fetched, and what the answers said of the partition.

use saga_wire::record::TopicPartition;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// What the client knows of a partition that it fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FetchProgress {
    /// Up to where it has fetched.
    pub(super) next: i64,
    /// The end of the partition by the last answer, with what transactions hold back.
    pub(super) high: i64,
    /// Up to where the last answer says that no transaction is open.
    pub(super) stable: i64,
}

#[derive(Deserialize)]
struct ClientStatistics {
    #[serde(default)]
    topics: HashMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: HashMap<i32, PartitionStatistics>,
}

/// Negative where nothing is known yet.
#[derive(Deserialize)]
struct PartitionStatistics {
    next_offset: i64,
    hi_offset: i64,
    ls_offset: i64,
}

/// Reads the client's JSON. What cannot be read is as good as none.
pub(super) fn read(json: &[u8]) -> BTreeMap<TopicPartition, FetchProgress> {
    let Ok(statistics) = serde_json::from_slice::<ClientStatistics>(json) else { return BTreeMap::new() };
    let mut fetched = BTreeMap::new();
    for (topic, TopicStatistics { partitions }) in statistics.topics {
        for (partition, PartitionStatistics { next_offset: next, hi_offset: high, ls_offset: stable }) in partitions {
            if next >= 0 && high >= 0 && stable >= 0 {
                let partition = TopicPartition { topic: topic.as_str().into(), partition };
                fetched.insert(partition, FetchProgress { next, high, stable });
            }
        }
    }
    fetched
}
