//! Which type of a reader takes what a type of a writer is, by Avro's rules.

use super::graph::{FieldNode, NodeIndex, RecordNode, SchemaGraph, SchemaNode};

/// Whether the reader's field takes what was written under the other's name: its own name first, then its aliases,
/// where no written field has its name.
pub(crate) fn reads(reader: &FieldNode, field: &FieldNode, written: &RecordNode) -> bool {
    let is_alias = || reader.aliases.iter().any(|alias| **alias == *field.name);
    reader.name == field.name || (is_alias() && !written.fields.iter().any(|it| it.name == reader.name))
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
