//! Alerts and dashboards ask for figures that exist. Each alert has a section of the runbooks, and tests of its own.

use saga_tests::repository_root;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

struct Alert {
    name: String,
    /// What is between its name and its labels.
    expression: String,
    runbook: String,
}

fn text(path: &str) -> String {
    fs::read_to_string(repository_root().join(path)).expect("a file of the repository can be read")
}

/// The files of a folder with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository_root().join(folder)).expect("a folder of the repository can be read");
    let paths = entries.map(|entry| entry.expect("a folder of the repository can be read").path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|it| it == ending)).collect();
    found.sort();
    found
}

fn alerts() -> Vec<Alert> {
    let text = text("deploy/prometheus/alerts.yaml");
    let found = text.split("- alert: ").skip(1).map(|alert| {
        let (name, rest) = alert.split_once('\n').expect("an alert has lines below its name");
        let (expression, rest) = rest.split_once("labels:").expect("an alert has labels");
        let runbook = rest.lines().find_map(|line| line.trim().strip_prefix("runbook: ")).unwrap_or_default();
        Alert { name: name.to_owned(), expression: expression.to_owned(), runbook: runbook.to_owned() }
    });
    let found: Vec<Alert> = found.collect();
    assert!(found.len() > 40, "{} alerts were found", found.len());
    found
}

/// The metrics that an expression names, as they are recorded.
fn metrics(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    let ours = words.filter(|word| word.starts_with("saga_") || word.starts_with("resilience4j_"));
    let recorded = |word: &str| {
        let of_histogram = ["_count", "_sum", "_bucket"].iter().find_map(|ending| word.strip_suffix(ending));
        of_histogram.unwrap_or(word).to_owned()
    };
    ours.map(recorded).collect()
}

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source can be read"));
        }
    }
}

/// The sources of the packages that record figures.
fn recording_code() -> String {
    let mut code = String::new();
    for package in ["", "/base", "/engine", "/kafka", "/resilience", "/wire"] {
        sources(&repository_root().join(format!("orchestrator{package}/src")), &mut code);
    }
    code
}

#[test]
fn every_alert_asks_for_figures_that_are_recorded_and_described() {
    let code = recording_code();
    let described = text("docs/metrics.md");
    for alert in alerts() {
        let asked = metrics(&alert.expression);
        assert!(!asked.is_empty(), "{} asks for no figure: {}", alert.name, alert.expression);
        for metric in asked {
            assert!(code.contains(&format!("\"{metric}\"")), "{} asks for {metric}, which nobody records", alert.name);
            assert!(described.contains(&format!("`{metric}`")), "docs/metrics.md does not tell what {metric} is");
        }
    }
}

#[test]
fn every_alert_has_a_section_of_the_runbooks_and_each_section_an_alert() {
    let text = text("docs/runbooks.md");
    let sections: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();
    for alert in &alerts {
        assert_eq!(alert.runbook, format!("docs/runbooks.md#{}", alert.name.to_lowercase()), "of {}", alert.name);
    }
    assert_eq!(sections, alerts.iter().map(|alert| alert.name.as_str()).collect());
}

/// `tests/run` runs them with promtool.
#[test]
fn every_alert_has_a_test_that_it_fires_and_one_that_it_does_not() {
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for file in files("deploy/prometheus/tests", "yaml") {
        let text = fs::read_to_string(&file).expect("a test of alerts can be read");
        for case in text.split("alertname: ").skip(1) {
            let (name, expected) = case.split_once('\n').expect("an expectation stands below the name of its alert");
            match expected.trim_start().strip_prefix("exp_alerts:") {
                Some(none) if none.starts_with(" []") => silent.insert(name.to_owned()),
                Some(some) if some.trim_start().starts_with("- exp_labels:") => firing.insert(name.to_owned()),
                _ => panic!("{}: what is expected of {name} cannot be read", file.display()),
            };
        }
    }
    let names: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(firing, names, "tests in which alerts fire, and all alerts");
    assert_eq!(silent, names, "tests in which alerts do not fire, and all alerts");
}

