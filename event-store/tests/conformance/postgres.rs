//! Postgres: a database of its own for every test, and what only a server can do.
//!
//! `tests/run` provides the servers and says where they are in the environment. A test that needs one and has none says
//! so on the terminal and ends; under `CI=true` it fails, so that nothing goes untested unnoticed.

use crate::place::{Place, SealedPlace};
use anyhow::{Context, Result};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row as _, postgres::PgConnectOptions};
use std::{io::Write as _, thread};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

/// Connection string of a role that may create databases.
const URL: &str = "SAGA_TEST_POSTGRES_URL";
/// The same for Postgres 18.
const URL_18: &str = "SAGA_TEST_POSTGRES_URL_18";

/// Databases at one time, on machines that run many tests side by side: each takes about ten connections, of which a
/// server has 100 unless it is told otherwise.
static DATABASES: Semaphore = Semaphore::const_new(8);

/// An empty database; `None` has been reported.
pub(crate) async fn place() -> Result<Option<Box<dyn Place>>> {
    Ok(database().await?.map(|database| database as Box<dyn Place>))
}

/// An empty database for an encrypted store.
pub(crate) async fn sealed_place() -> Result<Option<Box<dyn Place>>> {
    Ok(SealedPlace::at(place().await?))
}

/// The same on Postgres 18.
pub(crate) async fn place_18() -> Result<Option<Box<dyn Place>>> {
    Ok(database_18().await?.map(|database| database as Box<dyn Place>))
}

/// As [`place`], for what only a server can do.
pub(crate) async fn database() -> Result<Option<Box<Database>>> {
    database_at(URL).await
}

/// The same on Postgres 18.
pub(crate) async fn database_18() -> Result<Option<Box<Database>>> {
    database_at(URL_18).await
}

/// One test's database.
pub(crate) struct Database {
    server: PgConnectOptions,
    options: PgConnectOptions,
    address: String,
    name: String,
    _permit: SemaphorePermit<'static>,
}

async fn database_at(variable: &str) -> Result<Option<Box<Database>>> {
    let Some(url) = address(variable) else { return Ok(None) };
    let permit = DATABASES.acquire().await?;
    let server: PgConnectOptions = url.parse().with_context(|| format!("{variable} is not an address"))?;
    let name = format!("saga_store_{}", Uuid::new_v4().simple());
    run(&server, &format!("CREATE DATABASE {name}")).await?;
    let options = server.clone().database(&name);
    let address = address_of(&options);
    Ok(Some(Box::new(Database { server, options, address, name, _permit: permit })))
}

fn address(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        report_not_run(&format!("{variable} is not set"));
    }
    value
}

/// Says that a test cannot run; under `CI=true` it fails.
pub(crate) fn report_not_run(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} cannot run: {reason}");
    // Written to the stream itself: what `eprintln!` prints is kept from view while a test passes.
    let line = format!("NOT RUN: {test}: {reason}; `tests/run` provides it\n");
    std::io::stderr().write_all(line.as_bytes()).expect("the standard error stream takes a line");
}

/// As [`saga_event_store::open`] takes it.
pub(crate) fn address_of(options: &PgConnectOptions) -> String {
    options.to_url_lossy().to_string()
}

async fn run(options: &PgConnectOptions, statement: &str) -> Result<()> {
    let mut connection = options.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.with_context(|| statement.to_owned())?;
    connection.close().await?;
    Ok(())
}

impl Database {
    /// How a client other than the store comes here.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// A connection past the store.
    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        Ok(self.options.connect().await?)
    }
}

impl Database {
    /// Ends the sessions of stores; they come back.
    pub(crate) async fn end_sessions(&self) -> Result<()> {
        run(&self.server, &ending(&self.name)).await
    }

    /// The state of now, to be found here later.
    pub(crate) async fn copy(&self) -> Result<Copy> {
        let copy = Copy { name: format!("{}_copy", self.name), replaced: format!("{}_replaced", self.name) };
        self.end_sessions().await?;
        run(&self.server, &format!("CREATE DATABASE {} TEMPLATE {}", copy.name, self.name)).await?;
        Ok(copy)
    }
}

fn ending(database: &str) -> String {
    format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'")
}

/// An older state of a database.
pub(crate) struct Copy {
    name: String,
    replaced: String,
}

impl Copy {
    /// As a standby that lagged: whoever connects from now on finds this state.
    pub(crate) async fn takes_the_place_of(&self, database: &Database) -> Result<()> {
        let (name, Copy { name: copy, replaced }) = (&database.name, self);
        let away = format!("{}; ALTER DATABASE {name} RENAME TO {replaced}", ending(name));
        run(&database.server, &away).await?;
        run(&database.server, &format!("ALTER DATABASE {copy} RENAME TO {name}")).await
    }

    /// Tidies.
    pub(crate) async fn drop_what_was_replaced(self, database: &Database) -> Result<()> {
        run(&database.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.replaced)).await
    }
}

#[async_trait]
impl Place for Database {
    fn address(&self) -> &str {
        &self.address
    }

    async fn run(&self, statement: &str) -> Result<()> {
        run(&self.options, statement).await
    }

    async fn damage(&self, statement: &str) -> Result<()> {
        self.run("ALTER TABLE journal DROP CONSTRAINT journal_version_check").await?;
        self.run("ALTER TABLE stream_keys DROP CONSTRAINT stream_keys_payload_hash_check").await?;
        self.run(statement).await
    }

    async fn number(&self, query: &str) -> Result<i64> {
        let mut connection = self.connect().await?;
        let number = sqlx::query(AssertSqlSafe(query)).fetch_one(&mut connection).await?.try_get(0)?;
        connection.close().await?;
        Ok(number)
    }

    async fn idle_transactions(&self) -> Result<i64> {
        let query =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
        self.number(query).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, statement) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // In a thread of its own, because the test's runtime may be the one that is going down. A database that cannot
        // be dropped is left to the end of the run, which removes the whole cluster.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&server, &statement))
        });
        drop(dropping.join());
    }
}
