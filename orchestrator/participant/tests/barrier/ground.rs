//! A service's database with the barrier and a table of work in it.

use anyhow::{Context, Result};
use saga_participant::{
    CommandBarrier, CommandDirection, CommandHandler, HandlerError, ParticipantAnswer, PriorOutcome, SagaCommand,
    SagaCommandId, SagaParticipant, barrier::BarrierDatabase,
};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgPool, Pool, Postgres, Sqlite, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use std::{collections::BTreeMap, future::Future, io::Write as _, sync::Mutex, thread, time::Duration};
use tempfile::TempDir;
use uuid::Uuid;

/// Connection string of a role that may create databases.
const URL: &str = "SAGA_TEST_POSTGRES_URL";
/// As many as the deliveries that race.
const CONNECTIONS: u32 = 8;
/// For what another task does: much longer than it takes, so that only a fault comes near.
const WITHIN: Duration = Duration::from_secs(20);

/// An empty database of one test.
pub(crate) struct Ground<DB: sqlx::Database> {
    pub(crate) pool: Pool<DB>,
    pub(crate) barrier: CommandBarrier<DB>,
    _place: Place,
}

/// What goes with the test.
pub(crate) enum Place {
    Folder { _folder: TempDir },
    Database { server: Box<PgConnectOptions>, name: String },
}

/// A database in which the tests can work.
pub(crate) trait Bench: BarrierDatabase {
    async fn place() -> Result<Option<(Pool<Self>, Place)>>;
    fn work(
        connection: &mut Self::Connection,
        saga: &str,
        change: i32,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
    async fn sum(pool: &Pool<Self>) -> Result<i64>;
    async fn drop_table(pool: &Pool<Self>) -> Result<()>;
}

impl<DB: Bench> Ground<DB> {
    /// `None`: there is no server, which has been reported.
    pub(crate) async fn find() -> Result<Option<Ground<DB>>> {
        let Some((pool, place)) = DB::place().await? else { return Ok(None) };
        let barrier = CommandBarrier::create(&pool).await?;
        Ok(Some(Ground { pool, barrier, _place: place }))
    }

    /// What all performed work comes to: a do adds one, its undo takes one away.
    pub(crate) async fn sum(&self) -> Result<i64> {
        DB::sum(&self.pool).await
    }

    pub(crate) async fn drop_table(&self) -> Result<()> {
        DB::drop_table(&self.pool).await
    }

    pub(crate) fn participant(&self) -> SagaParticipant<DB, Script> {
        self.scripted(Script::default())
    }

    pub(crate) fn scripted(&self, script: Script) -> SagaParticipant<DB, Script> {
        SagaParticipant::new(self.pool.clone(), self.barrier, script)
    }
}

/// Does its work and answers as the command's body says; keeps what it was told before.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) begun: Option<tokio::sync::mpsc::Sender<()>>,
    pub(crate) go_on: Option<std::sync::Arc<tokio::sync::Semaphore>>,
    pub(crate) told: Mutex<Vec<PriorOutcome>>,
}

impl<DB: Bench> CommandHandler<DB> for Script {
    async fn perform(
        &self,
        tx: &mut DB::Connection,
        command: &SagaCommand,
        before: PriorOutcome,
    ) -> Result<ParticipantAnswer, HandlerError> {
        self.told.lock().expect("nobody panics under it").push(before);
        let change = match command.direction() {
            CommandDirection::Do => 1,
            CommandDirection::Undo => -1,
        };
        DB::work(tx, &command.id.saga, change).await?;
        if let Some(begun) = &self.begun {
            begun.send(()).await?;
        }
        if let Some(go_on) = &self.go_on {
            go_on.acquire().await?.forget();
        }
        match command.body.as_str() {
            Some("refuse") => Ok(ParticipantAnswer::refused("no", "for good")),
            Some("not now") => Ok(ParticipantAnswer::not_now("busy", "later")),
            Some("ongoing") => Ok(ParticipantAnswer::Ongoing),
            Some("err") => Err("no disk".into()),
            Some("panic") => panic!("as told"),
            Some(_) | None => Ok(ParticipantAnswer::Succeeded(json!({"number": Uuid::new_v4().to_string()}))),
        }
    }
}

