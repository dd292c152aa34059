//! Poolers between the store and a server.

use crate::{
    place::{Place, SHARDS, Store},
    pooler::Pooler,
    postgres::Database,
    streams::{claim_all, commit, start_in, versions},
};
use anyhow::{Result, bail, ensure};
use saga_event_store::{StoreAccess, StoreError, open};
use std::sync::Arc;

async fn through(pooler: &Pooler) -> Result<Store, StoreError> {
    open(&pooler.address(), StoreAccess::Write { shards: SHARDS }).await
}

pub(crate) async fn a_pooler_in_session_mode_serves_the_store(database: &Database) -> Result<()> {
    let Some(pooler) = Pooler::before(database, "pool_mode = session").await? else { return Ok(()) };
    let store = through(&pooler).await?;
    let epochs = claim_all(&store).await?;
    let writing: Vec<_> = (0..SHARDS)
        .zip(epochs)
        .map(|(shard, epoch)| {
            let (store, row) = (Arc::clone(&store), start_in(shard, epoch, &format!("order-{shard}")));
            tokio::spawn(async move {
                commit(&store, &row).await?;
                versions(&store, row.stream).await
            })
        })
        .collect();
    for written in writing {
        assert_eq!(written.await??, [1]);
    }
    store.heartbeat("engine", 1).await?;
    drop(store);
    through(&pooler).await?;
    Ok(())
}

pub(crate) async fn a_pooler_that_shares_sessions_out_is_refused(database: &Database) -> Result<()> {
    drop((database as &dyn Place).engine().await?);
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = statement",
    ] {
        let Some(pooler) = Pooler::before(database, settings).await? else { return Ok(()) };
        match through(&pooler).await {
            Err(error @ StoreError::Unusable(_)) => {
                ensure!(!error.is_worth_waiting_at_start());
                ensure!(error.to_string().contains("session mode"), "{settings}: {error}");
            }
            other => bail!("{settings}: sessions are shared out, not {other:?}"),
        }
    }
    Ok(())
}

pub(crate) async fn a_database_that_cannot_keep_every_text_is_refused(database: &Database) -> Result<()> {
    let name = format!("{}_latin", database.options().get_database().unwrap_or_default());
    database.run(&format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")).await?;
    let address = crate::postgres::address_of(&database.options().database(&name));
    let opened = open(&address, StoreAccess::Write { shards: SHARDS }).await;
    database.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
    match opened {
        Err(error @ StoreError::Unusable(_)) => ensure!(error.to_string().contains("LATIN1"), "{error}"),
        other => bail!("it is refused, not {other:?}"),
    }
    Ok(())
}

/// A server that takes no writes may be promoted, or another take its place: that is waited for, also at a start.
pub(crate) async fn a_server_that_takes_no_writes_is_waited_for(database: &Database) -> Result<()> {
    let store = (database as &dyn Place).engine().await?;
    let name = database.options().get_database().unwrap_or_default().to_owned();
    database.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await?;
    let opened = (database as &dyn Place).engine().await;
    ensure!(matches!(opened, Err(StoreError::ReadOnly(_))), "{opened:?}");
    // Sessions that were opened before are as they were.
    store.heartbeat("engine", 1).await?;
    let ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'saga' AND datname = current_database()";
    database.run(ending).await?;
    crate::place::until("its sessions are gone, and new ones take no writes", async || {
        Ok(matches!(store.heartbeat("engine", 2).await, Err(StoreError::ReadOnly(_))))
    })
    .await?;
    let mut connection = database.connect().await?;
    sqlx::raw_sql("SET default_transaction_read_only = off").execute(&mut connection).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} RESET default_transaction_read_only")))
        .execute(&mut connection)
        .await?;
    store.heartbeat("engine", 3).await?;
    Ok(())
}
