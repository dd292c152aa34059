//! The table of docs/asvs.md: what it says is met is shown by tests that are there.

use anyhow::{Context, Result, ensure};
use saga_tests::repository_root;
use std::{collections::BTreeSet, fs, path::Path};

/// A row of the table.
struct AsvsRow {
    requirements: Vec<String>,
    state: String,
    tests: String,
}

fn rows() -> Result<Vec<AsvsRow>> {
    let page = fs::read_to_string(repository_root().join("docs/asvs.md"))?;
    let lines = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [requirements, _, state, _, tests] = cells.as_slice() else { return None };
        let requirements = requirements.split(", ").map(str::to_owned).collect();
        Some(AsvsRow { requirements, state: (*state).to_owned(), tests: (*tests).to_owned() })
    };
    lines.map(|line| row(line).with_context(|| format!("no row of five cells: {line}"))).collect()
}

/// All text of Rust below a folder.
fn sources(folder: &Path, text: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_ours = !["target", ".git"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && is_ours {
            sources(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[test]
fn every_test_that_the_table_names_is_there() -> Result<()> {
    let mut text = String::new();
    sources(&repository_root(), &mut text)?;
    let rows = rows()?;
    ensure!(rows.len() > 100, "the table has {} rows", rows.len());
    for row in rows {
        let named: Vec<&str> = row.tests.split('`').skip(1).step_by(2).collect();
        let shown = !named.is_empty() || row.tests == "review";
        ensure!(row.state != "met" || shown, "{:?} is met, and nothing shows it", row.requirements);
        ensure!(["met", "partly", "not met", "does not apply"].contains(&row.state.as_str()), "{}", row.state);
        for name in named {
            ensure!(text.contains(&format!("fn {name}(")), "{:?} names {name}, which is no test", row.requirements);
        }
    }
    Ok(())
}

#[test]
fn every_requirement_of_level_2_stands_there_once() -> Result<()> {
    /// Requirements of Levels 1 and 2, by chapter.
    const CHAPTERS: [usize; 16] = [27, 11, 19, 10, 9, 32, 18, 7, 7, 29, 13, 9, 13, 9, 13, 16];
    let all: Vec<String> = rows()?.into_iter().flat_map(|row| row.requirements).collect();
    let once: BTreeSet<&String> = all.iter().collect();
    ensure!(once.len() == all.len(), "a requirement stands there twice");
    for (chapter, expected) in (1..).zip(CHAPTERS) {
        let found = all.iter().filter(|id| id.starts_with(&format!("{chapter}."))).count();
        ensure!(found == expected, "chapter {chapter} has {found} requirements in place of {expected}");
    }
    Ok(())
}
