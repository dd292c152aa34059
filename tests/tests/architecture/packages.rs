//! The boundaries between the packages, read from what Cargo knows of them.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Package → packages of ours that it may depend on, in whatever kind (normal, dev, build). Each uses only what stands
/// above it.
const EDGES: [(&str, &[&str]); 16] = [
    ("saga-brokers", &[]),
    ("saga-guards", &[]),
    ("saga-contract", &[]),
    ("saga-core", &["saga-contract", "saga-guards"]),
    ("saga-event-store", &[]),
    ("saga-schemas", &[]),
    ("saga-registry", &["saga-schemas"]),
    ("saga-participant", &["saga-brokers", "saga-contract"]),
    ("saga-base", &["saga-core"]),
    ("saga-wire", &["saga-base", "saga-contract", "saga-core", "saga-schemas"]),
    ("saga-kafka", &["saga-base", "saga-brokers", "saga-core", "saga-wire"]),
    ("saga-resilience", &["saga-base", "saga-contract", "saga-core", "saga-guards"]),
    ("saga-guard-bench", &["saga-core", "saga-guards", "saga-resilience"]),
    (
        "saga-engine",
        &[
            "saga-base",
            "saga-core",
            "saga-event-store",
            "saga-guards",
            "saga-kafka",
            "saga-registry",
            "saga-resilience",
            "saga-schemas",
            "saga-wire",
        ],
    ),
    (
        "saga-orchestrator",
        &[
            "saga-base",
            "saga-contract",
            "saga-core",
            "saga-engine",
            "saga-event-store",
            "saga-kafka",
            "saga-participant",
            "saga-registry",
            "saga-resilience",
            "saga-schemas",
            "saga-wire",
        ],
    ),
    // Its own readers of records and rows judge the engine: the oracle shares no code with what it judges.
    ("saga-tests", &["saga-brokers", "saga-core", "saga-participant"]),
];

/// Nothing that does or schedules input and output: purity is a fact of the manifest.
const IMPURE: [&str; 13] = [
    "async-trait",
    "axum",
    "fastrand",
    "futures",
    "futures-util",
    "hyper",
    "metrics",
    "rand",
    "rdkafka",
    "reqwest",
    "sqlx",
    "tokio",
    "tracing",
];

/// Libraries whose callers branch on their errors.
const TYPED_ERRORS: [&str; 12] = [
    "saga-base",
    "saga-contract",
    "saga-core",
    "saga-engine",
    "saga-event-store",
    "saga-guards",
    "saga-kafka",
    "saga-participant",
    "saga-registry",
    "saga-resilience",
    "saga-schemas",
    "saga-wire",
];

struct Package {
    manifest: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Other,
}

fn packages() -> BTreeMap<String, Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    packages.iter().map(package).collect()
}

fn package(value: &Value) -> (String, Package) {
    let text = |value: &Value| value.as_str().expect("metadata has text here").to_owned();
    let dependency = |value: &Value| Dependency {
        name: text(&value["name"]),
        kind: if value["kind"].is_null() { Kind::Normal } else { Kind::Other },
    };
    let dependencies = value["dependencies"].as_array().expect("a package lists its dependencies");
    let package = Package {
        manifest: text(&value["manifest_path"]),
        dependencies: dependencies.iter().map(dependency).collect(),
    };
    (text(&value["name"]), package)
}

#[test]
fn dependencies_between_packages_go_one_way() {
    let packages = packages();
    let expected: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    assert_eq!(packages.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "the packages");
    for (name, package) in &packages {
        let ours: BTreeSet<&str> = package.dependencies.iter().map(|it| it.name.as_str()).collect();
        let wrong: Vec<&str> =
            ours.into_iter().filter(|it| expected.contains_key(it) && !expected[name.as_str()].contains(it)).collect();
        assert!(wrong.is_empty(), "{name} must not depend on {wrong:?}: see the edges at the head of this file");
    }
}

#[test]
fn the_core_and_the_guards_are_pure() {
    let packages = packages();
    for name in ["saga-contract", "saga-core", "saga-guards", "saga-schemas", "saga-wire"] {
        let impure: Vec<&str> =
            packages[name].dependencies.iter().map(|it| it.name.as_str()).filter(|it| IMPURE.contains(it)).collect();
        assert!(
            impure.is_empty(),
            "{name} decides and computes, it does not perform: {impure:?} does not belong into it"
        );
    }
}

#[test]
fn libraries_name_their_errors() {
    let packages = packages();
    for name in TYPED_ERRORS {
        let package = &packages[name];
        let vague = package.dependencies.iter().any(|it| it.name == "anyhow" && it.kind == Kind::Normal);
        assert!(!vague, "{name} is a library: its errors are enums, not anyhow");
    }
}

#[test]
fn every_package_obeys_the_lints_of_the_workspace() {
    for (name, package) in packages() {
        let manifest = std::fs::read_to_string(&package.manifest).expect("cargo read it a moment ago");
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{name} lacks `[lints] workspace = true`");
    }
}

#[test]
fn unsafe_code_is_in_one_package() {
    for (name, package) in packages() {
        let sources = std::path::Path::new(&package.manifest).with_file_name("src");
        let allowed = files_with(&sources, "unsafe_code");
        assert!(allowed.is_empty() || name == "saga-brokers", "{name} allows unsafe code: {allowed:?}");
    }
}

fn files_with(folder: &std::path::Path, word: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a package has its sources in `src`");
    let paths = entries.map(|entry| entry.expect("the folder was read a moment ago").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_with(&path, word),
            false => Vec::from_iter(std::fs::read_to_string(&path).is_ok_and(|it| it.contains(word)).then_some(path)),
        })
        .collect()
}
