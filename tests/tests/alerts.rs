//! Alerts ask for figures that exist, and each has a page to turn to.

use saga_tests::repository_root;
use std::{collections::BTreeSet, fs, path::Path};

struct Alert {
    name: String,
    /// What is between its name and its labels.
    expression: String,
    runbook: String,
}

fn text(path: &str) -> String {
    fs::read_to_string(repository_root().join(path)).expect("a file of the repository can be read")
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
    assert!(found.len() > 20, "{} alerts were found", found.len());
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

#[test]
fn dashboards_ask_for_figures_that_are_recorded() {
    let code = recording_code();
    for file in ["deploy/grafana/guards.json", "deploy/grafana/sagas.json"] {
        let board: serde_json::Value = serde_json::from_str(&text(file)).expect("a dashboard is JSON");
        let panels = board["panels"].as_array().expect("it has panels");
        let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
        let asked: BTreeSet<String> =
            targets.flat_map(|target| metrics(target["expr"].as_str().unwrap_or_default())).collect();
        assert!(asked.len() > 8, "{file} asks for {asked:?}");
        for metric in asked {
            assert!(code.contains(&format!("\"{metric}\"")), "{file} asks for {metric}, which nobody records");
        }
    }
}
