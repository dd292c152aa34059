//! SQLite: a file of its own for every test, and what only a file can do.

use crate::place::{Place, SealedPlace};
use anyhow::Result;
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

/// One test's file.
pub(crate) struct File {
    folder: TempDir,
    address: String,
}

/// A file that does not exist yet, in a folder of its own.
pub(crate) async fn place() -> Result<Option<Box<dyn Place>>> {
    Ok(file().await?.map(|file| file as Box<dyn Place>))
}

/// The same for an encrypted store.
pub(crate) async fn sealed_place() -> Result<Option<Box<dyn Place>>> {
    Ok(SealedPlace::at(place().await?))
}

/// As [`place`], for what only a file can do.
#[expect(clippy::unused_async, reason = "as the places that have to be asked for")]
pub(crate) async fn file() -> Result<Option<Box<File>>> {
    let folder = TempDir::new()?;
    let address = format!("sqlite:{}", folder.path().join("saga.db").display());
    Ok(Some(Box::new(File { folder, address })))
}

impl File {
    /// The file, which need not exist.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("saga.db")
    }

    async fn connect(&self) -> Result<SqliteConnection> {
        let options = SqliteConnectOptions::new().filename(self.path()).busy_timeout(Duration::from_secs(5));
        Ok(SqliteConnection::connect_with(&options).await?)
    }
}

#[async_trait]
impl Place for File {
    fn address(&self) -> &str {
        &self.address
    }

    async fn run(&self, statement: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    async fn damage(&self, statement: &str) -> Result<()> {
        self.run(&format!("PRAGMA ignore_check_constraints = ON; {statement}")).await
    }

    async fn number(&self, query: &str) -> Result<i64> {
        let mut connection = self.connect().await?;
        let row = sqlx::raw_sql(AssertSqlSafe(query)).fetch_one(&mut connection).await?;
        let number = row.try_get(0)?;
        connection.close().await?;
        Ok(number)
    }

    /// Whoever is in a transaction of writing keeps the others out.
    async fn idle_transactions(&self) -> Result<i64> {
        Ok(i64::from(self.run("BEGIN IMMEDIATE; ROLLBACK").await.is_err()))
    }
}
