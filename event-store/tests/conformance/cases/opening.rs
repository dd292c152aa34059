//! What a store that is opened may be, and what it must not.

use crate::{
    place::{Place, SHARDS, Store},
    streams::{all, append, claim, commit, start, versions},
};
use anyhow::{Result, bail, ensure};
use saga_event_store::{StoreAccess, StoreError, open};

pub(crate) async fn a_store_keeps_its_identity(place: &dyn Place) -> Result<()> {
    let created = place.engine().await?.identity();
    assert_eq!(created.shards, SHARDS);
    assert_eq!(place.engine().await?.identity(), created);
    assert_eq!(place.reader().await?.identity(), created);
    assert_eq!((place.rows("installation").await?, place.rows("schema_versions").await?), (1, migrations()?));
    Ok(())
}

/// How many migrations this build has.
fn migrations() -> Result<i64> {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite"))?;
    Ok(i64::try_from(files.count())?)
}

pub(crate) async fn another_number_of_shards_is_refused(place: &dyn Place) -> Result<()> {
    drop(place.engine().await?);
    let error = refused(open(place.address(), StoreAccess::Write { shards: 64 }).await)?;
    ensure!(matches!(error, StoreError::Shards { stored: SHARDS, configured: 64 }), "{error:?}");
    ensure!(error.to_string().contains("set `shards: 8`"), "{error}");
    drop(place.engine().await?);
    Ok(())
}

pub(crate) async fn a_number_of_shards_has_bounds(place: &dyn Place) -> Result<()> {
    for shards in [0, 4097, u16::MAX] {
        let error = refused(open(place.address(), StoreAccess::Write { shards }).await)?;
        ensure!(matches!(&error, StoreError::Limit(text) if text.contains("1 to 4096")), "{shards}: {error:?}");
    }
    let most = open(place.address(), StoreAccess::Write { shards: 4096 }).await?;
    most.claim(4095, "engine").await?;
    Ok(())
}

pub(crate) async fn what_is_not_there_cannot_be_read(place: &dyn Place) -> Result<()> {
    let error = refused(place.reader().await)?;
    ensure!(matches!(&error, StoreError::Schema(text) if text.contains("start the engine once")), "{error:?}");
    drop(place.engine().await?);
    drop(place.reader().await?);
    Ok(())
}

pub(crate) async fn a_newer_schema_is_refused(place: &dyn Place) -> Result<()> {
    drop(place.engine().await?);
    let newer = "INSERT INTO schema_versions (version, description, success, checksum, execution_time)
        VALUES (9999, 'of another build', true, 'sum', 0)";
    place.run(newer).await?;
    for opened in [place.engine().await, place.reader().await] {
        let error = refused(opened)?;
        ensure!(matches!(&error, StoreError::Schema(text) if text.contains("schema version 9999")), "{error:?}");
        ensure!(error.to_string().contains("use a build that is at least as new"), "{error}");
    }
    place.run("DELETE FROM schema_versions WHERE version = 9999").await?;
    drop(place.engine().await?);
    Ok(())
}

pub(crate) async fn an_altered_schema_is_refused(place: &dyn Place) -> Result<()> {
    drop(place.engine().await?);
    place.run("UPDATE schema_versions SET checksum = 'altered' WHERE version = 1").await?;
    for opened in [place.engine().await, place.reader().await] {
        let error = refused(opened)?;
        let clear = "schema version 1 of the database was made by another migration";
        ensure!(matches!(&error, StoreError::Schema(text) if text.starts_with(clear)), "{error:?}");
    }
    Ok(())
}

pub(crate) async fn an_older_schema_is_not_read(place: &dyn Place) -> Result<()> {
    drop(place.engine().await?);
    place.run("DELETE FROM schema_versions").await?;
    let error = refused(place.reader().await)?;
    ensure!(
        matches!(&error, StoreError::Schema(text) if text.contains("start the engine of this build once")),
        "{error:?}"
    );
    Ok(())
}

pub(crate) async fn a_reader_works_beside_the_engine_and_writes_nothing(place: &dyn Place) -> Result<()> {
    let engine = place.engine().await?;
    let reader = place.reader().await?;
    let first = start(claim(&engine).await?, "order-1");
    commit(&engine, &first).await?;
    assert_eq!(versions(&reader, first.stream).await?, [1]);
    assert_eq!(reader.list(&all()).await?, engine.list(&all()).await?);
    for refused in [
        reader.claim(0, "reader").await.err(),
        append(&reader, &start(first.epoch, "order-2")).await.err().and_then(|it| it.downcast().ok()),
        reader.put_document("saga", "d0", "saga: x").await.err(),
    ] {
        ensure!(matches!(&refused, Some(StoreError::Refused(text)) if text.contains("opened to read")), "{refused:?}");
    }
    assert_eq!((place.rows("journal").await?, place.rows("documents").await?), (1, 0));
    Ok(())
}

/// Why it was not opened.
fn refused(opened: Result<Store, StoreError>) -> Result<StoreError> {
    match opened {
        Err(error) if error.is_worth_waiting_at_start() => bail!("that does not go away by itself: {error}"),
        Err(error) => Ok(error),
        Ok(_) => bail!("the store was opened"),
    }
}
