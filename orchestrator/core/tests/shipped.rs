//! What ships with the project: every definition holds against participants and schemas, and the editors' schemas agree.

use saga_core::definition::{self, Library, Source, Style, render, schema};
use std::{fs, path::PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder whose names end with `ending`, sorted.
fn files(folder: &str, ending: &str) -> Vec<Source> {
    let entries = fs::read_dir(root().join(folder)).expect(folder);
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let ends = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
    let source = |path: PathBuf| {
        Source::new(path.file_name().expect("a name").to_string_lossy(), fs::read_to_string(&path).expect("text"))
    };
    paths.into_iter().filter(ends).map(source).collect()
}

#[test]
fn every_shipped_definition_holds() {
    let participants = files("sagas", "participants.yaml").pop();
    let library =
        Library::read(&files("sagas", ".saga.yaml"), participants.as_ref(), &files("schemas", ".avsc"), &|_| None);
    assert!(library.findings.is_empty(), "{}", render(&library.findings, Style::Plain));
    assert!(library.definitions.len() >= 4);
    assert_eq!(library.participants.names().count(), 5);
}
