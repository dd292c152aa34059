//! A type's name says alone what the type is: it has two words, and no other type of the workspace has it.

use crate::crate_sources::{PACKAGES, read_package};
use std::collections::BTreeMap;
use syn::{Ident, Item};

/// Names of one word that stay, each with the reason.
const ONE_WORD: [(&str, &str); 2] = [
    ("Engine", "the product's word for the process that runs sagas"),
    ("Timestamp", "the one notion of a time in the core"),
];

/// Names that two types have, each with the reason.
const SHARED: [(&str, &str); 0] = [];

/// Every type of the workspace, with the files that define one of that name.
fn types() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (_, folder) in PACKAGES {
        for module in read_package(folder).into_values() {
            for name in module.items.iter().filter_map(type_name) {
                found.entry(name.to_string()).or_default().push(module.file.clone());
            }
        }
    }
    assert!(found.len() > 500, "the sources were not found: {} types", found.len());
    found
}

fn type_name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Struct(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

#[test]
fn no_two_types_share_a_name() {
    let allowed: BTreeMap<_, _> = SHARED.into_iter().collect();
    let shared: Vec<String> = types()
        .into_iter()
        .filter(|(name, files)| files.len() > 1 && !allowed.contains_key(name.as_str()))
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert!(shared.is_empty(), "two types have one name:\n  {}", shared.join("\n  "));
}

#[test]
fn a_type_name_has_two_words() {
    let allowed: BTreeMap<_, _> = ONE_WORD.into_iter().collect();
    let words = |name: &str| name.chars().filter(char::is_ascii_uppercase).count();
    let short: Vec<String> = types()
        .into_iter()
        .filter(|(name, _)| words(name) < 2 && !allowed.contains_key(name.as_str()))
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert!(short.is_empty(), "a type's name is one word, which says too little:\n  {}", short.join("\n  "));
}

#[test]
fn what_is_allowed_is_still_there() {
    let types = types();
    let stale: Vec<&str> =
        ONE_WORD.iter().chain(&SHARED).map(|(name, _)| *name).filter(|name| !types.contains_key(*name)).collect();
    assert!(stale.is_empty(), "no type has this name any more: {stale:?}");
}
