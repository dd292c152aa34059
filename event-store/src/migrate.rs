//! Migrations: embedded, numbered, each applied once, never altered.

use crate::StoreError;
use sha2::{Digest, Sha256};

/// One migration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchemaMigration {
    pub(crate) version: i32,
    pub(crate) sql: &'static str,
}

/// One migration that a database has.
#[derive(Clone, Debug)]
pub(crate) struct AppliedMigration {
    pub(crate) version: i32,
    pub(crate) checksum: String,
}

impl SchemaMigration {
    pub(crate) fn checksum(&self) -> String {
        Sha256::digest(self.sql).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The migrations that `applied` lacks.
///
/// # Errors
/// When the database has migrations that this build does not know, or knows otherwise.
pub(crate) fn missing(
    known: &'static [SchemaMigration],
    applied: &[AppliedMigration],
) -> Result<Vec<SchemaMigration>, StoreError> {
    for done in applied {
        let Some(migration) = known.iter().find(|migration| migration.version == done.version) else {
            let newest = known.last().map_or(0, |migration| migration.version);
            return Err(StoreError::Schema(format!(
                "the database has schema version {}, this build knows versions up to {newest}: use a build that is at least as new as the one that migrated it",
                done.version
            )));
        };
        if migration.checksum() != done.checksum {
            return Err(StoreError::Schema(format!(
                "schema version {} of the database was made by another migration than this build's: it was altered after its release, or the database belongs to another program",
                done.version
            )));
        }
    }
    let is_missing = |migration: &&SchemaMigration| applied.iter().all(|done| done.version != migration.version);
    Ok(known.iter().filter(is_missing).copied().collect())
}

/// Whether a database can be read that has been migrated by `applied`.
///
/// # Errors
/// As [`missing`], and when migrations are missing, which a reader does not make up for.
pub(crate) fn complete(known: &'static [SchemaMigration], applied: &[AppliedMigration]) -> Result<(), StoreError> {
    match missing(known, applied)?.first() {
        None => Ok(()),
        Some(migration) => Err(StoreError::Schema(format!(
            "the database lacks schema version {}: start the engine of this build once",
            migration.version
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[SchemaMigration] = &[
        SchemaMigration { version: 1, sql: "CREATE TABLE a ()" },
        SchemaMigration { version: 2, sql: "CREATE TABLE b ()" },
    ];

    fn applied(migrations: &[SchemaMigration]) -> Vec<AppliedMigration> {
        migrations.iter().map(|it| AppliedMigration { version: it.version, checksum: it.checksum() }).collect()
    }

    fn versions(missing: Vec<SchemaMigration>) -> Vec<i32> {
        missing.into_iter().map(|migration| migration.version).collect()
    }

    #[test]
    fn what_is_missing_is_applied_in_order() {
        assert_eq!(versions(missing(KNOWN, &[]).unwrap()), [1, 2]);
        assert_eq!(versions(missing(KNOWN, &applied(&KNOWN[..1])).unwrap()), [2]);
        assert_eq!(versions(missing(KNOWN, &applied(KNOWN)).unwrap()), [0; 0]);
    }

    #[test]
    fn a_reader_needs_all_of_them() {
        assert!(complete(KNOWN, &applied(KNOWN)).is_ok());
        let lacking = complete(KNOWN, &applied(&KNOWN[..1])).unwrap_err().to_string();
        assert!(lacking.contains("lacks schema version 2"), "{lacking}");
    }

    #[test]
    fn an_older_build_does_not_touch_a_newer_schema() {
        let newer = missing(&KNOWN[..1], &applied(KNOWN)).unwrap_err().to_string();
        assert!(newer.contains("has schema version 2, this build knows versions up to 1"), "{newer}");
    }
}
