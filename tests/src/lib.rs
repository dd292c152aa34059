//! What the tests of the whole product stand on: servers, fake participants, the engine as a child process, and an
//! oracle that judges what happened without any of the engine's code.
//!
//! `tests/run` provides the servers; `tests/run with cargo test -p saga-tests` runs these tests alone.

pub mod certificates;
pub mod collector;
pub mod containers;
pub mod control;
pub mod engine;
pub mod eventually;
pub mod kafka;
pub mod network_path;
pub mod oracle;
pub mod pace;
pub mod participant;
pub mod postgres;
pub mod promtool;
pub mod secure_kafka;
pub mod secure_postgres;
pub mod servers;
pub mod traffic;
pub mod world;

use std::path::{Path, PathBuf};

/// The repository's folder.
#[must_use]
pub fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository").to_owned()
}

/// A name that no other test uses, in this run or an earlier one.
#[must_use]
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}
