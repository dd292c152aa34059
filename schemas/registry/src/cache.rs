//! What is known of schemas: bounded by number and bytes, and what the registry does not know for a short time.

use crate::{error::RegistryError, key::SchemaKey};
use saga_schemas::avro::AvroSchema;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// Most schemas that are remembered as unknown: a topic of garbage names a new one with every record.
const MAX_UNKNOWN: usize = 1_000;

/// What of schemas is kept. Time is an argument.
#[derive(Debug)]
pub(crate) struct SchemaCache {
    max_schemas: usize,
    max_bytes: usize,
    unknown_for: Duration,
    known: HashMap<SchemaKey, AvroSchema>,
    /// Kept schemas, the oldest first.
    order: VecDeque<SchemaKey>,
    bytes: usize,
    unknown: HashMap<SchemaKey, (Instant, RegistryError)>,
}

impl SchemaCache {
    pub(crate) fn new(max_schemas: usize, max_bytes: usize, unknown_for: Duration) -> SchemaCache {
        SchemaCache {
            max_schemas,
            max_bytes,
            unknown_for,
            known: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            unknown: HashMap::new(),
        }
    }

    /// What is known of a schema; `None`: ask the registry.
    pub(crate) fn get(&self, key: &SchemaKey, now: Instant) -> Option<Result<AvroSchema, RegistryError>> {
        if let Some(schema) = self.known.get(key) {
            return Some(Ok(schema.clone()));
        }
        let (until, error) = self.unknown.get(key)?;
        (now < *until).then(|| Err(error.clone()))
    }

    /// Keeps what the registry answered. That it is unavailable or refuses says nothing about a schema.
    pub(crate) fn keep(&mut self, key: SchemaKey, answer: &Result<AvroSchema, RegistryError>, now: Instant) {
        match answer {
            Ok(schema) => self.add(key, schema.clone()),
            Err(error @ (RegistryError::Unknown { .. } | RegistryError::Unusable { .. })) => {
                self.add_unknown(key, error.clone(), now);
            }
            Err(RegistryError::Unavailable { .. } | RegistryError::Refused { .. }) => {}
        }
    }

    /// All that is kept, for those who only read.
    pub(crate) fn known(&self) -> &HashMap<SchemaKey, AvroSchema> {
        &self.known
    }

    fn add(&mut self, key: SchemaKey, schema: AvroSchema) {
        self.unknown.remove(&key);
        if self.known.contains_key(&key) {
            return;
        }
        self.bytes += size(&schema);
        self.known.insert(key, schema);
        self.order.push_back(key);
        while self.order.len() > self.max_schemas.max(1) || (self.bytes > self.max_bytes && self.order.len() > 1) {
            let oldest = self.order.pop_front().and_then(|key| self.known.remove(&key));
            self.bytes -= oldest.as_ref().map_or(0, size);
        }
    }

    fn add_unknown(&mut self, key: SchemaKey, error: RegistryError, now: Instant) {
        if self.unknown.len() >= MAX_UNKNOWN {
            self.unknown.retain(|_, (until, _)| now < *until);
        }
        // Full of what was asked for a moment ago: which of them goes makes no difference.
        if self.unknown.len() >= MAX_UNKNOWN
            && let Some(any) = self.unknown.keys().next().copied()
        {
            self.unknown.remove(&any);
        }
        self.unknown.insert(key, (now + self.unknown_for, error));
    }
}

fn size(schema: &AvroSchema) -> usize {
    schema.text().len() + schema.canonical_form().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(name: &str) -> AvroSchema {
        AvroSchema::parse(&format!("{{\"type\": \"fixed\", \"name\": \"{name}\", \"size\": 4}}")).expect("a schema")
    }

    fn unknown() -> RegistryError {
        RegistryError::Unknown { what: "the schema 1".to_owned() }
    }

    fn cache(max_schemas: usize, max_bytes: usize) -> SchemaCache {
        SchemaCache::new(max_schemas, max_bytes, Duration::from_secs(10))
    }

    #[test]
    fn the_oldest_goes_where_there_are_too_many() {
        let (mut cache, now) = (cache(2, usize::MAX), Instant::now());
        (1..=3).for_each(|id| cache.keep(SchemaKey::Id(id), &Ok(schema("A")), now));
        assert_eq!(cache.get(&SchemaKey::Id(1), now), None);
        assert!(cache.get(&SchemaKey::Id(2), now).is_some() && cache.get(&SchemaKey::Id(3), now).is_some());
    }

    #[test]
    fn the_oldest_goes_where_they_are_too_large() {
        let (mut cache, now) = (cache(10, size(&schema("A")) * 2), Instant::now());
        (1..=3).for_each(|id| cache.keep(SchemaKey::Id(id), &Ok(schema("A")), now));
        assert_eq!(cache.known().len(), 2);
        cache.keep(SchemaKey::Id(4), &Ok(schema(&"A".repeat(1_000))), now);
        assert_eq!(cache.known().keys().collect::<Vec<_>>(), [&SchemaKey::Id(4)], "one stays, however large");
    }

    #[test]
    fn an_unknown_schema_is_asked_for_again_later() {
        let (mut cache, now) = (cache(2, usize::MAX), Instant::now());
        cache.keep(SchemaKey::Id(1), &Err(unknown()), now);
        assert_eq!(cache.get(&SchemaKey::Id(1), now + Duration::from_secs(9)), Some(Err(unknown())));
        assert_eq!(cache.get(&SchemaKey::Id(1), now + Duration::from_secs(10)), None);
    }

    #[test]
    fn an_outage_is_not_kept() {
        let (mut cache, now) = (cache(2, usize::MAX), Instant::now());
        cache.keep(SchemaKey::Id(1), &Err(RegistryError::Unavailable { reason: "it is down".to_owned() }), now);
        assert_eq!(cache.get(&SchemaKey::Id(1), now), None);
    }

    #[test]
    fn a_topic_of_garbage_does_not_fill_the_memory() {
        let (mut cache, now) = (cache(2, usize::MAX), Instant::now());
        (0..5_000).for_each(|id| cache.keep(SchemaKey::Id(id), &Err(unknown()), now));
        assert_eq!(cache.unknown.len(), MAX_UNKNOWN);
    }
}
