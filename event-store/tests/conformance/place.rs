//! Where one test's store is, and how the test looks and meddles past it.

use anyhow::Result;
use async_trait::async_trait;
use saga_event_store::{EventStore, KeyEncryptionKey, KeyRing, SEAL_BYTES, StoreAccess, StoreConfig, StoreError};
use std::{sync::Arc, time::Duration};

/// Shards of every store that the suite creates.
pub(crate) const SHARDS: u16 = 8;

/// A store as its users hold it.
pub(crate) type Store = Arc<dyn EventStore>;

/// An empty place for one store, of which no other test knows; gone with the value.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// As [`saga_event_store::open`] takes it.
    fn address(&self) -> &str;

    /// The key-encryption keys that stores are opened with; none: without encryption.
    fn ring(&self) -> KeyRing {
        KeyRing::default()
    }

    /// Bytes that the store adds to each value.
    fn added_bytes(&self) -> u64 {
        if self.ring().is_empty() { 0 } else { SEAL_BYTES as u64 }
    }

    /// Runs a statement past the store.
    async fn run(&self, statement: &str) -> Result<()>;

    /// Runs a statement past the store that leaves values which no writer of the store can leave.
    async fn damage(&self, statement: &str) -> Result<()>;

    /// Runs a query past the store that has one number as its answer.
    async fn number(&self, query: &str) -> Result<i64>;

    /// How many transactions stay open although nobody works in them.
    async fn idle_transactions(&self) -> Result<i64>;
}

impl dyn Place + '_ {
    /// The store as an engine opens it; created on the first call.
    pub(crate) async fn engine(&self) -> Result<Store, StoreError> {
        self.open_with(self.ring()).await
    }

    /// The store as a command that only reads opens it.
    pub(crate) async fn reader(&self) -> Result<Store, StoreError> {
        self.read_with(self.ring()).await
    }

    /// The store as a command with these keys opens it.
    pub(crate) async fn read_with(&self, ring: KeyRing) -> Result<Store, StoreError> {
        self.address().parse::<StoreConfig>()?.open_sealed(StoreAccess::Read, ring).await
    }

    /// The store as an engine with these keys opens it.
    pub(crate) async fn open_with(&self, ring: KeyRing) -> Result<Store, StoreError> {
        self.address().parse::<StoreConfig>()?.open_sealed(StoreAccess::Write { shards: SHARDS }, ring).await
    }

    /// How many rows a table has.
    pub(crate) async fn rows(&self, table: &str) -> Result<i64> {
        self.number(&format!("SELECT count(*) FROM {table}")).await
    }
}

/// A key-encryption key that differs from those with other numbers.
pub(crate) fn key(number: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::new([number; 32])
}

/// A ring with one current key.
pub(crate) fn ring_of(current: u8) -> KeyRing {
    KeyRing { current: Some(key(current)), previous: Vec::new() }
}

/// A place whose stores are encrypted.
pub(crate) struct SealedPlace(Box<dyn Place>);

impl SealedPlace {
    /// `None`: there is no place.
    pub(crate) fn at(place: Option<Box<dyn Place>>) -> Option<Box<dyn Place>> {
        place.map(|place| Box::new(SealedPlace(place)) as Box<dyn Place>)
    }
}

#[async_trait]
impl Place for SealedPlace {
    fn address(&self) -> &str {
        self.0.address()
    }

    fn ring(&self) -> KeyRing {
        ring_of(1)
    }

    async fn run(&self, statement: &str) -> Result<()> {
        self.0.run(statement).await
    }

    async fn damage(&self, statement: &str) -> Result<()> {
        self.0.damage(statement).await
    }

    async fn number(&self, query: &str) -> Result<i64> {
        self.0.number(query).await
    }

    async fn idle_transactions(&self) -> Result<i64> {
        self.0.idle_transactions().await
    }
}

/// For what happens in another process or task: much longer than it takes, so that only a fault comes near.
const WITHIN: Duration = Duration::from_secs(20);

/// Looks until `look` is true.
///
/// # Errors
/// What `look` failed with, or that it took too long.
pub(crate) async fn until(what: &str, mut look: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let looking = async {
        while !look().await? {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    tokio::time::timeout(WITHIN, looking).await.map_err(|_| anyhow::anyhow!("not within {WITHIN:?}: {what}"))?
}
