//! Keys of the event store in a configuration.

use super::{ConfigSources, EngineConfig, load, wrong_in_file};
use std::collections::BTreeMap;

/// 32 bytes in base64.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn check(file: &str, env: &[(&str, &str)]) -> Result<EngineConfig, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, file).expect("written");
    std::fs::write(folder.path().join("old.key"), format!("{OTHER}\n")).expect("written");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let loaded = load(&ConfigSources { file: Some(&path), env, flags: Vec::new() });
    loaded.map_err(|error| error.0.join("\n").replace(&folder.path().display().to_string(), ""))
}

#[test]
fn keys_come_from_the_environment_and_from_files() {
    let file =
        "store:\n  address: sqlite:./a.db\n  encryption:\n    key: env:SAGA_STORE_KEY\n    previous: [file:old.key]\n";
    let config = check(file, &[("SAGA_STORE_KEY", KEY)]).expect("good");
    assert!(config.store.place().ends_with("a.db"), "{}", config.store.place());
    let ring = &config.encryption;
    assert!(ring.current.is_some() && ring.previous.len() == 1 && ring.current.as_ref() != ring.previous.first());
    let shown = format!("{config:?}");
    assert!(!shown.contains(KEY) && !shown.contains(OTHER), "{shown}");
    assert_eq!(saga_base::secrets::covered(&format!("x {KEY} y")), "x *** y");
}

#[test]
fn without_a_key_the_store_is_not_encrypted() {
    assert!(check("store: sqlite:a.db\n", &[]).expect("good").encryption.is_empty());
    let variables = [("SAGA_STORE_ENCRYPTION_PREVIOUS", "env:A, env:B"), ("A", KEY), ("B", OTHER)];
    let ring = check("store: sqlite:a.db\n", &variables).expect("good").encryption;
    assert_eq!((ring.current.is_some(), ring.previous.len()), (false, 2));
}

#[test]
fn what_is_no_key_is_refused_and_not_shown() {
    let file = |key: &str| format!("store: {{encryption: {{key: '{key}'}}}}\n");
    for (key, told) in [
        (KEY, "`store.encryption.key`: expected the place of a key: `env:NAME` or `file:PATH`"),
        ("env:", "expected the place of a key"),
        ("env:SHORT", "the environment variable `SHORT` has no key: expected 32 random bytes in base64"),
        ("env:NOT_SET", "the environment variable `NOT_SET` is not set"),
        ("file:nowhere", "the file /nowhere cannot be read: entity not found"),
        ("env:GOOD,env:GOOD", "expected one key; `store.encryption.previous` takes the others"),
    ] {
        let refused = check(&file(key), &[("SHORT", "c2hvcnQgYW5kIHNlY3JldA=="), ("GOOD", OTHER)]).expect_err(key);
        assert!(refused.starts_with("/c.yaml: ") && refused.contains(told), "{refused}");
        assert!(!refused.contains(KEY) && !refused.contains("c2hvcnQ"), "{refused}");
    }
}

#[test]
fn a_variable_that_only_the_machine_has_is_no_problem_of_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, "store: {encryption: {key: 'env:NOT_HERE', previous: 'file:'}}\n").expect("written");
    let wrong = wrong_in_file(&ConfigSources { file: Some(&path), env: BTreeMap::new(), flags: Vec::new() });
    let told: Vec<&str> = wrong.iter().map(|wrong| wrong.message.as_str()).collect();
    assert!(told.len() == 1 && told[0].starts_with("`store.encryption.previous`: expected the place"), "{told:?}");
}
