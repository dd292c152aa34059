//! What can happen between a store and a server.

use crate::{
    place::{Place, SHARDS, Store, until},
    postgres::Database,
    proxy::Proxy,
    streams::{SHARD, after, append, claim, commit, start, versions},
};
use anyhow::{Result, bail, ensure};
use saga_event_store::{AppendOutcome, ShardEpoch, StoreAccess, StoreError, StreamAppend, open};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The same words as [`dyn Place`] has them.
async fn engine(database: &Database) -> Result<Store, StoreError> {
    (database as &dyn Place).engine().await
}

fn append_beside(store: &Store, row: &StreamAppend) -> JoinHandle<Result<Vec<AppendOutcome>, StoreError>> {
    let (store, row) = (Arc::clone(store), row.clone());
    tokio::spawn(async move { store.append(&[row]).await })
}

/// Sessions of the store that wait for the lock of a shard.
const WAITING: &str = "FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'saga'
        AND wait_event_type = 'Lock' AND wait_event = 'advisory'";

async fn until_one_waits(database: &Database) -> Result<()> {
    until(
        "a session waits for a shard",
        async || Ok(database.number(&format!("SELECT count(*) {WAITING}")).await? == 1),
    )
    .await
}

/// A session that has begun, and holds what claims hold.
async fn claiming(database: &Database) -> Result<PgConnection> {
    let mut session = database.connect().await?;
    sqlx::raw_sql("BEGIN").execute(&mut session).await?;
    sqlx::query("SELECT claim_shard($1, 'another engine', 0)").bind(i32::from(SHARD)).execute(&mut session).await?;
    Ok(session)
}

async fn end(mut session: PgConnection, how: &'static str) -> Result<()> {
    sqlx::raw_sql(how).execute(&mut session).await?;
    Ok(session.close().await?)
}

/// Epochs are read by a statement after the locks: one that was begun before would still see the old epoch.
pub(crate) async fn an_append_that_waited_for_a_claim_is_fenced(database: &Database) -> Result<()> {
    is_fenced_after_waiting(database).await
}

/// With such a default the snapshot would be older than the locks, and the epoch that it shows too.
pub(crate) async fn the_fence_holds_whatever_isolation_is_the_default(database: &Database) -> Result<()> {
    let options = database.options();
    let name = options.get_database().unwrap_or_default();
    for isolation in ["repeatable read", "serializable"] {
        database.run(&format!("ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'")).await?;
        is_fenced_after_waiting(database).await?;
    }
    Ok(())
}

async fn is_fenced_after_waiting(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let first = start(claim(&store).await?, "order-1");
    let session = claiming(database).await?;
    let appending = append_beside(&store, &first);
    until_one_waits(database).await?;
    end(session, "COMMIT").await?;
    assert_eq!(appending.await??, [AppendOutcome::Fenced]);
    assert_eq!(store.read(first.stream).await?, []);
    Ok(())
}

pub(crate) async fn a_claim_waits_for_what_is_under_way(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    claim(&store).await?;
    let mut session = database.connect().await?;
    sqlx::raw_sql("BEGIN; SELECT pg_advisory_xact_lock_shared(1396786001, 3)").execute(&mut session).await?;
    let claiming = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.claim(SHARD, "engine").await }
    });
    until_one_waits(database).await?;
    assert_eq!(database.number("SELECT epoch FROM shard_epochs WHERE shard = 3").await?, 1);
    end(session, "COMMIT").await?;
    assert_eq!(claiming.await??, ShardEpoch(2));
    Ok(())
}

pub(crate) async fn an_append_is_repeated_when_its_connection_was_cut(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let epoch = claim(&store).await?;
    for round in 0..5 {
        let row = start(epoch, &format!("order-{round}"));
        let session = claiming(database).await?;
        let appending = append_beside(&store, &row);
        until_one_waits(database).await?;
        database.number(&format!("SELECT count(pg_terminate_backend(pid)) {WAITING}")).await?;
        passes(appending.await?)?;
        end(session, "ROLLBACK").await?;
        commit(&store, &row).await?;
        assert_eq!(versions(&store, row.stream).await?, [1]);
    }
    Ok(())
}

