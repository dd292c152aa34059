//! The sources of a package as `syn` reads them: its modules with their items, without what is compiled for tests only.

use saga_tests::repository_root;
use std::{collections::BTreeMap, fs, path::Path};
use syn::{Attribute, Item};

/// Where a module stands in its package; the root is empty.
pub(crate) type ModulePath = Vec<String>;

/// A module of a package.
pub(crate) struct SourceModule {
    /// The file that the module's items are in, from the repository's root.
    pub(crate) file: String,
    /// The items that are compiled into the package itself.
    pub(crate) items: Vec<Item>,
}

/// A package's library, module by module.
pub(crate) type SourceTree = BTreeMap<ModulePath, SourceModule>;

/// Folders with the packages' `src`, from the repository's root, each with the name of its package.
pub(crate) const PACKAGES: [(&str, &str); 16] = [
    ("saga-base", "orchestrator/base"),
    ("saga-brokers", "orchestrator/brokers"),
    ("saga-contract", "orchestrator/contract"),
    ("saga-core", "orchestrator/core"),
    ("saga-engine", "orchestrator/engine"),
    ("saga-event-store", "event-store"),
    ("saga-guard-bench", "orchestrator/resilience/bench"),
    ("saga-guards", "orchestrator/guards"),
    ("saga-kafka", "orchestrator/kafka"),
    ("saga-orchestrator", "orchestrator"),
    ("saga-participant", "orchestrator/participant"),
    ("saga-registry", "schemas/registry"),
    ("saga-resilience", "orchestrator/resilience"),
    ("saga-schemas", "schemas"),
    ("saga-tests", "tests"),
    ("saga-wire", "orchestrator/wire"),
];

/// All modules of the library of the package in `folder`.
pub(crate) fn read_package(folder: &str) -> SourceTree {
    let mut tree = SourceTree::new();
    let source = repository_root().join(folder).join("src");
    read_file(&source.join("lib.rs"), &source, ModulePath::new(), &mut tree);
    tree
}

/// `children` is the folder in which the files of the module's own modules are.
fn read_file(file: &Path, children: &Path, path: ModulePath, tree: &mut SourceTree) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    read_items(parsed.items, file, children, path, tree);
}

fn read_items(items: Vec<Item>, file: &Path, children: &Path, path: ModulePath, tree: &mut SourceTree) {
    let mut own = Vec::new();
    for item in items {
        match item {
            Item::Mod(module) if is_test(&module.attrs) => {}
            Item::Mod(module) => {
                let name = module.ident.to_string();
                let (inner, below) = ([path.as_slice(), std::slice::from_ref(&name)].concat(), children.join(&name));
                match module.content {
                    Some((_, items)) => read_items(items, file, &below, inner, tree),
                    None => read_file(&children.join(format!("{name}.rs")), &below, inner, tree),
                }
            }
            other => own.push(other),
        }
    }
    let below_root = file.strip_prefix(repository_root()).expect("the walk began at the root");
    tree.insert(path, SourceModule { file: below_root.to_string_lossy().replace('\\', "/"), items: own });
}

/// Whether an item is compiled for tests only.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let condition = attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        let words = condition.replace(' ', "");
        words == "test" || words.starts_with("any(test,") || words == r#"feature="simulated""#
    })
}
