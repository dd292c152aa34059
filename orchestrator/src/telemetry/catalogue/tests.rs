//! The lists of metrics say what the sources record, and the page says what the lists say.

use super::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const PACKAGES: [&str; 6] = ["", "base", "engine", "kafka", "resilience", "wire"];
const KINDS: [MetricKind; 3] = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram];
/// Files that list metrics; their texts record nothing.
const LISTS: [&str; 4] = ["metric_catalogue.rs", "own.rs", "metric_info.rs", "tests.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            sources(&path, into);
        } else if name.ends_with(".rs") && !LISTS.contains(&name.as_str()) {
            let text = fs::read_to_string(&path).expect("a source can be read");
            into.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned());
        }
    }
}

fn recording_code() -> Vec<String> {
    let mut found = Vec::new();
    PACKAGES.iter().for_each(|package| sources(&root().join(package).join("src"), &mut found));
    found
}

/// What stands after `macro!(`, up to the next comma or bracket: a literal, or the name of an argument.
fn first_arguments<'a>(code: &'a str, called: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = code.split(called).skip(1);
    parts.filter_map(|rest| rest.trim_start().split([',', ')']).next())
}

/// The literals of a file that look like names of metrics.
fn names(code: &str) -> BTreeSet<&str> {
    let literals = code.split('"');
    let is_name = |text: &&str| text.starts_with("saga_") || text.starts_with("resilience4j_");
    literals.filter(is_name).filter(|text| text.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')).collect()
}

/// What a macro records whose first argument is this; with a function that takes the name: every name of its file.
fn named<'a>(code: &'a str, argument: &'a str, kind: MetricKind) -> Vec<(&'a str, Option<MetricKind>)> {
    match argument.trim().strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(literal) => vec![(literal, Some(kind))],
        None => names(code).into_iter().map(|name| (name, None)).collect(),
    }
}

/// What is recorded, by name, with the kinds of the macros that record it.
fn recorded(files: &[String]) -> BTreeMap<&str, BTreeSet<&'static str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (code, kind) in files.iter().flat_map(|code| KINDS.map(|kind| (code, kind))) {
        let called = match kind {
            MetricKind::Counter => "counter!(",
            MetricKind::Gauge => "gauge!(",
            MetricKind::Histogram => "histogram!(",
        };
        for (name, kind) in first_arguments(code, called).flat_map(|argument| named(code, argument, kind)) {
            found.entry(name).or_default().extend(kind.map(MetricKind::as_str));
        }
    }
    found
}

#[test]
fn every_metric_that_is_recorded_is_described_and_every_description_is_of_one() {
    let files = recording_code();
    let recorded = recorded(&files);
    assert!(recorded.len() > 80, "few metrics were found: {recorded:?}");
    let described: BTreeMap<&str, MetricKind> = all().map(|metric| (metric.name, metric.kind)).collect();
    assert_eq!(described.len(), all().count(), "two entries have one name");
    for (name, kind) in &recorded {
        let listed =
            described.get(name).unwrap_or_else(|| panic!("{name} is recorded: add it to a metric_catalogue.rs"));
        let others: Vec<_> = kind.iter().filter(|kind| **kind != listed.as_str()).collect();
        assert!(others.is_empty(), "{name} is recorded as {others:?}, and described as {listed:?}");
    }
    let unused: Vec<_> = described.keys().filter(|name| !recorded.contains_key(*name)).collect();
    assert!(unused.is_empty(), "nobody records {unused:?}: take them out of their metric_catalogue.rs");
}

#[test]
fn names_say_what_a_metric_is() {
    for metric in all() {
        let is_counter = metric.kind == MetricKind::Counter;
        assert_eq!(metric.name.ends_with("_total"), is_counter, "only counters end with `_total`: {}", metric.name);
        assert!(!metric.name.ends_with("_ms"), "{}: seconds, as Prometheus has it", metric.name);
        assert!(!metric.plain_help().contains(['[', ']', '`']), "{}: {}", metric.name, metric.plain_help());
    }
}

const HEAD: &str = "# Metrics

The metrics of `/metrics`. This page is made from the lists in the sources; a test compares both, and `UPDATE_GOLDEN=1
cargo test -p saga-orchestrator --lib catalogue` writes it again. [Operations](operations.md#metrics) says what to know
about reading them.

";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (title, metrics) in PARTS {
        let mut metrics: Vec<_> = metrics.iter().collect();
        metrics.sort_by_key(|metric| metric.name);
        write!(page, "## {title}\n\n| name | kind | unit | labels | |\n|---|---|---|---|---|\n")
            .expect("a text takes it");
        metrics.into_iter().for_each(|metric| page.push_str(&line(metric)));
        page.push('\n');
    }
    page.trim_end().to_owned() + "\n"
}

fn line(metric: &MetricInfo) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let (kind, unit) = (metric.kind.as_str(), metric.unit().unwrap_or_default());
    format!("| `{}` | {kind} | {unit} | {} | {} |\n", metric.name, labels.join(", "), metric.help)
        .replace("|  |", "| |")
}

#[test]
fn the_page_has_what_the_lists_have() {
    let (path, page) = (root().join("../docs/metrics.md"), page());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).expect("docs/metrics.md can be read");
    assert!(written == page, "docs/metrics.md is old: write it again with UPDATE_GOLDEN=1");
}
