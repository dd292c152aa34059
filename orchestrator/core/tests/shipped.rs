//! What ships with the project: every definition holds against participants and schemas, and the editors' schemas agree.

use saga_core::definition::{Library, Source, Style, render, schema};
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

/// `UPDATE_GOLDEN=1` writes the files.
#[test]
fn the_schema_files_for_editors_are_what_the_product_prints() {
    for (name, schema) in [("saga", schema::saga()), ("participants", schema::participants())] {
        let path = root().join(format!("schemas/{name}.schema.json"));
        let printed = schema::text(&schema);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &printed).expect("the folder schemas can be written");
        }
        let file = fs::read_to_string(&path).unwrap_or_default();
        assert!(file == printed, "{} is out of date: run this test with UPDATE_GOLDEN=1", path.display());
    }
}

#[test]
fn editors_find_nothing_wrong_with_what_ships() {
    let validator = jsonschema::draft7::new(&schema::saga()).expect("the schema is one");
    for source in files("sagas", ".saga.yaml") {
        let yaml: serde_json::Value = serde_saphyr::from_str(&source.text).expect("YAML");
        let errors: Vec<String> = validator.iter_errors(&yaml).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", source.name);
    }
    assert!(!validator.is_valid(&serde_json::json!({"saga": "no-steps"})), "a schema that takes everything");
}
