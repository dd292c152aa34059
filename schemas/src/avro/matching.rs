//! Which type of a reader takes what a type of a writer is, by Avro's rules.

use super::graph::{NodeIndex, RecordNode, SchemaGraph, SchemaNode};
use std::collections::{HashMap, HashSet};

/// For each field of the reader the written field that it takes, by its place: the one of its name, else one of its
/// aliases. A written field is taken once.
pub(crate) fn matched_fields(reader: &RecordNode, written: &RecordNode) -> Vec<Option<usize>> {
    let by_name: HashMap<&str, usize> = written.fields.iter().enumerate().map(|(at, it)| (&*it.name, at)).collect();
    let mut matched: Vec<Option<usize>> =
        reader.fields.iter().map(|field| by_name.get(&*field.name).copied()).collect();
    let mut taken: HashSet<usize> = matched.iter().copied().flatten().collect();
    for (field, found) in reader.fields.iter().zip(&mut matched).filter(|(_, found)| found.is_none()) {
        let mut written = field.aliases.iter().filter_map(|alias| by_name.get(alias.as_str()).copied());
        *found = written.find(|at| taken.insert(*at));
    }
    matched
}

/// The branch of the reader's union that takes a value: one of the same type and name, else of the same type, else one
/// that its type is promoted to.
pub(crate) fn best_branch(form: &SchemaGraph, written: &SchemaNode, branches: &[NodeIndex]) -> Option<NodeIndex> {
    let rank = |branch: &&NodeIndex| rank(written, form.node(**branch));
    branches.iter().filter(|branch| rank(branch).is_some()).min_by_key(rank).copied()
}

fn rank(written: &SchemaNode, wanted: &SchemaNode) -> Option<u8> {
    match (written.names(), wanted.names()) {
        (Some(writer), Some(reader)) if written.kind() == wanted.kind() => match reader.full == writer.full {
            true => Some(0),
            false => reader.reads(writer).then_some(1),
        },
        _ if written.kind() == wanted.kind() => Some(0),
        _ => promotes(written, wanted).then_some(2),
    }
}

/// Whether a value of one type is read as another.
pub(crate) fn promotes(written: &SchemaNode, wanted: &SchemaNode) -> bool {
    matches!(
        (written.kind(), wanted.kind()),
        ("int", "long" | "float" | "double") | ("long", "float" | "double") | ("float", "double")
    ) || matches!((written.kind(), wanted.kind()), ("string", "bytes") | ("bytes", "string"))
}
