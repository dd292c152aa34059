//! Whoever changes a type that a snapshot consists of gives snapshots another number. `UPDATE_GOLDEN=1` writes the
//! shape again once the number has risen.

use saga_core::snapshot::FORMAT;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

/// What a snapshot is made of.
const ROOT: &str = "SagaState";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshot_shape.txt")
}

/// Every type of the package by its name, which is unique, as its source says it.
fn types(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            types(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            types_of(&fs::read_to_string(&path).expect("a source"), found);
        }
    }
}

fn types_of(source: &str, found: &mut BTreeMap<String, String>) {
    let lines: Vec<&str> = source.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = name_of(line) else { continue };
        let ends = lines[at..].iter().position(|line| *line == "}" || line.ends_with(");") || line.ends_with(';'));
        let ends = if line.ends_with("{}") { Some(0) } else { ends };
        let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("///"));
        let attributes: Vec<&str> = attributes.filter(|line| line.starts_with("#[serde")).copied().collect();
        let body = lines[at..=at + ends.expect("a type ends")].iter().map(|line| line.trim());
        let body = body.filter(|line| !line.starts_with("//"));
        let text: Vec<&str> = attributes.into_iter().rev().chain(body).collect();
        found.insert(name, text.join("\n"));
    }
}

/// For `pub(crate) struct Name<…` and `pub enum Name {`, at the beginning of a line.
fn name_of(line: &str) -> Option<String> {
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let rest = line.strip_prefix("struct ").or_else(|| line.strip_prefix("enum "))?;
    Some(rest.chars().take_while(|letter| letter.is_alphanumeric()).collect())
}

/// The types that a type names, without those that it leaves out of its bytes.
fn named_in(text: &str) -> BTreeSet<String> {
    let mut is_skipped = false;
    let mut named = BTreeSet::new();
    for line in text.lines() {
        if !is_skipped {
            let words = line.split(|letter: char| !letter.is_alphanumeric());
            named.extend(words.filter(|word| word.starts_with(char::is_uppercase)).map(str::to_owned));
        }
        is_skipped = line == "#[serde(skip)]";
    }
    named
}

fn shape() -> String {
    let mut all = BTreeMap::new();
    types(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let (mut reached, mut open) = (BTreeMap::new(), vec![ROOT.to_owned()]);
    while let Some(name) = open.pop() {
        let Some(text) = all.get(&name) else { continue };
        if reached.insert(name, text.clone()).is_none() {
            open.extend(named_in(text));
        }
    }
    let reached: Vec<String> = reached.into_values().collect();
    format!("format {FORMAT}\n\n{}\n", reached.join("\n\n"))
}

#[test]
fn the_number_of_the_format_rises_with_the_shape() {
    let (shape, golden) = (shape(), golden());
    let known = fs::read_to_string(&golden).unwrap_or_default();
    if known == shape {
        return;
    }
    let number = |text: &str| text.lines().next().map(str::to_owned);
    assert_ne!(
        number(&known),
        number(&shape),
        "a type that snapshots consist of has changed: raise FORMAT in src/snapshot.rs, then run this test with \
         UPDATE_GOLDEN=1. The shape is now:\n{shape}"
    );
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &shape).expect("the shape is written");
        return;
    }
    panic!("FORMAT has another number than {}: run this test with UPDATE_GOLDEN=1", golden.display());
}

#[test]
fn the_shape_has_what_a_state_consists_of_and_not_what_it_leaves_out() {
    let shape = shape();
    for name in ["struct SagaState", "struct StepState", "enum CommandPhase", "struct OutageLog", "enum CommandRequest"]
    {
        assert!(shape.contains(name), "{name} is missing:\n{shape}");
    }
    for name in ["struct AttemptNotes", "enum SendTime", "struct SagaPlan"] {
        assert!(!shape.contains(name), "{name} is not in a snapshot");
    }
    assert!(shape.contains("#[serde(with = \"recorded_value\")]"));
}