/// A command of `saga`'s only step.
pub(crate) fn command(saga: &str, direction: CommandDirection, body: Value) -> SagaCommand {
    SagaCommand {
        id: SagaCommandId { saga: saga.into(), step: "reserve".into(), direction },
        saga_name: None,
        attempt: Some(1),
        name: "ReserveStock".into(),
        body,
        headers: BTreeMap::new(),
    }
}

pub(crate) fn a_do(saga: &str) -> SagaCommand {
    command(saga, CommandDirection::Do, Value::Null)
}

pub(crate) fn an_undo(saga: &str) -> SagaCommand {
    command(saga, CommandDirection::Undo, Value::Null)
}

impl Bench for Sqlite {
    async fn place() -> Result<Option<(SqlitePool, Place)>> {
        let folder = TempDir::new()?;
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("service.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(WITHIN);
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        sqlx::raw_sql("CREATE TABLE work (saga TEXT, change INTEGER)").execute(&pool).await?;
        Ok(Some((pool, Place::Folder { _folder: folder })))
    }

    async fn work(connection: &mut Self::Connection, saga: &str, change: i32) -> sqlx::Result<()> {
        let insert = sqlx::query("INSERT INTO work VALUES (?1, ?2)").bind(saga).bind(change);
        insert.execute(connection).await.map(drop)
    }

    async fn sum(pool: &SqlitePool) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT coalesce(sum(change), 0) FROM work").fetch_one(pool).await?)
    }

    async fn drop_table(pool: &SqlitePool) -> Result<()> {
        sqlx::raw_sql("DROP TABLE saga_commands").execute(pool).await?;
        Ok(())
    }
}

impl Bench for Postgres {
    async fn place() -> Result<Option<(PgPool, Place)>> {
        let Some(url) = std::env::var(URL).ok().filter(|url| !url.is_empty()) else {
            report_not_run(&format!("{URL} is not set"));
            return Ok(None);
        };
        let server: PgConnectOptions = url.parse().with_context(|| format!("{URL} is not an address"))?;
        let name = format!("saga_kit_{}", Uuid::new_v4().simple());
        run(&server, &format!("CREATE DATABASE {name}")).await?;
        let options = server.clone().database(&name);
        let place = Place::Database { server: Box::new(server), name };
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        sqlx::raw_sql("CREATE TABLE work (saga text, change integer)").execute(&pool).await?;
        Ok(Some((pool, place)))
    }

    async fn work(connection: &mut Self::Connection, saga: &str, change: i32) -> sqlx::Result<()> {
        let insert = sqlx::query("INSERT INTO work VALUES ($1, $2)").bind(saga).bind(change);
        insert.execute(connection).await.map(drop)
    }

    async fn sum(pool: &PgPool) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT coalesce(sum(change), 0) FROM work").fetch_one(pool).await?)
    }

    async fn drop_table(pool: &PgPool) -> Result<()> {
        sqlx::raw_sql("DROP TABLE saga_commands").execute(pool).await?;
        Ok(())
    }
}

impl Ground<Postgres> {
    /// Returns when a transaction of this database waits for another one.
    pub(crate) async fn until_one_waits(&self) -> Result<()> {
        let looking = async {
            while sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&self.pool)
            .await?
                == 0
            {
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        tokio::time::timeout(WITHIN, looking).await.context("nobody waits for a lock")?
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Place::Database { server, name } = self else { return };
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let server = server.clone();
        // In a thread of its own, because the test's runtime may be the one that is going down.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&server, &statement))
        });
        drop(dropping.join());
    }
}

async fn run(options: &PgConnectOptions, statement: &str) -> Result<()> {
    let mut connection = options.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.with_context(|| statement.to_owned())?;
    connection.close().await?;
    Ok(())
}

fn report_not_run(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} cannot run: {reason}");
    // Written to the stream itself: what `eprintln!` prints is kept from view while a test passes.
    let line = format!("NOT RUN: {test}: {reason}; `tests/run` provides it\n");
    std::io::stderr().write_all(line.as_bytes()).expect("the standard error stream takes a line");
}
