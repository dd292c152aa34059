//! Where one test's store is, and how the test looks and meddles past it.

use anyhow::Result;
use async_trait::async_trait;
use saga_event_store::{EventStore, StoreAccess, StoreError, open};
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
        open(self.address(), StoreAccess::Write { shards: SHARDS }).await
    }

    /// The store as a command that only reads opens it.
    pub(crate) async fn reader(&self) -> Result<Store, StoreError> {
        open(self.address(), StoreAccess::Read).await
    }

    /// How many rows a table has.
    pub(crate) async fn rows(&self, table: &str) -> Result<i64> {
        self.number(&format!("SELECT count(*) FROM {table}")).await
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
