//! Migrations: numbered files, each applied once and never altered after its release. sqlx's [`Migrator`] applies them
//! under its lock and compares checksums. This module adds two things: a check that changes nothing, and errors that
//! tell an operator what to do.

use crate::StoreError;
use sqlx::{
    SqlSafeStr as _,
    migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator},
};
use std::sync::LazyLock;

/// The table of applied migrations. It has another name than sqlx's default, which another program in the same database
/// may use.
const TABLE: &str = "schema_versions";

/// The migrations of a database on Postgres.
pub(crate) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[
        (1, "event store", include_str!("../migrations/postgres/0001_event_store.sql")),
        (2, "feed", include_str!("../migrations/postgres/0002_feed.sql")),
        (3, "projections", include_str!("../migrations/postgres/0003_projections.sql")),
        (4, "acts", include_str!("../migrations/postgres/0004_acts.sql")),
        (5, "snapshots", include_str!("../migrations/postgres/0005_snapshots.sql")),
        (6, "archives", include_str!("../migrations/postgres/0006_archives.sql")),
        (7, "data keys", include_str!("../migrations/postgres/0007_data_keys.sql")),
        (8, "rebuilds", include_str!("../migrations/postgres/0008_rebuilds.sql")),
        (9, "archive erasures", include_str!("../migrations/postgres/0009_archive_erasures.sql")),
        (10, "dead letters", include_str!("../migrations/postgres/0010_dead_letters.sql")),
        (11, "letters of streams", include_str!("../migrations/postgres/0011_letters_of_streams.sql")),
        (12, "audit", include_str!("../migrations/postgres/0012_audit.sql")),
    ])
});

/// The migrations of an SQLite file.
pub(crate) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[
        (1, "event store", include_str!("../migrations/sqlite/0001_event_store.sql")),
        (2, "feed", include_str!("../migrations/sqlite/0002_feed.sql")),
        (3, "projections", include_str!("../migrations/sqlite/0003_projections.sql")),
        (4, "acts", include_str!("../migrations/sqlite/0004_acts.sql")),
        (5, "snapshots", include_str!("../migrations/sqlite/0005_snapshots.sql")),
        (6, "archives", include_str!("../migrations/sqlite/0006_archives.sql")),
        (7, "data keys", include_str!("../migrations/sqlite/0007_data_keys.sql")),
        (8, "rebuilds", include_str!("../migrations/sqlite/0008_rebuilds.sql")),
        (9, "archive erasures", include_str!("../migrations/sqlite/0009_archive_erasures.sql")),
        (10, "dead letters", include_str!("../migrations/sqlite/0010_dead_letters.sql")),
        (11, "letters of streams", include_str!("../migrations/sqlite/0011_letters_of_streams.sql")),
        (12, "audit", include_str!("../migrations/sqlite/0012_audit.sql")),
    ])
});

/// Takes the number of each file, its subject and its text.
fn migrator(files: &[(i64, &'static str, &'static str)]) -> Migrator {
    let read = |&(version, about, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, about.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(files.iter().map(read).collect());
    migrator.dangerous_set_table_name(TABLE);
    migrator
}

/// The migrations that a database has; `None`: it has no event store yet. This changes nothing and needs no privilege
/// but to read.
pub(crate) async fn applied<C: Migrate + Send>(
    connection: &mut C,
) -> Result<Option<Vec<AppliedMigration>>, StoreError> {
    match connection.list_applied_migrations(TABLE).await {
        Ok(applied) => Ok(Some(applied)),
        Err(MigrateError::Execute(error)) if lacks_table(&error) => Ok(None),
        Err(error) => Err(failure(error)),
    }
}

/// Whether the database does not have the table of a statement. SQLite has only a text for that.
fn lacks_table(error: &sqlx::Error) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    error.as_database_error().is_some_and(|error| {
        error.code().as_deref() == Some(UNDEFINED_TABLE) || error.message().starts_with("no such table")
    })
}

/// The first migration that a database does not have; `None`: it has all of them.
///
/// # Errors
/// [`StoreError::Schema`] when the database has a migration that this build does not have, or has with another
/// checksum.
pub(crate) fn missing(known: &Migrator, applied: &[AppliedMigration]) -> Result<Option<i64>, StoreError> {
    for done in applied {
        let migration = known.iter().find(|migration| migration.version == done.version);
        let migration = migration.ok_or_else(|| newer(known, done.version))?;
        if migration.checksum != done.checksum {
            return Err(altered(done.version));
        }
    }
    let is_missing = |version: &i64| applied.iter().all(|done| done.version != *version);
    Ok(known.iter().map(|migration| migration.version).find(is_missing))
}

