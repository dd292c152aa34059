//! The store on Postgres 13 or newer.

mod attendance;
mod notes;
mod rows;

use crate::{
    Access, Activity, Append, Appended, Attendance, Attended, Epoch, Error, EventStore, Filter, Identity, MAX_PAGE,
    NewNote, Note, NoteNumber, Portion, Row, StreamSummary, Sweep, Swept, Waiting, WaitsOn,
    attendance::check_attended,
    migrate::{self, Applied, Migration},
    note::check_note,
    store::without_secret,
    stream::{Budget, check_batch, check_claim, check_streams, check_sweep, check_texts, has_nul, in_order},
    waits,
};
use async_trait::async_trait;
use rows::{bind_batch, read_answer, read_row, read_summary};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgExecutor, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};
use uuid::Uuid;

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("../migrations/postgres/0001_event_store.sql") },
    Migration { version: 2, sql: include_str!("../migrations/postgres/0002_notes.sql") },
    Migration { version: 3, sql: include_str!("../migrations/postgres/0003_waits_on.sql") },
    Migration { version: 4, sql: include_str!("../migrations/postgres/0004_attendance.sql") },
];

/// Connections of one engine: two committers, claims and recovery, and a few readers.
const CONNECTIONS: u32 = 8;
/// How long a caller waits for a connection before the database counts as away.
const ACQUIRE: Duration = Duration::from_secs(5);

/// A connection that was used so recently is not asked whether it lives: under load that would be a second round trip of every append, and
/// what finds it dead is told that the fault passes.
const TRUSTED: Duration = Duration::from_secs(1);
/// What Postgres says of a table that is not there.
const UNDEFINED_TABLE: &str = "42P01";

/// A store on Postgres.
///
/// Every call but the migration is a single statement, and so a transaction of its own: sqlx's `begin` may leave a transaction open when
/// its future is dropped (0.9.0), a single statement cannot.
#[derive(Debug)]
pub struct Postgres {
    pool: PgPool,
    identity: Identity,
    access: Access,
}

impl Postgres {
    /// Opens the store; see [`crate::open`].
    ///
    /// # Errors
    /// As [`crate::open`].
    pub async fn open(address: &str, access: Access) -> Result<Postgres, Error> {
        let options = PgConnectOptions::from_str(address).map_err(|_| Error::Address(without_secret(address)))?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .before_acquire(|connection, used| Box::pin(test_if_idle(connection, used.idle_for)))
            .connect_with(options.application_name("saga").options(session_settings(access)))
            .await?;
        let identity = match access {
            Access::Write { shards } => {
                let migrating = pool.clone();
                // A task of its own: whoever waits for it may go away without leaving its transaction open.
                let task = tokio::spawn(async move { migrate(&migrating).await });
                task.await.map_err(|error| Error::Schema(format!("the migration broke off: {error}")))??;
                create(&pool, shards).await?
            }
            Access::Read => {
                migrate::complete(MIGRATIONS, &applied(&pool).await.map_err(nothing_yet)?)?;
                existing(&pool).await?
            }
        };
        check_privileges(&pool, access).await?;
        Ok(Postgres { pool, identity, access })
    }

    fn check_writable(&self) -> Result<(), Error> {
        match self.access {
            Access::Write { .. } => Ok(()),
            Access::Read => Err(Error::Refused("the store was opened to read".into())),
        }
    }
}

async fn test_if_idle(connection: &mut PgConnection, idle: Duration) -> Result<bool, sqlx::Error> {
    if idle > TRUSTED {
        connection.ping().await?;
    }
    Ok(true)
}

/// Bounds on what one statement may do to the others, and what holds whatever the server, the database and the role have as defaults.
fn session_settings(access: Access) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("synchronous_commit", "on"),
        // The fence: in one transaction, what is read after a lock has to show what was committed while it was waited for.
        ("default_transaction_isolation", "read committed"),
    ];
    if access == Access::Read {
        settings.push(("default_transaction_read_only", "on"));
    }
    settings
}