/// That it was not done, for a reason that goes away by itself.
fn passes<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> Result<()> {
    match answer {
        Err(error) if error.is_transient() => Ok(()),
        other => bail!("a passing fault is said to be one, not {other:?}"),
    }
}

pub(crate) async fn a_commit_whose_answer_was_lost_is_recognised(database: &Database) -> Result<()> {
    let options = database.options();
    let proxy = Proxy::to((options.get_host().to_owned(), options.get_port()), b"nobody hears of it").await?;
    let way = options.host("127.0.0.1").port(proxy.port()).to_url_lossy().to_string();
    let through = open(&way, StoreAccess::Write { shards: SHARDS }).await?;
    let store = engine(database).await?;
    let mut last = start(claim(&store).await?, "order-1");
    commit(&store, &last).await?;
    for version in 2..=6 {
        last = StreamAppend { payload: b"nobody hears of it".to_vec(), ..after(&last) };
        passes(through.append(std::slice::from_ref(&last)).await)?;
        assert_eq!((database as &dyn Place).rows("journal").await?, version, "it was committed all the same");
        commit(&store, &last).await?;
    }
    assert_eq!(versions(&store, last.stream).await?, [1, 2, 3, 4, 5, 6]);
    Ok(())
}

pub(crate) async fn a_lock_that_is_held_too_long_passes(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let row = start(claim(&store).await?, "order-1");
    let session = claiming(database).await?;
    passes(store.append(std::slice::from_ref(&row)).await)?;
    end(session, "ROLLBACK").await?;
    commit(&store, &row).await
}

pub(crate) async fn a_batch_that_the_database_refuses_is_not_written(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let epoch = claim(&store).await?;
    database.run("ALTER TABLE journal ADD CHECK (octet_length(payload) < 1000)").await?;
    let (good, bad) = (start(epoch, "order-1"), StreamAppend { payload: vec![0; 1000], ..start(epoch, "order-2") });
    match store.append(&[good.clone(), bad]).await {
        Err(error @ StoreError::Refused(_)) => ensure!(!error.is_transient()),
        other => bail!("the database refuses, not {other:?}"),
    }
    assert_eq!(database.number("SELECT count(*) FROM stream_keys").await?, 0);
    commit(&store, &good).await
}

pub(crate) async fn many_first_starts_migrate_once(database: &Database) -> Result<()> {
    let address = database.address().to_owned();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move { open(&address, StoreAccess::Write { shards: SHARDS }).await })
        })
        .collect();
    let mut stores = Vec::new();
    for starting in starts {
        stores.push(starting.await??);
    }
    let identity = stores[0].identity();
    ensure!(stores.iter().all(|store| store.identity() == identity), "they opened one store");
    let row = start(claim(&stores[7]).await?, "order-1");
    assert_eq!(append(&stores[0], &row).await?, AppendOutcome::Committed);
    Ok(())
}

pub(crate) async fn what_a_server_refuses_at_a_start_is_not_waited_for(database: &Database) -> Result<()> {
    let options = database.options();
    refuses(options.clone().database("no_such_database"), "no_such_database").await?;
    refuses(options.username("no_such_role").password("a-secret"), "no_such_role").await
}

/// A start is told so at once, with the place and without the secret.
async fn refuses(options: PgConnectOptions, what: &str) -> Result<()> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    match open(options.to_url_lossy().as_str(), StoreAccess::Write { shards: SHARDS }).await {
        Err(error @ StoreError::Unusable(_)) if !error.is_worth_waiting_at_start() => {
            let text = error.to_string();
            ensure!(text.contains(&place) && text.contains(what) && !text.contains("a-secret"), "{text}");
        }
        other => bail!("the server refuses, not {other:?}"),
    }
    Ok(())
}

/// Nothing is wrong with the row: it is written when somebody has given the privilege back, or the function its name.
pub(crate) async fn what_is_taken_from_a_running_store_is_waited_for(database: &Database) -> Result<()> {
    drop(engine(database).await?);
    let role = Role::create(database).await?;
    let store = open(&role.address, StoreAccess::Write { shards: SHARDS }).await?;
    let row = start(claim(&store).await?, "order-1");
    database.run(&format!("REVOKE INSERT ON journal FROM {}", role.name)).await?;
    denied(store.append(std::slice::from_ref(&row)).await, "journal")?;
    denied(open(&role.address, StoreAccess::Write { shards: SHARDS }).await, "INSERT on journal")?;
    database.run(&format!("GRANT INSERT ON journal TO {}", role.name)).await?;
    database.run("ALTER TABLE journal RENAME TO journal_of_another").await?;
    denied(store.read(row.stream).await, "journal")?;
    database.run("ALTER TABLE journal_of_another RENAME TO journal").await?;
    commit(&store, &row).await?;
    drop(store);
    role.drop().await
}

