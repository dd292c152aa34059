//! What formatting and lints do not see: sizes of files, where they lie, what they name, and whether links lead
//! somewhere.

use saga_tests::repository_root;
use std::{collections::BTreeSet, fs, path::Path};

/// A file beyond this is two files. Most have less than 200 lines.
const LONGEST_SOURCE: usize = 600;
/// Folders that nobody wrote.
const GENERATED: [&str; 5] = [".git", "target", ".saga-dev", ".test-tools", "node_modules"];
/// Extensions of the files that people write.
const WRITTEN: [&str; 10] = ["rs", "md", "toml", "yaml", "yml", "sql", "sh", "json", "html", "properties"];

struct Source {
    /// From the repository's root, with slashes.
    path: String,
    text: String,
}

/// All files that people write, and those without an extension, which are scripts.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&repository_root(), &mut found);
    assert!(found.len() > 50, "the repository was not found: {} files", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the repository can be read") {
        let path = entry.expect("the repository can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if GENERATED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.is_file() && is_written(&path) {
            // Bytes that are no text are nobody's prose.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let below = path.strip_prefix(repository_root()).expect("the walk began at the root");
            found.push(Source { path: below.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

fn is_written(path: &Path) -> bool {
    path.extension().is_none_or(|extension| WRITTEN.iter().any(|it| extension == *it))
}

fn with_extension(extension: &str) -> impl Iterator<Item = Source> {
    let ending = format!(".{extension}");
    sources().into_iter().filter(move |source| source.path.ends_with(&ending))
}

/// Fails with all findings at once.
fn check(rule: &str, findings: impl IntoIterator<Item = String>) {
    let findings: Vec<String> = findings.into_iter().collect();
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

fn mentions<'a>(source: &'a Source, words: &'a [String]) -> impl Iterator<Item = String> + 'a {
    source.text.lines().enumerate().filter_map(move |(number, line)| {
        let word = words.iter().find(|word| line.contains(word.as_str()))?;
        Some(format!("{}:{}: {word}", source.path, number + 1))
    })
}

#[test]
fn no_source_file_is_long() {
    let long = with_extension("rs").filter_map(|source| {
        let lines = source.text.lines().count();
        (lines > LONGEST_SOURCE).then(|| format!("{}: {lines} lines", source.path))
    });
    check("a source file has at most 600 lines", long);
}

/// Columns of a comment, as rustfmt has them for code.
const WIDEST_COMMENT: usize = 120;

#[test]
fn no_comment_is_wide() {
    let wide = with_extension("rs").flat_map(|source| {
        let lines = source.text.lines().enumerate();
        let is_wide = |line: &str| line.trim_start().starts_with("//") && line.chars().count() > WIDEST_COMMENT;
        let found: Vec<String> = lines
            .filter(|(_, line)| is_wide(line))
            .map(|(number, _)| format!("{}:{}", source.path, number + 1))
            .collect();
        found
    });
    check("a comment has at most 120 columns", wide);
}

/// Packages whose `src` a path of ARCHITECTURE.md leaves out.
const SHORT_PATHS: [&str; 10] =
    ["base", "brokers", "contract", "core", "engine", "guards", "kafka", "participant", "resilience", "wire"];

#[test]
fn what_the_architecture_names_is_there() {
    let sources = sources();
    let page = sources.iter().find(|source| source.path == "ARCHITECTURE.md").expect("the page is there");
    let words = page.text.split('`').skip(1).step_by(2);
    let paths: Vec<&str> = words.filter(|word| word.ends_with(".rs") || word.ends_with(".sql")).collect();
    assert!(paths.len() > 50, "the paths were not found: {}", paths.len());
    let gone = paths.into_iter().filter(|path| !sources.iter().any(|source| is_named(&source.path, path)));
    check("ARCHITECTURE.md names files that exist", gone.map(str::to_owned));
}

fn is_named(file: &str, path: &str) -> bool {
    let whole = path.split_once('/').and_then(|(package, rest)| match package {
        "event-store" => Some(format!("event-store/src/{rest}")),
        package if SHORT_PATHS.contains(&package) => Some(format!("orchestrator/{package}/src/{rest}")),
        _ => None,
    });
    whole.is_some_and(|whole| whole == file) || file == path || file.ends_with(&format!("/{path}"))
}

#[test]
fn a_module_is_named_by_its_file() {
    let unnamed = with_extension("rs").map(|source| source.path).filter(|path| path.ends_with("/mod.rs"));
    check("`foo.rs` beside `foo/`, not `foo/mod.rs`", unnamed);
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    // Put together here, so that this file does not name them either.
    let words: Vec<String> = [
        ("/wo", "rk/"),
        ("/ho", "me/"),
        ("/ro", "ot/"),
        ("crates", ".io/"),
        ("index.crates", ".io"),
        ("repo1.maven", ".org"),
        ("maven.apache", ".org/maven2"),
        ("pypi", ".org"),
        ("npmjs", ".org"),
        ("registry-1.docker", ".io"),
        ("ghcr", ".io"),
        ("hub.docker", ".com"),
        ("quay", ".io"),
        ("deb.debian", ".org"),
        ("proxy.golang", ".org"),
    ]
    .iter()
    .map(|(one, two)| format!("{one}{two}"))
    .collect();
    let sources = sources();
    check(
        "no paths of one machine, no hosts of registries",
        sources.iter().flat_map(|source| mentions(source, &words)),
    );
}

#[test]
fn the_core_and_the_guards_read_no_clock_and_draw_no_lots() {
    let words = ["Instant::now", "SystemTime::now", "Timestamp::now", "fastrand", "thread_rng", "async fn", ".await"];
    let words: Vec<String> = words.map(str::to_owned).into();
    let pure = |source: &Source| {
        ["orchestrator/core/src", "orchestrator/guards/src"].iter().any(|it| source.path.starts_with(it))
    };
    let sources: Vec<Source> = with_extension("rs").filter(pure).collect();
    check(
        "time and randomness are arguments there, and nothing waits",
        sources.iter().flat_map(|it| mentions(it, &words)),
    );
}

#[test]
fn no_test_is_parked_and_none_sleeps() {
    let words: Vec<String> = [("#[ign", "ore"), ("thread::sl", "eep"), ("time::sl", "eep(")]
        .iter()
        .map(|(one, two)| format!("{one}{two}"))
        .collect();
    let tests: Vec<Source> = with_extension("rs").filter(|source| source.path.starts_with("tests/tests/")).collect();
    check("a test runs, and waits for what it needs", tests.iter().flat_map(|source| mentions(source, &words)));
}

#[test]
fn every_shipped_definition_is_exercised() {
    let sources = sources();
    let tests: Vec<&Source> = sources.iter().filter(|source| source.path.starts_with("tests/")).collect();
    let shipped =
        sources.iter().filter(|source| source.path.starts_with("sagas/") && source.path.ends_with(".saga.yaml"));
    let unused = shipped.map(|source| file_name(&source.path)).filter(|name| {
        let stem = name.trim_end_matches(".saga.yaml");
        !tests.iter().any(|test| test.text.contains(stem))
    });
    check("no test under tests/ mentions the definition", unused.map(str::to_owned));
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let pages: Vec<Source> = with_extension("md").collect();
    check("links that lead nowhere", pages.iter().flat_map(dead_links));
}

fn dead_links(page: &Source) -> Vec<String> {
    let folder = repository_root().join(Path::new(&page.path).parent().unwrap_or(Path::new("")));
    let is_local = |link: &&str| !link.contains("://") && !link.starts_with("mailto:");
    let dead = |link: &&str| {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if path.is_empty() { repository_root().join(&page.path) } else { folder.join(path) };
        !target.exists() || (!anchor.is_empty() && !anchors(&target).contains(anchor))
    };
    links(&page.text).filter(is_local).filter(dead).map(|link| format!("{}: {link}", page.path)).collect()
}

/// Targets of `[text](target)` outside fenced code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split([')', ' ']).next())
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// A heading's anchor: lower case, spaces as hyphens, other signs dropped.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let headings = prose(&text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    headings.map(slug).collect()
}
