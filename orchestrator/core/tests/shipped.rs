//! What ships with the project: every definition holds against participants and schemas, and the editors' schemas
//! agree.

use saga_core::definition::{DefinitionLibrary, RenderStyle, SourceFile, render, schema};
use std::{fs, path::PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder whose names end with `ending`, sorted.
fn files(folder: &str, ending: &str) -> Vec<SourceFile> {
    let entries = fs::read_dir(root().join(folder)).expect(folder);
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let ends = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
    let source = |path: PathBuf| {
        SourceFile::new(path.file_name().expect("a name").to_string_lossy(), fs::read_to_string(&path).expect("text"))
    };
    paths.into_iter().filter(ends).map(source).collect()
}

#[test]
fn every_shipped_definition_holds() {
    let participants = files("sagas", "participants.yaml").pop();
    let library = DefinitionLibrary::read(
        &files("sagas", ".saga.yaml"),
        participants.as_ref(),
        &files("schemas", ".avsc"),
        &|_| None,
    );
    assert!(library.findings.is_empty(), "{}", render(&library.findings, RenderStyle::Plain));
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

/// Where an editor finds something wrong with `step`, the only one of a definition.
fn places(step: &serde_json::Value) -> Vec<String> {
    let validator = jsonschema::draft7::new(&schema::saga()).expect("the schema is one");
    let trigger = serde_json::json!({"topic": "shop.orders", "key": "${ event.orderId }"});
    let saga = serde_json::json!({"saga": "order", "trigger": trigger, "steps": [step]});
    let told = validator.iter_errors(&saga).map(|error| format!("{}: {error}", error.instance_path()));
    told.collect()
}

#[test]
fn editors_name_the_key_that_is_wrong_inside_a_step() {
    let cases = [
        (r#"{"step": "a", "do": "POST b/c", "readOnly": true, "timeot": "5s"}"#, "/steps/0", "timeot"),
        (r#"{"step": "a", "do": "POST b/c", "readOnly": true, "wait": "5s"}"#, "/steps/0", "'wait'"),
        (r#"{"step": "a-b", "do": "POST b/c", "readOnly": true}"#, "/steps/0/step", "a-b"),
        (r#"{"step": "a", "do": "POST b/c", "readOnly": true, "retry": "quik"}"#, "/steps/0/retry", "quik"),
        (r#"{"step": "a", "do": "POST b/c", "readOnly": true, "retry": {"atempts": 3}}"#, "/steps/0/retry", "atempts"),
        (r#"{"step": "a", "do": "POST b/c", "readOnly": true, "timeout": "soon"}"#, "/steps/0/timeout", "soon"),
        (r#"{"step": "a", "do": "POST b/c", "undo": {"cmd": "POST b/d"}}"#, "/steps/0/undo", "do"),
        (r#"{"step": "a", "wait": 5}"#, "/steps/0/wait", "5"),
        (r#"{"step": "a", "publish": "b c", "type": "D"}"#, "/steps/0/publish", "b c"),
        (r#"{"step": "a", "publish": "b"}"#, "/steps/0", "type"),
        (r#"{"step": "a", "undo": "POST b/c"}"#, "/steps/0", "do"),
        (r#"{"parallel": [{"step": "a", "do": "POST b/c", "pivott": true}]}"#, "/steps/0/parallel/0", "pivott"),
        (r#"{"parallel": []}"#, "/steps/0/parallel", "[]"),
        (r#"{"step": "a", "do": "POST b/c", "with": [1]}"#, "/steps/0/with", "[1]"),
        (r#"{"step": "a", "do": "POST b/c", "with": "text"}"#, "/steps/0/with", "text"),
    ];
    for (step, place, word) in cases {
        let told = places(&serde_json::from_str(step).expect("JSON"));
        assert!(told.iter().any(|it| it.starts_with(&format!("{place}: ")) && it.contains(word)), "{step}: {told:?}");
    }
    assert_eq!(places(&serde_json::json!({"step": "a", "do": "POST b/c", "readOnly": true})), Vec::<String>::new());
}

#[test]
fn editors_see_a_key_that_is_the_same_for_every_event() {
    let validator = jsonschema::draft7::new(&schema::saga()).expect("the schema is one");
    let saga = serde_json::json!({
        "saga": "order", "trigger": {"topic": "shop.orders", "key": "event.orderId"}, "steps": [{"step": "a", "wait": "1s"}],
    });
    let places: Vec<String> = validator.iter_errors(&saga).map(|error| error.instance_path().to_string()).collect();
    assert_eq!(places, ["/trigger/key"]);
}

#[test]
fn editors_see_what_no_participant_is() {
    let validator = jsonschema::draft7::new(&schema::participants()).expect("the schema is one");
    let is_valid = |text: &str| {
        let participant: serde_json::Value = serde_json::from_str(text).expect("JSON");
        validator.is_valid(&serde_json::json!({"participants": {"payments": participant}}))
    };
    for good in [
        r#"{"http": {"url": "http://payments:9001"}, "headers": {"X-Tenant": "shop", "Idempotency": "a"}}"#,
        r#"{"http": {"url": "${ env.PAYMENTS }/api"}}"#,
        r#"{"http": {"endpoints": [{"url": "HTTPS://payments"}]}}"#,
        r#"{"kafka": {"commands": "payments.commands"}}"#,
    ] {
        assert!(is_valid(good), "{good}");
    }
    for bad in [
        "{}",
        r#"{"http": {"url": "http://a"}, "kafka": {"commands": "b"}}"#,
        r#"{"http": {"url": "HTTP://"}}"#,
        r#"{"http": {"url": "payments:9001"}}"#,
        r#"{"http": {"url": "http://a"}, "headers": {"Idempotency-Key": "a"}}"#,
        r#"{"http": {"url": "http://a"}, "headers": {"ACCEPT-encoding": "br"}}"#,
    ] {
        assert!(!is_valid(bad), "{bad}");
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
