//! A database of its own for every test.

use crate::{
    control::{ServerAction, ServerControl},
    eventually::eventually,
    unique,
};
use anyhow::{Context, Result};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgPool, postgres::PgConnectOptions, postgres::PgPoolOptions,
};
use std::{thread, time::Duration};

/// A server that was killed recovers its log first.
const START: Duration = Duration::from_secs(60);
/// Of a test's own look into its database.
const CONNECTIONS: u32 = 4;

/// Of a copy that nobody may be connected to.
const SNAPSHOT_TRIES: usize = 20;

/// A server on which databases can be created.
#[derive(Clone, Debug)]
pub struct PostgresServer {
    url: String,
    control: Option<ServerControl>,
}

impl PostgresServer {
    /// The server at `url`, whose role may create databases.
    #[must_use]
    pub fn new(url: String, control: Option<ServerControl>) -> PostgresServer {
        PostgresServer { url, control }
    }

    /// An empty database, dropped with the value.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn database(&self) -> Result<TestDatabase> {
        let name = unique("saga_test").replace('-', "_");
        run(&self.options()?, &format!("CREATE DATABASE {name}")).await?;
        let options = self.options()?.database(&name);
        Ok(TestDatabase { server: self.options()?, url: options.to_url_lossy().to_string(), options, name })
    }

    /// Whether tests may stop it.
    #[must_use]
    pub fn can_be_stopped(&self) -> bool {
        self.control.is_some()
    }

    /// Performs `action`; after a start, returns when the server answers.
    ///
    /// # Errors
    /// When the server is not ours to stop, or does not come back.
    pub async fn perform(&self, action: ServerAction) -> Result<()> {
        let control = self.control.as_ref().context("this Postgres cannot be stopped: no control program is set")?;
        control.perform(action).await?;
        match action {
            ServerAction::Start | ServerAction::Restart | ServerAction::Unpause => self.answers().await,
            ServerAction::Stop | ServerAction::Kill | ServerAction::Pause => Ok(()),
        }
    }

    async fn answers(&self) -> Result<()> {
        let options = self.options()?;
        eventually("Postgres answers", START, || async { run(&options, "SELECT 1").await.map(Some) }).await
    }

    fn options(&self) -> Result<PgConnectOptions> {
        self.url.parse().with_context(|| format!("not a Postgres address: {}", self.url))
    }
}

/// One test's database.
#[derive(Debug)]
pub struct TestDatabase {
    server: PgConnectOptions,
    options: PgConnectOptions,
    url: String,
    name: String,
}

impl TestDatabase {
    /// Where the engine finds it, password included.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connections for the test's own look.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn pool(&self) -> Result<PgPool> {
        Ok(PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(self.options.clone()).await?)
    }
}

/// A state of a database.
#[derive(Debug)]
pub struct DatabaseSnapshot {
    name: String,
}

impl TestDatabase {
    /// Keeps the state of now. Every session is ended; engines come back.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn snapshot(&self) -> Result<DatabaseSnapshot> {
        let name = format!("{}_snapshot", self.name);
        let copied = format!("CREATE DATABASE {name} TEMPLATE {}", self.name);
        // An engine may have connected again in between.
        for _ in 0..SNAPSHOT_TRIES {
            run(&self.server, &ending(&self.name)).await?;
            if run(&self.server, &copied).await.is_ok() {
                return Ok(DatabaseSnapshot { name });
            }
        }
        run(&self.server, &ending(&self.name)).await?;
        run(&self.server, &copied).await?;
        Ok(DatabaseSnapshot { name })
    }

    /// Whoever connects from now on finds the state of the snapshot, as after a failover to a standby that lagged.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn steps_back_to(&self, snapshot: DatabaseSnapshot) -> Result<()> {
        let (name, lost) = (&self.name, format!("{}_lost", self.name));
        // An engine that connects again between the end of its sessions and the renaming would keep the name.
        run(&self.server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await?;
        run(&self.server, &format!("{}; ALTER DATABASE {name} RENAME TO {lost}", ending(name))).await?;
        run(&self.server, &format!("ALTER DATABASE {} RENAME TO {name}", snapshot.name)).await?;
        run(&self.server, &format!("DROP DATABASE {lost} WITH (FORCE)")).await
    }
}

impl TestDatabase {
    /// Whoever connects from now on may only read, as at a node that was demoted; every session is ended.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn becomes_read_only(&self) -> Result<()> {
        let name = &self.name;
        run(&self.server, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await?;
        run(&self.server, &ending(name)).await
    }

    /// Whoever connects from now on may write again. Sessions that may not stay as they are.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn takes_writes(&self) -> Result<()> {
        run(&self.server, &format!("ALTER DATABASE {} RESET default_transaction_read_only", self.name)).await
    }
}

fn ending(database: &str) -> String {
    format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'")
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        // In a thread of its own, because the test's runtime may be the one that is going down. A database that cannot
        // be dropped (its server is stopped) is left to the end of the run, which removes the whole cluster.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&server, &statement))
        });
        drop(dropping.join());
    }
}

async fn run(options: &PgConnectOptions, statement: &str) -> Result<()> {
    let mut connection = options.connect().await?;
    connection.execute(AssertSqlSafe(statement)).await.with_context(|| statement.to_owned())?;
    connection.close().await?;
    Ok(())
}