/// Checks that a reader can use a database. A reader never migrates.
///
/// # Errors
/// As [`missing`], and when a migration is missing.
pub(crate) fn complete(known: &Migrator, applied: &[AppliedMigration]) -> Result<(), StoreError> {
    match missing(known, applied)? {
        None => Ok(()),
        Some(version) => Err(StoreError::Schema(format!(
            "the database lacks schema version {version}: start the engine of this build once"
        ))),
    }
}

/// Applies the migrations that a database does not have, under the lock of the migrator.
///
/// # Errors
/// As [`missing`], and when the database refuses.
pub(crate) async fn run<C: Migrate + Send>(known: &Migrator, connection: &mut C) -> Result<(), StoreError> {
    // `Migrator::run` cannot be awaited in a task: sqlx implements `Acquire` for one lifetime at a time.
    known.run_direct(None, connection, false).await.map_err(|error| refusal(known, error))
}

/// The error of the store for an error of the migrator.
fn refusal(known: &Migrator, error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) => newer(known, version),
        MigrateError::VersionMismatch(version) => altered(version),
        other => failure(other),
    }
}

fn failure(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Schema(format!("the database cannot be migrated: {other}")),
    }
}

fn newer(known: &Migrator, version: i64) -> StoreError {
    let newest = known.iter().last().map_or(0, |migration| migration.version);
    StoreError::Schema(format!(
        "the database has schema version {version}, this build knows versions up to {newest}: \
         use a build that is at least as new as the one that migrated it"
    ))
}

fn altered(version: i64) -> StoreError {
    StoreError::Schema(format!(
        "schema version {version} of the database was made by another migration than this build's: \
         it was altered after its release, or the database belongs to another program"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection as _, Row as _, SqliteConnection};
    use std::path::Path;

    const FILES: [(i64, &str, &str); 2] =
        [(1, "first", "CREATE TABLE a (x); INSERT INTO a VALUES (7)"), (2, "second", "ALTER TABLE a ADD COLUMN y")];

    fn applied_by(migrator: &Migrator) -> Vec<AppliedMigration> {
        let done = |it: &Migration| AppliedMigration { version: it.version, checksum: it.checksum.clone() };
        migrator.iter().map(done).collect()
    }

    #[test]
    fn what_is_missing_is_found_in_order() {
        let known = migrator(&FILES);
        assert_eq!(missing(&known, &[]).unwrap(), Some(1));
        assert_eq!(missing(&known, &applied_by(&migrator(&FILES[..1]))).unwrap(), Some(2));
        assert_eq!(missing(&known, &applied_by(&known)).unwrap(), None);
    }

    #[test]
    fn a_reader_needs_all_of_them() {
        let known = migrator(&FILES);
        assert!(complete(&known, &applied_by(&known)).is_ok());
        let lacking = complete(&known, &applied_by(&migrator(&FILES[..1]))).unwrap_err().to_string();
        assert!(lacking.contains("lacks schema version 2"), "{lacking}");
    }

    #[test]
    fn an_older_build_does_not_touch_a_newer_schema() {
        let newer = missing(&migrator(&FILES[..1]), &applied_by(&migrator(&FILES))).unwrap_err().to_string();
        assert!(newer.contains("has schema version 2, this build knows versions up to 1"), "{newer}");
    }

    #[tokio::test]
    async fn a_second_file_is_applied_to_what_the_first_has_made() -> anyhow::Result<()> {
        let mut database = SqliteConnection::connect("sqlite::memory:").await?;
        assert!(applied(&mut database).await?.is_none());
        run(&migrator(&FILES[..1]), &mut database).await?;
        let both = migrator(&FILES);
        let had = applied(&mut database).await?.unwrap_or_default();
        assert_eq!(missing(&both, &had)?, Some(2));
        run(&both, &mut database).await?;
        let row = sqlx::query("SELECT x, y FROM a").fetch_one(&mut database).await?;
        assert_eq!((row.try_get("x")?, row.try_get("y")?), (Some(7), None::<i64>));
        complete(&both, &applied(&mut database).await?.unwrap_or_default())?;
        let refused = run(&migrator(&FILES[..1]), &mut database).await;
        assert!(matches!(refused, Err(StoreError::Schema(text)) if text.contains("schema version 2")));
        Ok(())
    }

    /// The migrator would never apply a file that the list does not have.
    #[tokio::test]
    async fn every_file_of_both_folders_is_known() -> anyhow::Result<()> {
        for (folder, known) in [("postgres", &*POSTGRES), ("sqlite", &*SQLITE)] {
            let files = Migrator::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder)).await?;
            let sums = |migrator: &Migrator| migrator.iter().map(|it| (it.version, it.checksum.clone())).collect();
            let (there, listed): (Vec<_>, Vec<_>) = (sums(&files), sums(known));
            assert_eq!(there, listed, "{folder}");
        }
        assert_eq!(missing(&POSTGRES, &[])?, missing(&SQLITE, &[])?);
        Ok(())
    }
}
