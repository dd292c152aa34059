//! Within a package arrows between modules go one way: of two modules side by side, only one may use the other.
//!
//! A module and its own submodules are one unit here: a child may name what its parent holds, and a parent its
//! children. What is compared is siblings, at every level of the tree, each with all that is below it. Re-exports are
//! followed to the module that defines the item.

use crate::crate_sources::{ModulePath, PACKAGES, SourceTree, read_package};
use std::collections::{BTreeMap, BTreeSet};
use syn::{Item, UseTree, Visibility, visit::Visit};

/// Sibling → siblings it uses, for each parent.
type SiblingArrows = BTreeMap<ModulePath, BTreeMap<String, BTreeSet<String>>>;

#[test]
fn no_circle_of_modules_within_a_package() {
    let circles: Vec<String> =
        PACKAGES.iter().flat_map(|(name, folder)| circles_of(name, &read_package(folder))).collect();
    assert!(circles.is_empty(), "modules use each other in a circle:\n  {}", circles.join("\n  "));
}

#[test]
fn a_circle_is_found_wherever_it_hides() {
    let tree = |a: &str, b: &str| {
        let module = |text: &str| crate::crate_sources::SourceModule {
            file: String::new(),
            items: syn::parse_file(text).expect("it is Rust").items,
        };
        SourceTree::from([
            (vec![], module("pub mod a; pub mod b; pub use b::Shared;")),
            (vec!["a".into()], module(a)),
            (vec!["b".into()], module(b)),
        ])
    };
    let circle = |a: &str, b: &str| circles_of("example", &tree(a, b));
    assert!(circle("use crate::b::X;", "").is_empty(), "one arrow is none");
    assert_eq!(circle("use crate::b::X;", "use super::a::Y;").len(), 1, "by imports");
    assert_eq!(circle("fn f() { crate::b::x() }", "fn g(y: crate::a::Y) {}").len(), 1, "by paths in code");
    assert_eq!(circle("use crate::Shared;", "use crate::a::Y;").len(), 1, "through a re-export");
}

fn circles_of(package: &str, tree: &SourceTree) -> Vec<String> {
    let mut arrows = SiblingArrows::new();
    for (from, module) in tree {
        let mut seen = PathCollector { tree, from, found: BTreeSet::new() };
        module.items.iter().for_each(|item| seen.visit_item(item));
        seen.found.iter().for_each(|to| add(&mut arrows, from, to));
    }
    arrows
        .iter()
        .filter_map(|(parent, siblings)| Some((parent, circle_in(siblings)?)))
        .map(|(parent, circle)| {
            let names: Vec<String> =
                circle.iter().map(|name| [parent.as_slice(), std::slice::from_ref(name)].concat().join("::")).collect();
            format!("{package}: {}", names.join(" → "))
        })
        .collect()
}

/// An arrow between two modules is one between the siblings above them that differ first.
fn add(arrows: &mut SiblingArrows, from: &ModulePath, to: &ModulePath) {
    let common = from.iter().zip(to).take_while(|(one, other)| one == other).count();
    if let (Some(one), Some(other)) = (from.get(common), to.get(common)) {
        arrows.entry(from[..common].to_vec()).or_default().entry(one.clone()).or_default().insert(other.clone());
    }
}

/// A way from a module back to itself.
fn circle_in(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    arrows.keys().find_map(|start| way(arrows, start, start, &mut BTreeSet::new()))
}

fn way(
    arrows: &BTreeMap<String, BTreeSet<String>>,
    from: &str,
    to: &str,
    been: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    for next in arrows.get(from).into_iter().flatten() {
        if next == to {
            return Some(vec![from.to_owned(), to.to_owned()]);
        }
        if been.insert(next.clone())
            && let Some(rest) = way(arrows, next, to, been)
        {
            return Some([vec![from.to_owned()], rest].concat());
        }
    }
    None
}

/// Collects the modules of the same package that an item names.
struct PathCollector<'a> {
    tree: &'a SourceTree,
    from: &'a ModulePath,
    found: BTreeSet<ModulePath>,
}

impl PathCollector<'_> {
    fn see(&mut self, segments: &[String]) {
        self.found.extend(absolute(self.from, segments).and_then(|path| defined_in(self.tree, &path, 0)));
    }
}

impl<'ast> Visit<'ast> for PathCollector<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for (path, _) in leaves(&item.tree, &[]) {
            self.see(&path);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.see(&segments);
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, _module: &'ast syn::ItemMod) {}
}

/// The path from the package's root; `None`: it does not say, or leads out of the package.
fn absolute(from: &ModulePath, segments: &[String]) -> Option<ModulePath> {
    let supers = segments.iter().take_while(|segment| *segment == "super").count();
    match segments.first()?.as_str() {
        "crate" => Some(segments[1..].to_vec()),
        "self" => Some([from, &segments[1..]].concat()),
        "super" => Some([&from[..from.len().checked_sub(supers)?], &segments[supers..]].concat()),
        _ => None,
    }
}

/// The module that defines what `path` names, through re-exports.
fn defined_in(tree: &SourceTree, path: &[String], depth: usize) -> Option<ModulePath> {
    // A re-export of a re-export of a re-export is not written here.
    if depth > 4 {
        return None;
    }
    let known = (0..=path.len()).rev().find(|length| tree.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(known);
    let exported = rest.first().and_then(|name| re_exported(tree, module, name));
    match exported {
        Some(target) => defined_in(tree, &[target.as_slice(), &rest[1..]].concat(), depth + 1),
        None => Some(module.to_vec()),
    }
}

fn re_exported(tree: &SourceTree, module: &[String], name: &str) -> Option<ModulePath> {
    let uses = tree[module].items.iter().filter_map(|item| match item {
        Item::Use(item) if !matches!(item.vis, Visibility::Inherited) => Some(item),
        _ => None,
    });
    let (path, _) = uses.flat_map(|item| leaves(&item.tree, &[])).find(|(_, shown)| shown == name)?;
    let path = if path[0] == "crate" || path[0] == "self" || path[0] == "super" {
        path
    } else {
        [vec!["self".into()], path].concat()
    };
    absolute(&module.to_vec(), &path)
}

/// Every path that a `use` names, with the name that it has afterwards.
fn leaves(tree: &UseTree, before: &[String]) -> Vec<(Vec<String>, String)> {
    let after = |name: String| [before, &[name]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &after(path.ident.to_string())),
        UseTree::Name(name) if name.ident == "self" => {
            vec![(before.to_vec(), before.last().cloned().unwrap_or_default())]
        }
        UseTree::Name(name) => vec![(after(name.ident.to_string()), name.ident.to_string())],
        UseTree::Rename(rename) => vec![(after(rename.ident.to_string()), rename.rename.to_string())],
        UseTree::Glob(_) => vec![(before.to_vec(), "*".into())],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(tree, before)).collect(),
    }
}
