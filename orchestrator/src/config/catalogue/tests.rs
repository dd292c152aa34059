//! The list says what the configuration takes and what holds without it, and the page says what the list says.

use super::{
    super::{ConfigSources, load},
    *,
};
use crate::cli::CliArgs;
use clap::CommandFactory as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const HEAD: &str = "| key | default | environment | flag of `serve` | meaning |\n|---|---|---|---|---|\n";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md")
}

fn table() -> String {
    KEYS.iter().fold(HEAD.to_owned(), |mut table, key| {
        let (name, environment) = match key.form {
            KeyForm::Value => (key.name.to_owned(), format!(" `{}`", variable(key.name))),
            KeyForm::Map => (format!("{}.*", key.name), String::new()),
        };
        let default = match key.default {
            KeyDefault::None => "none".to_owned(),
            KeyDefault::Value(value) => format!("`{value}`"),
            KeyDefault::Said(words) => words.to_owned(),
        };
        let flag = key.flag.map(|flag| format!(" `{flag}`")).unwrap_or_default();
        writeln!(table, "| `{name}` | {default} |{environment} |{flag} | {} |", key.meaning).expect("a text takes it");
        table
    })
}

#[test]
fn the_page_has_what_the_list_has() {
    let written = fs::read_to_string(page()).expect("docs/configuration.md can be read");
    let begin = written.find(HEAD).expect("the page has the table");
    let end = written[begin..].find("\n\n").expect("text follows the table") + begin + 1;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let anew = format!("{}{}{}", &written[..begin], table(), &written[end..]);
        fs::write(page(), anew).expect("the page can be written");
    } else {
        assert!(written[begin..end] == table(), "docs/configuration.md is old: write it again with UPDATE_GOLDEN=1");
    }
}

/// A file with what other keys need to be there.
const NEEDED: &str = "
topics: {events: all.events}
api:
  auth:
    issuer: https://login.example.com/
    audience: saga
    jwks: https://login.example.com/jwks.json
    roles: {ops: operator}
";

fn loaded(variables: &[(String, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.yaml");
    fs::write(&file, NEEDED).expect("a file");
    let env: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
    let config = load(&ConfigSources { file: Some(&file), env, flags: Vec::new() });
    let config = config.unwrap_or_else(|errors| panic!("{variables:?}: {errors}"));
    // The key that seals sessions is another one in each process, and files are in the folder of the test.
    format!("{config:?}").replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn a_key_that_is_set_to_its_default_changes_nothing() {
    let without = loaded(&[]);
    for key in KEYS {
        let KeyDefault::Value(default) = key.default else { continue };
        assert_eq!(loaded(&[(variable(key.name), default)]), without, "{}", key.name);
    }
}

#[test]
fn every_flag_of_a_key_is_one_of_serve() {
    let command = CliArgs::command();
    let serve = command.find_subcommand("serve").expect("the command");
    let flags: BTreeSet<String> =
        serve.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect();
    for key in KEYS {
        assert!(key.flag.is_none_or(|flag| flags.contains(flag)), "{} has the flag {:?}", key.name, key.flag);
    }
}

#[test]
fn a_key_is_there_once() {
    assert_eq!(KEYS.iter().map(|key| key.name).collect::<BTreeSet<_>>().len(), KEYS.len());
}
