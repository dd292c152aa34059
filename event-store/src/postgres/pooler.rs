//! Detects a pooler that shares server sessions between clients. In transaction mode each transaction may run in
//! another server session, without the settings that this store applied.

use super::{
    left::timeline,
    pool::{SessionPool, in_task},
    session::{PostgresSession, ServerDurability, changed_under_way},
};
use crate::StoreError;
use std::time::Duration;
use tokio::time::timeout;

/// The code of PgBouncer's answer to `BEGIN` in statement mode.
const PROTOCOL_VIOLATION: &str = "08P01";

/// Checks that two sessions are two on the server as well, while one of them is in a transaction. Then it adds both to
/// the pool. If a pooler passes this check, [`PostgresSession::test`] detects it later. Returns what is known about the
/// server.
///
/// # Errors
/// [`StoreError::Unusable`] when a pooler shares sessions.
pub(super) async fn refuse_shared_sessions(pool: &SessionPool) -> Result<ServerProfile, StoreError> {
    let (one, other) = (pool.open_session().await?, pool.open_session().await?);
    let bound = pool.bounds().connect;
    let (server, one, other) = in_task(look(one, other, bound)).await?;
    pool.add(one);
    pool.add(other);
    Ok(server)
}

/// What the store learns about a server at the start.
#[derive(Debug)]
pub(super) struct ServerProfile {
    pub(super) durability: ServerDurability,
    /// The timeline of its log; `None`: the server does not report it.
    pub(super) timeline: Option<i64>,
}

async fn look(
    mut one: PostgresSession,
    mut other: PostgresSession,
    bound: Duration,
) -> Result<(ServerProfile, PostgresSession, PostgresSession), StoreError> {
    let looking = async {
        require_two(&mut one, &mut other).await?;
        Ok(ServerProfile { durability: one.durability.clone(), timeline: timeline(&mut one).await? })
    };
    let server = timeout(bound, looking).await;
    let server = server
        .map_err(|_| StoreError::Unavailable(format!("two connections did not answer within {bound:?}")))
        .flatten()?;
    Ok((server, one, other))
}

async fn require_two(one: &mut PostgresSession, other: &mut PostgresSession) -> Result<(), StoreError> {
    match are_shared(one, other).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(changed_under_way()),
        Err(error) if refuses_transactions(&error) => Err(changed_under_way()),
        Err(error) => Err(error.into()),
    }
}

async fn are_shared(one: &mut PostgresSession, other: &mut PostgresSession) -> Result<bool, sqlx::Error> {
    let before = one.pid().await?;
    other.run("BEGIN").await?;
    // A pooler tends to give `other` the server session that `one` has just used.
    let beside = other.pid().await?;
    let are_shared = before != one.backend.pid || beside == before || one.pid().await? != before;
    other.run("ROLLBACK").await?;
    Ok(are_shared)
}

fn refuses_transactions(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some(PROTOCOL_VIOLATION)
}
