//! Data keys in memory, for a short time.

use crate::DataKey;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Keys of one generation: more than the streams that an engine works on within seconds, and some megabytes.
const MOST_KEYS: usize = 32_768;
/// How long a generation takes keys. A key that was erased elsewhere leaves the memory within two generations.
const LASTS: Duration = Duration::from_secs(300);

/// What is known about the key of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KnownKey {
    /// The key.
    Key(DataKey),
    /// The stream has none: it began without encryption, or it was erased.
    None,
}

impl KnownKey {
    pub(super) fn key(&self) -> Option<&DataKey> {
        match self {
            KnownKey::Key(key) => Some(key),
            KnownKey::None => None,
        }
    }
}

/// Two generations of keys: when the younger one is full or old, it becomes the older one, whose keys are dropped.
#[derive(Debug, Default)]
pub(super) struct DataKeyCache(Mutex<CacheGenerations>);

#[derive(Debug, Default)]
struct CacheGenerations {
    young: HashMap<Uuid, KnownKey>,
    old: HashMap<Uuid, KnownKey>,
    began: Option<Instant>,
}

impl DataKeyCache {
    pub(super) fn get(&self, stream: Uuid) -> Option<KnownKey> {
        let mut generations = self.lock();
        generations.turn();
        generations.young.get(&stream).or_else(|| generations.old.get(&stream)).cloned()
    }

    pub(super) fn put(&self, stream: Uuid, known: KnownKey) {
        let mut generations = self.lock();
        generations.turn();
        generations.old.remove(&stream);
        generations.young.insert(stream, known);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CacheGenerations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheGenerations {
    fn turn(&mut self) {
        let began = *self.began.get_or_insert_with(Instant::now);
        if self.young.len() >= MOST_KEYS || began.elapsed() >= LASTS {
            self.old = std::mem::take(&mut self.young);
            self.began = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_keys_are_kept_and_the_memory_is_bounded() {
        let cache = DataKeyCache::default();
        for stream in 0..3 * MOST_KEYS as u128 {
            cache.put(Uuid::from_u128(stream), KnownKey::None);
        }
        let kept = |generations: &CacheGenerations| generations.young.len() + generations.old.len();
        assert!(kept(&cache.lock()) <= 2 * MOST_KEYS);
        assert_eq!(cache.get(Uuid::from_u128(0)), None);
        assert_eq!(cache.get(Uuid::from_u128(3 * MOST_KEYS as u128 - 1)), Some(KnownKey::None));
    }

    #[test]
    fn what_is_put_later_holds() {
        let (cache, stream) = (DataKeyCache::default(), Uuid::from_u128(1));
        cache.put(stream, KnownKey::Key(DataKey::draw()));
        cache.lock().turn();
        cache.put(stream, KnownKey::None);
        assert_eq!(cache.get(stream), Some(KnownKey::None));
    }
}
