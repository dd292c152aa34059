//! One engine for each file. The operating system locks a second file beside it until the process ends.

use crate::StoreError;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

/// Holds the lock until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    pub(super) fn take(path: &Path) -> Result<FileLock, StoreError> {
        let lock_path = format!("{}.lock", real(path));
        let refused = |error: std::io::Error| StoreError::Unusable(format!("{lock_path}: {error}"));
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&lock_path).map_err(refused)?;
        if let Err(error) = file.try_lock() {
            if let TryLockError::Error(error) = error {
                return Err(refused(error));
            }
            let mut holder = String::new();
            // The text only helps people. The lock holds if it cannot be read.
            drop(file.read_to_string(&mut holder));
            return Err(StoreError::Locked { path: path.display().to_string(), holder: holder.trim().to_owned() });
        }
        file.set_len(0).map_err(refused)?;
        write!(file, "process {}", std::process::id()).map_err(refused)?;
        Ok(FileLock { _file: file })
    }
}

/// Resolves links, so that two names of one file have one lock. A file that does not exist yet has only the given name.
fn real(path: &Path) -> String {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
