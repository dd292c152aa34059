//! One engine per file: a lock on a file beside it, held by the operating system for as long as the process lives.

use crate::Error;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

/// The lock; released when it is dropped, or when the process dies.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    pub(super) fn take(path: &Path) -> Result<FileLock, Error> {
        let lock_path = format!("{}.lock", real(path));
        let refused = |error: std::io::Error| Error::Unusable(format!("{lock_path}: {error}"));
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&lock_path).map_err(refused)?;
        if let Err(error) = file.try_lock() {
            if let TryLockError::Error(error) = error {
                return Err(refused(error));
            }
            let mut holder = String::new();
            // What it says is a help for people; that it cannot be read changes nothing.
            drop(file.read_to_string(&mut holder));
            return Err(Error::Locked { path: path.display().to_string(), holder: holder.trim().to_owned() });
        }
        file.set_len(0).map_err(refused)?;
        write!(file, "process {}", std::process::id()).map_err(refused)?;
        Ok(FileLock { _file: file })
    }
}

/// Where links lead to: two names of one file have one lock. A file that does not exist yet has only the name it is given.
fn real(path: &Path) -> String {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