/// A counter appears with its first event, of which `increase` sees nothing.
#[test]
fn what_happens_for_the_first_time_is_told() {
    let growing = |alert: &Alert| {
        let counters = alert.expression.split("increase(").skip(1);
        counters.filter_map(|rest| rest.split(['{', '[']).next()).map(str::to_owned).collect::<Vec<_>>()
    };
    let all = alerts();
    assert!(all.iter().flat_map(growing).count() > 8, "few alerts look at counters");
    for alert in all {
        for counter in growing(&alert) {
            let born = format!("unless {counter} offset ");
            assert!(alert.expression.contains(&born), "{} misses the first event of {counter}", alert.name);
        }
    }
}

struct Dashboard {
    file: String,
    json: serde_json::Value,
}

impl Dashboard {
    fn panels(&self) -> &[serde_json::Value] {
        self.json["panels"].as_array().expect("a dashboard has panels")
    }

    /// Each panel that shows something, with what it asks for.
    fn targets(&self) -> impl Iterator<Item = (&serde_json::Value, &serde_json::Value)> {
        let shown = self.panels().iter().filter(|panel| panel["type"] != "row");
        shown.flat_map(|panel| panel["targets"].as_array().into_iter().flatten().map(move |target| (panel, target)))
    }
}

fn dashboards() -> Vec<Dashboard> {
    let read = |path: PathBuf| {
        let file = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let json = fs::read(&path).expect("a dashboard can be read");
        Dashboard { json: serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{file}: {error}")), file }
    };
    let found: Vec<Dashboard> = files("deploy/grafana", "json").into_iter().map(read).collect();
    assert!(found.len() >= 4, "{} dashboards were found", found.len());
    found
}

/// `tests/run` has promtool read the expressions.
#[test]
fn dashboards_ask_for_figures_that_are_recorded_and_described() {
    let code = recording_code();
    let described = text("docs/metrics.md");
    for board in dashboards() {
        let file = &board.file;
        let asked: BTreeSet<String> =
            board.targets().flat_map(|(_, target)| metrics(target["expr"].as_str().unwrap_or_default())).collect();
        assert!(asked.len() > 6, "{file} asks for {asked:?}");
        for metric in asked {
            assert!(code.contains(&format!("\"{metric}\"")), "{file} asks for {metric}, which nobody records");
            assert!(described.contains(&format!("`{metric}`")), "docs/metrics.md does not tell what {metric} is");
        }
    }
}

#[test]
fn dashboards_have_what_grafana_needs() {
    let mut uids = BTreeSet::new();
    for board in dashboards() {
        let (file, json) = (&board.file, &board.json);
        assert_eq!(json["schemaVersion"], 39, "{file}");
        assert!(json["title"].as_str().is_some_and(|title| !title.is_empty()), "{file} has no title");
        assert!(json["id"].is_null(), "{file}: the id of a dashboard belongs to one Grafana");
        let uid = json["uid"].as_str().unwrap_or_default();
        assert_eq!(uid.strip_prefix("saga-"), file.strip_suffix(".json"), "the uid follows the name of the file");
        assert!(uids.insert(uid.to_owned()), "{file}: another dashboard has the uid {uid}");
        let variables = json["templating"]["list"].as_array().expect("a dashboard has variables");
        let source = variables.iter().find(|it| it["name"] == "datasource").expect("the data source can be chosen");
        assert_eq!((&source["type"], &source["query"]), (&"datasource".into(), &"prometheus".into()), "{file}");
        let mut ids = BTreeSet::new();
        let mut places = BTreeSet::new();
        for panel in board.panels() {
            let title = panel["title"].as_str().expect("a panel has a title");
            assert!(ids.insert(panel["id"].as_u64()), "{file}: the id of {title} is taken");
            let place = &panel["gridPos"];
            assert!(places.insert((place["y"].as_u64(), place["x"].as_u64())), "{file}: {title} lies on another panel");
            let end = place["x"].as_u64().zip(place["w"].as_u64()).map(|(from, width)| from + width);
            assert!(end.is_some_and(|end| end <= 24), "{file}: {title} is beyond the page");
        }
        for (panel, target) in board.targets() {
            for owner in [panel, target] {
                assert_eq!(owner["datasource"]["uid"], "${datasource}", "{file}: {}", panel["title"]);
            }
            assert!(!target["expr"].as_str().unwrap_or_default().is_empty(), "{file}: {} asks nothing", panel["title"]);
        }
    }
}
