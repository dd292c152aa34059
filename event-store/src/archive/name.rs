//! Names of archive files: `<installation>-<number>.saga.zst`, and behind the number the revision of a file that was
//! written anew.

use super::ARCHIVE_SUFFIX;
use std::{
    fs,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// The name of an archive's file: two stores can share a folder.
#[must_use]
pub fn archive_name(installation: Uuid, number: i64, revision: u32) -> String {
    let installation = installation.simple().to_string();
    let revision = if revision == 0 { String::new() } else { format!("-{revision}") };
    format!("{}-{number:06}{revision}{ARCHIVE_SUFFIX}", &installation[..8])
}

/// The file `name` that is on record. If it is not there, the latest one that took its place: after a restore of the
/// database its records can be older than the files.
#[must_use]
pub fn recorded_file(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    if path.exists() { path } else { latest(folder, name).unwrap_or(path) }
}

fn latest(folder: &Path, name: &str) -> Option<PathBuf> {
    let (archive, recorded) = parts(name)?;
    let found = fs::read_dir(folder).ok()?.filter_map(|entry| {
        let name = entry.ok()?.file_name().to_string_lossy().into_owned();
        let (of, revision) = parts(&name)?;
        (of == archive && revision > recorded).then_some((revision, name))
    });
    found.max().map(|(_, name)| folder.join(name))
}

/// Installation and number, and the revision.
fn parts(name: &str) -> Option<(String, u32)> {
    let mut parts = name.strip_suffix(ARCHIVE_SUFFIX)?.split('-');
    let archive = format!("{}-{}", parts.next()?, parts.next()?);
    match (parts.next(), parts.next()) {
        (None, _) => Some((archive, 0)),
        (Some(revision), None) => Some((archive, revision.parse().ok()?)),
        (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;

    #[test]
    fn a_file_that_is_gone_is_found_under_its_latest_revision() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let name = |number, revision| archive_name(Uuid::nil(), number, revision);
        assert_eq!(
            (name(7, 0).as_str(), name(7, 2).as_str()),
            ("00000000-000007.saga.zst", "00000000-000007-2.saga.zst")
        );
        for (number, revision) in [(7, 2), (7, 10), (8, 11)] {
            fs::write(folder.path().join(name(number, revision)), "")?;
        }
        assert_eq!(recorded_file(folder.path(), &name(7, 0)), folder.path().join(name(7, 10)));
        assert_eq!(recorded_file(folder.path(), &name(7, 2)), folder.path().join(name(7, 2)));
        assert_eq!(recorded_file(folder.path(), &name(9, 0)), folder.path().join(name(9, 0)), "as it is on record");
        Ok(())
    }
}
