//! A way to the server that goes silent: nothing arrives, and nothing is refused or closed.

use crate::{
    place::{Place, SHARDS, Store},
    postgres::Database,
    proxy::{Passage, Proxy},
    streams::{SHARD, after, claim, commit, start, versions},
};
use anyhow::{Result, ensure};
use saga_event_store::{
    AppendOutcome, StoreAccess, StoreError, StreamAppend, open,
    postgres::{PostgresStore, PostgresTimeouts},
};
use sqlx::ConnectOptions as _;
use std::{sync::Arc, time::Duration};

/// Short, so that the suite is quick, and much longer than any of them takes.
const BOUNDS: PostgresTimeouts = PostgresTimeouts {
    call: Duration::from_secs(1),
    connect: Duration::from_secs(1),
    test: Duration::from_millis(500),
    acquire: Duration::from_secs(1),
};

/// All that one call may take: a session is waited for, tested, opened, and asked.
const WITHIN: Duration = Duration::from_secs(5);

async fn way_to(database: &Database) -> Result<(Proxy, Store)> {
    let options = database.options();
    let proxy = Proxy::to((options.get_host().to_owned(), options.get_port()), b"nothing is lost on this way").await?;
    let address = options.host("127.0.0.1").port(proxy.port()).to_url_lossy().to_string();
    let store = PostgresStore::open_within(&address, StoreAccess::Write { shards: SHARDS }, BOUNDS).await?;
    Ok((proxy, Arc::new(store)))
}

/// As a committer does it: the same bytes until they are answered. How often they had to be sent.
async fn commit_in_the_end(store: &Store, row: &StreamAppend) -> Result<u32> {
    for tries in 1.. {
        match tokio::time::timeout(WITHIN, store.append(std::slice::from_ref(row))).await? {
            Ok(answers) => {
                ensure!(answers == [AppendOutcome::Committed], "{answers:?}");
                return Ok(tries);
            }
            Err(StoreError::Unavailable(_)) => {}
            Err(other) => anyhow::bail!("a silence passes, not {other:?}"),
        }
    }
    unreachable!("tries are counted for ever")
}

async fn is_unavailable_in_time(store: &Store, row: &StreamAppend) -> Result<()> {
    let answer = tokio::time::timeout(WITHIN, store.append(std::slice::from_ref(row))).await;
    ensure!(matches!(answer, Ok(Err(StoreError::Unavailable(_)))), "{answer:?}");
    Ok(())
}

/// In whichever direction: each call ends within its bound, and what was tried meanwhile is committed once when the way
/// is back.
pub(crate) async fn a_call_into_silence_ends_within_its_bound(database: &Database) -> Result<()> {
    let (proxy, store) = way_to(database).await?;
    let mut last = start(claim(&store).await?, "order-1");
    commit(&store, &last).await?;
    for silence in [Passage::Silent, Passage::NoAnswers, Passage::NoRequests] {
        last = after(&last);
        proxy.set(silence);
        is_unavailable_in_time(&store, &last).await?;
        // By now no session is left: this one cannot be opened.
        is_unavailable_in_time(&store, &last).await?;
        proxy.set(Passage::Open);
        commit_in_the_end(&store, &last).await?;
        ensure!(store.read(last.stream).await?.last().map(|row| row.append_id) == Some(last.append_id));
    }
    assert_eq!(versions(&store, last.stream).await?, [1, 2, 3, 4]);
    Ok(())
}

/// A firewall that forgot: what is open is dead, what is new works. One expiry is enough for all sessions that rest.
pub(crate) async fn all_sessions_are_replaced_when_one_does_not_answer(database: &Database) -> Result<()> {
    let (proxy, store) = way_to(database).await?;
    let epoch = claim(&store).await?;
    let reading: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.read(uuid::Uuid::nil()).await })
        })
        .collect();
    for read in reading {
        read.await??;
    }
    proxy.set(Passage::OldOnesSilent);
    let row = start(epoch, "order-1");
    let tries = commit_in_the_end(&store, &row).await?;
    ensure!(tries <= 2, "the first may have met a session that was used just now: {tries} tries");
    Ok(())
}

/// A server process that waits for its client keeps its transaction open, and what that holds: nothing else would end
/// it while the way is silent.
pub(crate) async fn what_was_given_up_holds_nobody_up(database: &Database) -> Result<()> {
    let (proxy, store) = way_to(database).await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    let mut last = first.clone();
    for _ in 0..4 {
        // Large answers fill what lies between, and the server waits for its client with the statement open.
        last = StreamAppend { payload: vec![7; 4 << 20], ..after(&last) };
        commit(&store, &last).await?;
    }
    // The session that is used next was tested just now and knows the statement, so that it is the read's answer that
    // meets the silence.
    store.read(uuid::Uuid::nil()).await?;
    proxy.set(Passage::NoAnswers);
    let reading = tokio::time::timeout(WITHIN, store.read(first.stream)).await?;
    ensure!(matches!(reading, Err(StoreError::Unavailable(_))), "{reading:?}");
    ensure!(database.number(STUCK).await? > 0, "the server waits for a client that went away");
    proxy.set(Passage::OldOnesSilent);
    store.claim(SHARD, "engine").await?;
    crate::place::until("what was given up is ended", async || Ok(database.number(STUCK).await? == 0)).await
}

/// Sessions that wait for their client to take an answer.
const STUCK: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'saga'
        AND state = 'active' AND wait_event = 'ClientWrite'";

/// The server's own bounds, for sessions whose engine is gone with its machine.
pub(crate) async fn sessions_have_the_settings_that_the_store_relies_on(database: &Database) -> Result<()> {
    let name = database.options().get_database().unwrap_or_default().to_owned();
    for setting in
        ["synchronous_commit = off", "default_transaction_isolation = 'serializable'", "statement_timeout = 0"]
    {
        database.run(&format!("ALTER DATABASE {name} SET {setting}")).await?;
    }
    let store = open(database.address(), StoreAccess::Write { shards: SHARDS }).await?;
    store.heartbeat("engine", 1).await?;
    // A function that tells from within an append what holds there.
    database
        .run(
            "CREATE TABLE told (name text, setting text);
             CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO told SELECT name, setting FROM pg_settings; RETURN NEW; END $$;
             CREATE TRIGGER tell BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION tell()",
        )
        .await?;
    commit(&store, &start(claim(&store).await?, "order-1")).await?;
    for (name, setting) in [
        ("transaction_isolation", "read committed"),
        ("synchronous_commit", "on"),
        ("statement_timeout", "10000"),
        ("lock_timeout", "5000"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_user_timeout", "20000"),
    ] {
        let is_so = format!("SELECT count(*) FROM told WHERE name = '{name}' AND setting = '{setting}'");
        assert_eq!(database.number(&is_so).await?, 1, "{name}");
    }
    Ok(())
}
