//! Checks and prepares a database: the schema of this build, the identity of the store, and privileges.

use super::{
    pool::{SessionPool, in_task},
    session::PostgresSession,
};
use crate::{
    StoreAccess, StoreError, StoreIdentity,
    migrate::{self, POSTGRES},
    reads,
};
use sqlx::{Row as _, migrate::AppliedMigration};
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// Maximum time for all missing migrations. It is longer than an index on the journal of a year takes. It has an end
/// because the network may be silent.
const MIGRATING: Duration = Duration::from_secs(30 * 60);

/// Applies missing migrations, and creates the store with this number of shards if it is new.
///
/// # Errors
/// As [`super::PostgresStore::open`].
pub(super) async fn prepare(pool: &SessionPool, shards: u16) -> Result<StoreIdentity, StoreError> {
    let session = pool.open_session().await?;
    in_task(async move { timeout(MIGRATING, migrate(session)).await.unwrap_or_else(|_| Err(took_too_long())) }).await?;
    create(pool, shards).await
}

/// The identity of an existing store, for a reader. Changes nothing.
///
/// # Errors
/// [`StoreError::Schema`] when there is no store, or migrations are missing.
pub(super) async fn look(pool: &SessionPool) -> Result<StoreIdentity, StoreError> {
    let nothing_yet = || StoreError::Schema("the database has no event store yet: start the engine once".into());
    let applied = applied(pool).await?.ok_or_else(nothing_yet)?;
    migrate::complete(&POSTGRES, &applied)?;
    existing(pool).await
}

/// Checks the privileges of the role at the start, so that the first append does not fail by them.
///
/// # Errors
/// [`StoreError::Unusable`] lists the missing privileges.
pub(super) async fn check_privileges(pool: &SessionPool, access: StoreAccess) -> Result<(), StoreError> {
    let query = sqlx::query(include_str!("sql/missing_privileges.sql")).bind(access != StoreAccess::Read);
    match pool.row(query).await?.try_get::<Option<String>, _>("missing")? {
        None => Ok(()),
        Some(missing) => Err(StoreError::Unusable(format!("the role lacks privileges: grant it {missing}"))),
    }
}

/// Runs the migrator only if a migration is missing, because the migrator needs the privilege to create tables.
async fn migrate(mut session: PostgresSession) -> Result<(), StoreError> {
    let applied = migrate::applied(&mut session.connection).await?.unwrap_or_default();
    if migrate::missing(&POSTGRES, &applied)?.is_none() {
        return Ok(());
    }
    sqlx::raw_sql(include_str!("sql/migrating.sql")).execute(&mut session.connection).await?;
    migrate::run(&POSTGRES, &mut session.connection).await
}

fn took_too_long() -> StoreError {
    StoreError::Unavailable(format!("the schema was not migrated within {MIGRATING:?}"))
}

/// The applied migrations; `None`: the database has no event store yet.
async fn applied(pool: &SessionPool) -> Result<Option<Vec<AppliedMigration>>, StoreError> {
    let mut session = pool.open_session().await?;
    let bound = pool.bounds().call;
    let looking = async move {
        let applied = migrate::applied(&mut session.connection).await?;
        Ok((session, applied))
    };
    let (session, applied) = in_task(async move {
        let looked = timeout(bound, looking).await;
        looked.unwrap_or_else(|_| Err(StoreError::Unavailable(format!("the schema was not read within {bound:?}"))))
    })
    .await?;
    pool.add(session);
    Ok(applied)
}

async fn create(pool: &SessionPool, shards: u16) -> Result<StoreIdentity, StoreError> {
    let creating = sqlx::query(include_str!("sql/create.sql")).bind(Uuid::new_v4()).bind(i32::from(shards));
    pool.rows(creating).await?;
    existing(pool).await?.with_shards(shards)
}

async fn existing(pool: &SessionPool) -> Result<StoreIdentity, StoreError> {
    let identity = reads::identity(pool).await?;
    identity.ok_or_else(|| StoreError::Schema("the event store is not complete: start the engine once".into()))
}
