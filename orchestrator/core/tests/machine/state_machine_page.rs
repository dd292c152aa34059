//! The page `docs/state-machine.md` is what the core does. Its diagrams and tables are made of real decisions on real
//! sagas, and the page on disk is compared with them.

mod blocks;
mod cases;
mod diagram;
mod explored;
mod facts;
mod happens;
mod inputs;
mod known;
mod meanings;
mod observe;
mod offer;
mod overview;
mod render;
mod table;

use crate::transitions::explore;
use render::Page;
use saga_core::command::CommandDirection;
use std::{fs, path::PathBuf, sync::OnceLock};

const BEGINS: &str = "<!-- generated: ";
const ENDS: &str = "<!-- end of generated -->";
/// Writes the page anew.
const WRITES: &str = "SAGA_WRITE_STATE_MACHINE";
/// What the page is made of.
const PARTS: [&str; 14] = [
    "statuses",
    "starts",
    "saga diagram",
    "saga overview",
    "saga tables",
    "phases",
    "do diagrams",
    "do overview",
    "do tables",
    "undo diagrams",
    "undo overview",
    "undo tables",
    "after the end",
    "inputs",
];

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/state-machine.md")
}

/// Everything, asked once.
fn page() -> &'static Page {
    static PAGE: OnceLock<Page> = OnceLock::new();
    PAGE.get_or_init(Page::new)
}

/// The text with its generated parts made anew.
fn made_anew(text: &str) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGINS) {
        let (name, after) = after.split_once(" -->").expect("a marker has an end");
        let (_, after) = after.split_once(ENDS).expect("a generated part has an end");
        let part = page().render(name);
        made += &format!("{before}{BEGINS}{name} -->\n\n{}\n\n{ENDS}", part.trim_end());
        rest = after;
    }
    made + rest
}

#[test]
fn the_page_is_what_the_core_does() {
    let text = fs::read_to_string(path()).expect("docs/state-machine.md can be read");
    let made = made_anew(&text);
    if std::env::var_os(WRITES).is_some() {
        fs::write(path(), &made).expect("docs/state-machine.md can be written");
        return;
    }
    if let Some((line, found, expected)) = first_difference(&text, &made) {
        let anew = format!("{WRITES}=1 cargo test -p saga-core --test machine state_machine_page");
        let what = format!("docs/state-machine.md, line {line}, is not what the core does. To write it anew: {anew}");
        assert_eq!(found, expected, "{what}");
    }
}

/// The first line that differs, from 1, as it is in both texts; an end of a text differs from a line.
fn first_difference<'t>(one: &'t str, other: &'t str) -> Option<(usize, Option<&'t str>, Option<&'t str>)> {
    let most = one.lines().count().max(other.lines().count());
    let (mut ones, mut others) = (one.lines(), other.lines());
    (1..=most).map(|line| (line, ones.next(), others.next())).find(|(_, one, other)| one != other)
}

#[test]
fn the_page_has_every_part_once() {
    let text = fs::read_to_string(path()).expect("docs/state-machine.md can be read");
    for part in PARTS {
        let found = text.matches(&format!("{BEGINS}{part} -->")).count();
        assert_eq!(found, 1, "the part `{part}`");
    }
}

#[test]
fn no_edge_that_the_exploration_takes_is_missing() {
    let seen = explore();
    let (dos, undos, statuses) =
        (page().phases(CommandDirection::Do), page().phases(CommandDirection::Undo), page().statuses());
    for (direction, from, to) in &seen.phases {
        let drawn = if *direction == CommandDirection::Do { &dos } else { &undos };
        let is_drawn = drawn.contains_key(&(*from, *to));
        assert!(is_drawn, "{direction}: {from:?} to {to:?} is not in the diagrams: add a case");
    }
    for (from, to) in &seen.statuses {
        assert!(statuses.contains_key(&(*from, *to)), "{from} to {to} is not in the diagram: add a case");
    }
}

#[test]
fn no_move_that_the_exploration_takes_is_missing() {
    let missing = explored::missing(page());
    assert!(missing.is_empty(), "no case of the page has these moves, add some: {missing:#?}");
}

#[test]
fn every_input_is_offered_to_some_command() {
    let tables = ["saga tables", "do tables", "undo tables"].map(|part| page().render(part)).concat();
    for happens in happens::Happens::all() {
        let word = happens.word();
        assert!(tables.contains(word), "no table has the input `{word}`");
    }
}