async fn migrate(pool: &PgPool) -> Result<(), Error> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(include_str!("postgres/sql/begin_migration.sql")).execute(&mut *transaction).await?;
    sqlx::raw_sql(include_str!("postgres/sql/schema_versions.sql")).execute(&mut *transaction).await?;
    for migration in migrate::missing(MIGRATIONS, &applied(&mut *transaction).await?)? {
        sqlx::raw_sql(AssertSqlSafe(migration.sql)).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO schema_versions (version, checksum) VALUES ($1, $2)")
            .bind(migration.version)
            .bind(migration.checksum())
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn applied(executor: impl PgExecutor<'_>) -> Result<Vec<Applied>, sqlx::Error> {
    let rows = sqlx::query("SELECT version, checksum FROM schema_versions").fetch_all(executor).await?;
    rows.iter()
        .map(|row| Ok(Applied { version: row.try_get("version")?, checksum: row.try_get("checksum")? }))
        .collect()
}

/// Whether all that the store does is allowed: said at the start, and not by the first append.
async fn check_privileges(pool: &PgPool, access: Access) -> Result<(), Error> {
    let row = sqlx::query(include_str!("postgres/sql/missing_privileges.sql"))
        .bind(access != Access::Read)
        .fetch_one(pool)
        .await?;
    match row.try_get::<Option<String>, _>("missing")? {
        None => Ok(()),
        Some(missing) => Err(Error::Unusable(format!("the role lacks privileges: grant it {missing}"))),
    }
}

async fn create(pool: &PgPool, shards: u16) -> Result<Identity, Error> {
    sqlx::query("INSERT INTO installation (id, shards) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(Uuid::new_v4())
        .bind(i32::from(shards))
        .execute(pool)
        .await?;
    let identity = existing(pool).await?;
    if identity.shards != shards {
        return Err(Error::Shards { stored: identity.shards, configured: shards });
    }
    Ok(identity)
}

async fn existing(pool: &PgPool) -> Result<Identity, Error> {
    let row = sqlx::query("SELECT id, shards FROM installation").fetch_optional(pool).await.map_err(nothing_yet)?;
    let row = row.ok_or_else(|| Error::Schema("the event store is not complete: start the engine once".into()))?;
    let shards: i32 = row.try_get("shards")?;
    let shards = u16::try_from(shards).map_err(|_| Error::Schema(format!("the store says {shards} shards")))?;
    Ok(Identity { installation: row.try_get("id")?, shards })
}

fn nothing_yet(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    if code.as_deref() == Some(UNDEFINED_TABLE) {
        Error::Schema("the database has no event store yet: start the engine once".into())
    } else {
        error.into()
    }
}

#[async_trait]
impl EventStore for Postgres {
    fn identity(&self) -> Identity {
        self.identity
    }

    async fn claim(&self, shard: u16, owner: &str) -> Result<Epoch, Error> {
        self.check_writable()?;
        check_claim(shard, self.identity.shards, owner)?;
        let row = sqlx::query("SELECT claim_shard($1, $2) AS epoch")
            .bind(i32::from(shard))
            .bind(owner)
            .fetch_one(&self.pool)
            .await?;
        Ok(Epoch(row.try_get("epoch")?))
    }

    async fn attend(&self, all: &[Attended]) -> Result<(), Error> {
        self.check_writable()?;
        check_attended(all)?;
        attendance::attend(&self.pool, all).await
    }

    async fn attendance(&self, shard: u16) -> Result<Attendance, Error> {
        attendance::attendance(&self.pool, shard).await
    }

    async fn clock_ms(&self) -> Result<i64, Error> {
        attendance::clock_ms(&self.pool).await
    }

    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, Error> {
        self.check_writable()?;
        check_batch(batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let rows = bind_batch(batch).fetch_all(&self.pool).await?;
        let mut answers = vec![Appended::Committed; batch.len()];
        for row in &rows {
            let (position, answer) = read_answer(row)?;
            if let Some(slot) = answers.get_mut(position) {
                *slot = answer;
            }
        }
        Ok(answers)
    }

    async fn read(&self, stream: Uuid) -> Result<Vec<Row>, Error> {
        let rows = sqlx::query(
            "SELECT version, recorded_at, append_id, payload FROM journal WHERE stream = $1 ORDER BY version",
        )
        .bind(stream)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_row).collect()
    }

    async fn read_many(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, Row)>, Error> {
        check_streams(streams)?;
        let rows = sqlx::query(include_str!("postgres/sql/read_many.sql")).bind(streams).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get("stream")?, read_row(row)?))).collect()
    }

    async fn read_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<Portion, Error> {
        check_streams(streams)?;
        let mut reached = in_order(streams);
        let sizes = sqlx::query(include_str!("postgres/sql/sizes.sql")).bind(&reached).fetch_all(&self.pool).await?;
        let mut budget = Budget::of(max_bytes);
        let mut left = Vec::new();
        for size in &sizes {
            if !budget.takes(size.try_get("bytes")?) {
                let next: Uuid = size.try_get("stream")?;
                left = reached.split_off(reached.partition_point(|stream| *stream < next));
                break;
            }
        }
        Ok(Portion { rows: self.read_many(&reached).await?, left })
    }

    async fn open_streams(&self, shard: u16, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, Error> {
        let rows = sqlx::query(include_str!("postgres/sql/open_streams.sql"))
            .bind(i32::from(shard))
            .bind(after.unwrap_or(Uuid::nil()))
            .bind(i64::from(limit.min(MAX_PAGE)))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("stream")?)).collect()
    }

    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, Error> {
        let row = sqlx::query(include_str!("postgres/sql/summary.sql")).bind(stream).fetch_optional(&self.pool).await?;
        row.as_ref().map(read_summary).transpose()
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<StreamSummary>, Error> {
        if filter.finds_nothing() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(include_str!("postgres/sql/list.sql"))
            .bind(filter.known_statuses())
            .bind(&filter.category)
            .bind(&filter.key)
            .bind(filter.before)
            .bind(i64::from(filter.limit.min(MAX_PAGE)))
            .bind(filter.waiting.as_ref().map(Waiting::part))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read_summary).collect()
    }

    async fn counts(&self) -> Result<Vec<(String, String, i64)>, Error> {
        let rows = sqlx::query("SELECT category, status, count(*) AS streams FROM streams GROUP BY 1, 2 ORDER BY 1, 2")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("category")?, row.try_get("status")?, row.try_get("streams")?))).collect()
    }

    async fn waiting_counts(&self) -> Result<Vec<(WaitsOn, i64)>, Error> {
        let rows = sqlx::query(waits::COUNTS).fetch_all(&self.pool).await?;
        let stored = rows.iter().map(|row| Ok((row.try_get("waits_on")?, row.try_get("streams")?)));
        Ok(waits::counted(stored.collect::<Result<Vec<_>, Error>>()?))
    }

    async fn forget_keys(&self, sweep: &Sweep) -> Result<Swept, Error> {
        self.check_writable()?;
        let limit = check_sweep(sweep)?;
        let row = sqlx::query(include_str!("postgres/sql/forget_keys.sql"))
            .bind(&sweep.category)
            // No key is empty.
            .bind(sweep.after.as_deref().unwrap_or_default())
            .bind(sweep.ended_before_ms)
            .bind(i64::from(limit))
            .fetch_one(&self.pool)
            .await?;
        let forgotten: i64 = row.try_get("forgotten")?;
        Ok(Swept::page(forgotten.unsigned_abs(), row.try_get("looked_at")?, row.try_get("last_key")?, limit))
    }

    async fn put_document(&self, kind: &str, hash: &str, body: &str) -> Result<(), Error> {
        self.check_writable()?;
        check_texts([kind, hash, body])?;
        sqlx::query("INSERT INTO documents (kind, hash, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(kind)
            .bind(hash)
            .bind(body)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, Error> {
        if has_nul(kind) || has_nul(hash) {
            return Ok(None);
        }
        let row = sqlx::query("SELECT body FROM documents WHERE kind = $1 AND hash = $2")
            .bind(kind)
            .bind(hash)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(row.try_get("body")?)).transpose()
    }

    async fn add_note(&self, note: &NewNote) -> Result<NoteNumber, Error> {
        self.check_writable()?;
        check_note(note)?;
        notes::add(&self.pool, note).await
    }

    async fn notes(&self, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<Note>, Error> {
        notes::page(&self.pool, topic, after, limit).await
    }

    async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn activity(&self) -> Result<Activity, Error> {
        let row = sqlx::query(include_str!("postgres/sql/activity.sql")).fetch_one(&self.pool).await?;
        Ok(Activity { commits: row.try_get("commits")?, wal_bytes: row.try_get("wal_bytes")? })
    }
}
