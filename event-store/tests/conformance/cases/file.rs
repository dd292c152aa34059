//! What can happen around a file.

use crate::{
    place::{Place, SHARDS, Store},
    sqlite::File,
    streams::{after, all, claim, commit, showing, start, versions},
};
use anyhow::{Context, Result, bail, ensure};
use saga_event_store::{ErasedRow, StoreAccess, StoreError, StreamAppend, StreamErasure, open};
use std::{fs, path::Path};

fn place(file: &File) -> &(dyn Place + '_) {
    file
}

async fn open_path(path: &Path) -> Result<Store, StoreError> {
    open(&format!("sqlite:{}", path.display()), StoreAccess::Write { shards: SHARDS }).await
}

fn locked(opened: Result<Store, StoreError>) -> Result<String> {
    match opened {
        Err(error @ StoreError::Locked { .. }) if !error.is_transient() => Ok(error.to_string()),
        other => bail!("another engine has the file, not {other:?}"),
    }
}

pub(crate) async fn a_second_engine_is_refused_while_readers_work(file: &File) -> Result<()> {
    let engine = place(file).engine().await?;
    let first = start(claim(&engine).await?, "order-1");
    commit(&engine, &first).await?;
    let reader = place(file).reader().await?;
    let said = locked(place(file).engine().await)?;
    ensure!(said.contains("saga.db is in use by another engine"), "{said}");
    ensure!(said.contains(&format!("(process {})", std::process::id())), "{said}");
    assert_eq!(versions(&reader, first.stream).await?, [1]);
    commit(&engine, &crate::streams::after(&first)).await?;
    assert_eq!(versions(&reader, first.stream).await?, [1, 2]);
    drop(engine);
    let next = place(file).engine().await?;
    assert_eq!(next.list(&all()).await?, reader.list(&all()).await?);
    Ok(())
}

pub(crate) async fn of_many_first_starts_one_has_the_file(file: &File) -> Result<()> {
    let path = file.path();
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { open_path(&path).await })
        })
        .collect();
    let mut stores = Vec::new();
    for starting in starts {
        match starting.await? {
            Ok(store) => stores.push(store),
            refused => drop(locked(refused)?),
        }
    }
    assert_eq!(stores.len(), 1);
    Ok(())
}

pub(crate) async fn another_name_of_the_file_has_the_same_lock(file: &File) -> Result<()> {
    let engine = place(file).engine().await?;
    let folder = file.path().parent().map(Path::to_owned).unwrap_or_default();
    let link = folder.join("link.db");
    std::os::unix::fs::symlink(file.path(), &link)?;
    locked(open_path(&link).await)?;
    locked(open_path(&folder.join(".").join("saga.db")).await)?;
    drop(engine);
    drop(open_path(&link).await?);
    Ok(())
}

pub(crate) async fn a_file_can_be_read_when_no_engine_runs(file: &File) -> Result<()> {
    let engine = place(file).engine().await?;
    let first = start(claim(&engine).await?, "order-1");
    commit(&engine, &first).await?;
    drop(engine);
    let reader = place(file).reader().await?;
    assert_eq!(versions(&reader, first.stream).await?, [1]);
    drop(place(file).engine().await?);
    assert_eq!(versions(&reader, first.stream).await?, [1]);
    Ok(())
}

pub(crate) async fn an_older_copy_in_its_place_is_noticed(file: &File) -> Result<()> {
    let engine = place(file).engine().await?;
    engine.heartbeat("engine", 1_000).await?;
    let copy = file.path().with_extension("copy");
    place(file).run(&format!("VACUUM INTO '{}'", copy.display())).await?;
    engine.heartbeat("engine", 3_000).await?;
    let known = engine.confirmed().context("a heartbeat was confirmed")?;
    drop(engine);
    ensure!(place(file).engine().await?.compare(std::slice::from_ref(&known)).await?.is_empty());
    for left in ["db-wal", "db-shm"] {
        drop(fs::remove_file(file.path().with_extension(left)));
    }
    fs::rename(copy, file.path())?;
    let next = place(file).engine().await?;
    assert_eq!(next.compare(&[known]).await?, [0]);
    let told = next.steps_back().borrow().clone().context("it is noticed")?;
    assert_eq!((told.kept_until_ms, told.lost_until_ms), (Some(1_000), 3_000));
    Ok(())
}

pub(crate) async fn what_is_no_database_is_refused(file: &File) -> Result<()> {
    fs::write(file.path(), "reserve: 4711\n".repeat(1000))?;
    for opened in [place(file).engine().await, place(file).reader().await] {
        match opened {
            Err(error @ StoreError::Unusable(_)) if !error.is_worth_waiting_at_start() => {
                ensure!(error.to_string().contains("not a database"), "{error}");
                ensure!(error.to_string().contains("saga.db"), "{error}");
            }
            other => bail!("a file that is no database is refused, not {other:?}"),
        }
    }
    let nowhere = file.path().join("beyond").join("saga.db");
    ensure!(matches!(open_path(&nowhere).await, Err(StoreError::Unusable(text)) if text.contains("saga.db")));
    Ok(())
}

pub(crate) async fn an_address_that_is_none_is_refused_without_its_secret(_: &File) -> Result<()> {
    let none = [
        "saga.db",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:saga.db?mode=memory",
        "mysql://saga:a-secret@localhost/saga",
        "postgres://saga:a@secret@localhost:none/saga",
        "postgres://localhost:none/saga?password=a-secret",
    ];
    for address in none {
        match open(address, StoreAccess::Write { shards: SHARDS }).await {
            Err(error @ StoreError::Address(_)) => ensure!(!error.to_string().contains("secret"), "{error}"),
            other => bail!("`{address}` is no address, not {other:?}"),
        }
    }
    Ok(())
}

/// Neither in the file nor in its log, although the file has free pages.
pub(crate) async fn what_is_erased_is_not_in_the_file(file: &File) -> Result<()> {
    const CANARY: &[u8] = b"canary-4711";
    let store = place(file).engine().await?;
    let epoch = claim(&store).await?;
    let first = StreamAppend {
        payload: CANARY.repeat(5000),
        outline: Some(CANARY.repeat(500)),
        ..showing(start(epoch, "order-1"), "completed")
    };
    commit(&store, &first).await?;
    ensure!(found(file, CANARY)?, "the store has not kept the row in its file");
    let rows = vec![ErasedRow { version: 1, payload: b"row 1".to_vec() }];
    let append = StreamAppend { payload: b"erased".to_vec(), outline: None, ..showing(after(&first), "completed") };
    store.erase(&StreamErasure { append, rows }).await?;
    ensure!(!found(file, CANARY)?, "the file or its log has what was erased");
    drop(store);
    ensure!(!found(file, CANARY)?, "the file or its log has what was erased");
    Ok(())
}

fn found(file: &File, text: &[u8]) -> Result<bool> {
    for ending in ["", "-wal"] {
        let path = format!("{}{ending}", file.path().display());
        let bytes = if std::fs::exists(&path)? { std::fs::read(&path)? } else { Vec::new() };
        if bytes.windows(text.len()).any(|window| window == text) {
            return Ok(true);
        }
    }
    Ok(false)
}
