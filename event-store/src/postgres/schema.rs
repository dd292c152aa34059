//! What the database has to have: this build's schema, an identity, and privileges.

use super::{
    pool::{Pool, in_task},
    session::Session,
};
use crate::{
    Access, Error, Identity,
    migrate::{self, Applied, Migration},
};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, postgres::PgRow};
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, sql: include_str!("../../migrations/postgres/0001_event_store.sql") }];

/// For all that is missing of a schema: longer than it takes to build an index on the journal of a year, and not for ever, because the way
/// to the server may be silent.
const MIGRATING: Duration = Duration::from_secs(30 * 60);

/// Makes the database one of this build with so many shards, if it is not yet.
///
/// # Errors
/// As [`super::Postgres::open`].
pub(super) async fn prepare(pool: &Pool, shards: u16) -> Result<Identity, Error> {
    if !migrate::missing(MIGRATIONS, &applied(pool).await?.unwrap_or_default())?.is_empty() {
        let session = pool.open_session().await?;
        in_task(async move { timeout(MIGRATING, migrate(session)).await.unwrap_or_else(|_| Err(took_too_long())) })
            .await?;
    }
    create(pool, shards).await
}

/// The identity of a store that is there, for one who only reads.
///
/// # Errors
/// When there is none, or it lacks migrations.
pub(super) async fn look(pool: &Pool) -> Result<Identity, Error> {
    let nothing_yet = || Error::Schema("the database has no event store yet: start the engine once".into());
    let applied = applied(pool).await?.ok_or_else(nothing_yet)?;
    migrate::complete(MIGRATIONS, &applied)?;
    existing(pool).await
}

/// Whether all that the store does is allowed: said at the start, and not by the first append.
///
/// # Errors
/// Which privileges are missing.
pub(super) async fn check_privileges(pool: &Pool, access: Access) -> Result<(), Error> {
    let query = sqlx::query(include_str!("sql/missing_privileges.sql")).bind(access != Access::Read);
    match pool.row(query).await?.try_get::<Option<String>, _>("missing")? {
        None => Ok(()),
        Some(missing) => Err(Error::Unusable(format!("the role lacks privileges: grant it {missing}"))),
    }
}

async fn migrate(mut session: Session) -> Result<(), Error> {
    let mut transaction = session.connection.begin().await?;
    sqlx::raw_sql(include_str!("sql/begin_migration.sql")).execute(&mut *transaction).await?;
    sqlx::raw_sql(include_str!("sql/schema_versions.sql")).execute(&mut *transaction).await?;
    let rows = sqlx::query(APPLIED).fetch_all(&mut *transaction).await?;
    for migration in migrate::missing(MIGRATIONS, &read_applied(&rows)?)? {
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

fn took_too_long() -> Error {
    Error::Unavailable(format!("the schema was not migrated within {MIGRATING:?}"))
}

const APPLIED: &str = "SELECT version, checksum FROM schema_versions";

/// `None`: there is no event store yet.
async fn applied(pool: &Pool) -> Result<Option<Vec<Applied>>, Error> {
    let there = pool.row(sqlx::query("SELECT to_regclass('schema_versions') IS NOT NULL AS there")).await?;
    if !there.try_get("there")? {
        return Ok(None);
    }
    Ok(Some(read_applied(&pool.rows(sqlx::query(APPLIED)).await?)?))
}

fn read_applied(rows: &[PgRow]) -> Result<Vec<Applied>, sqlx::Error> {
    rows.iter()
        .map(|row| Ok(Applied { version: row.try_get("version")?, checksum: row.try_get("checksum")? }))
        .collect()
}

async fn create(pool: &Pool, shards: u16) -> Result<Identity, Error> {
    let creating = sqlx::query("INSERT INTO installation (id, shards) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(Uuid::new_v4())
        .bind(i32::from(shards));
    pool.rows(creating).await?;
    let identity = existing(pool).await?;
    if identity.shards != shards {
        return Err(Error::Shards { stored: identity.shards, configured: shards });
    }
    Ok(identity)
}

async fn existing(pool: &Pool) -> Result<Identity, Error> {
    let rows = pool.rows(sqlx::query("SELECT id, shards FROM installation")).await?;
    let row =
        rows.first().ok_or_else(|| Error::Schema("the event store is not complete: start the engine once".into()))?;
    let shards: i32 = row.try_get("shards")?;
    let shards = u16::try_from(shards).map_err(|_| Error::Schema(format!("the store says {shards} shards")))?;
    Ok(Identity { installation: row.try_get("id")?, shards })
}
