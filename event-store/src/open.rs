//! Opens a store.

use crate::{
    EventStore, StoreAccess, StoreConfig, StoreError, limits::check_shards, postgres::PostgresStore,
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
    /// Opens the store.
    ///
    /// # Errors
    /// The database does not answer or cannot be used (credentials, database, privileges). Its schema is newer than
    /// this build or was altered (or, to read, is older). Its number of shards is another one or out of bounds. Another
    /// engine has the SQLite file. Only [`StoreError::is_worth_waiting_at_start`] may pass by itself.
    pub async fn open(&self, access: StoreAccess) -> Result<Arc<dyn EventStore>, StoreError> {
        if let StoreAccess::Write { shards } = access {
            check_shards(shards)?;
        }
        self.open_backend(access).await.map_err(|error| error.at(&self.place()))
    }

    async fn open_backend(&self, access: StoreAccess) -> Result<Arc<dyn EventStore>, StoreError> {
        match self {
            StoreConfig::Postgres { address } => Ok(Arc::new(PostgresStore::open(address, access).await?)),
            StoreConfig::Sqlite { path } => Ok(Arc::new(SqliteStore::open(path, access).await?)),
        }
    }
}
