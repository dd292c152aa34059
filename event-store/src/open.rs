//! Opens a store.

use crate::{
    EventStore, KeyRing, StoreAccess, StoreConfig, StoreError,
    limits::check_shards,
    postgres::PostgresStore,
    sealing::{DataKeyStore, SealedStore, require_keys},
    sqlite::SqliteStore,
};
use std::sync::Arc;

/// Opens the store at `address`; see [`StoreConfig::open`].
///
/// # Errors
/// As [`StoreConfig::open`], and [`StoreError::Address`] when the address is not one of a store.
pub async fn open(address: &str, access: StoreAccess) -> Result<Arc<dyn EventStore>, StoreError> {
    address.parse::<StoreConfig>()?.open(access).await
}

impl StoreConfig {
    /// Opens a store that is not encrypted.
    ///
    /// # Errors
    /// As [`StoreConfig::open_sealed`].
    pub async fn open(&self, access: StoreAccess) -> Result<Arc<dyn EventStore>, StoreError> {
        self.open_sealed(access, KeyRing::default()).await
    }

    /// Opens the store. With keys in `ring`, it opens what is sealed; with a current key, it seals new streams.
    ///
    /// # Errors
    /// The database does not answer or cannot be used (credentials, database, privileges). Its schema is newer than
    /// this build or was altered (or, to read, is older). Its number of shards is another one or out of bounds. Another
    /// engine has the SQLite file. The store needs a key that is not in `ring` ([`StoreError::Keys`]). Only
    /// [`StoreError::is_worth_waiting_at_start`] may pass by itself.
    pub async fn open_sealed(&self, access: StoreAccess, ring: KeyRing) -> Result<Arc<dyn EventStore>, StoreError> {
        if let StoreAccess::Write { shards } = access {
            check_shards(shards)?;
        }
        self.open_backend(access, ring).await.map_err(|error| error.at(&self.place()))
    }

    async fn open_backend(&self, access: StoreAccess, ring: KeyRing) -> Result<Arc<dyn EventStore>, StoreError> {
        match self {
            StoreConfig::Postgres { address } => {
                with_keys(PostgresStore::open(address, access).await?, access, ring).await
            }
            StoreConfig::Sqlite { path } => with_keys(SqliteStore::open(path, access).await?, access, ring).await,
        }
    }
}

/// Without keys the store is used as it is, if it has no sealed streams.
async fn with_keys(
    store: impl DataKeyStore + 'static,
    access: StoreAccess,
    ring: KeyRing,
) -> Result<Arc<dyn EventStore>, StoreError> {
    if ring.is_empty() {
        require_keys(&store, &ring).await?;
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(SealedStore::over(Arc::new(store), ring, access).await?))
}