fn denied<T: std::fmt::Debug>(answer: Result<T, StoreError>, what: &str) -> Result<()> {
    match answer {
        Err(error @ StoreError::Unusable(_)) if error.is_transient() => {
            ensure!(error.to_string().contains(what), "{error}");
        }
        other => bail!("the database cannot be used, not {other:?}"),
    }
    Ok(())
}

/// A role that may do all that an engine does.
struct Role<'a> {
    database: &'a Database,
    name: String,
    address: String,
}

impl Role<'_> {
    async fn create(database: &Database) -> Result<Role<'_>> {
        let name = format!("saga_role_{}", uuid::Uuid::new_v4().simple());
        let grants =
            format!("GRANT ALL ON SCHEMA public TO {name}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}");
        database.run(&format!("CREATE ROLE {name} LOGIN PASSWORD 'a-secret'; {grants}")).await?;
        let address = database.options().username(&name).password("a-secret").to_url_lossy().to_string();
        Ok(Role { database, name, address })
    }

    async fn drop(self) -> Result<()> {
        self.database.run(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name)).await
    }
}

pub(crate) async fn a_server_that_is_away_passes(database: &Database) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let nobody = listener.local_addr()?.port();
    drop(listener);
    let away = database.options().host("127.0.0.1").port(nobody).to_url_lossy().to_string();
    passes(open(&away, StoreAccess::Write { shards: SHARDS }).await)
}

/// A value that is kept out of its row, as large ones are, and that nothing makes small enough.
fn large(append: StreamAppend) -> StreamAppend {
    let payload = (0..1024).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
    StreamAppend { payload, ..append }
}

/// As a broken disk leaves it: the row is there, a piece of its value is gone. `false`: the server has not the means.
async fn damages_the_value_of(database: &Database, stream: uuid::Uuid) -> Result<bool> {
    if database.number("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_surgery'").await? == 0 {
        return Ok(false);
    }
    database.run("CREATE EXTENSION IF NOT EXISTS pg_surgery").await?;
    let damage = format!(
        "DO $$ DECLARE v_toast regclass; v_chunk tid; BEGIN
            SELECT c.reltoastrelid::regclass INTO v_toast FROM pg_class c
                WHERE c.oid = (SELECT DISTINCT j.tableoid FROM journal j WHERE j.stream = '{stream}');
            EXECUTE format('SELECT t.ctid FROM %s t WHERE t.chunk_seq = 0 ORDER BY t.chunk_id OFFSET (
                SELECT count(*) FROM journal j WHERE j.stream < ''{stream}'') LIMIT 1', v_toast) INTO v_chunk;
            PERFORM heap_force_kill(v_toast, ARRAY[v_chunk]);
        END $$"
    );
    database.run(&damage).await?;
    Ok(true)
}

pub(crate) async fn one_damaged_value_is_told_apart_and_hinders_no_other(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let epoch = claim(&store).await?;
    let [first, damaged, last] = ["order-1", "order-2", "order-3"].map(|key| large(start(epoch, key)));
    for row in [&first, &damaged, &last] {
        commit(&store, row).await?;
    }
    if !damages_the_value_of(database, damaged.stream).await? {
        return Ok(());
    }
    let together = store.read_within(&[first.stream, damaged.stream, last.stream], 1 << 20).await;
    ensure!(together.as_ref().is_err_and(StoreError::is_damage), "{together:?}");
    let alone = store.read(damaged.stream).await;
    ensure!(alone.as_ref().is_err_and(StoreError::is_damage), "{alone:?}");
    for other in [&first, &last] {
        assert_eq!(versions(&store, other.stream).await?, [1]);
    }
    // What is not damaged is written, beside it and behind it.
    commit(&store, &after(&damaged)).await?;
    commit(&store, &after(&last)).await
}
