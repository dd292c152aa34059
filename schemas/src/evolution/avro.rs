//! Whether a reader's Avro schema reads what a writer's wrote. Nothing here recurses: how deep types name each other is
//! up to the text.

use super::{
    MAX_FINDINGS,
    finding::{BreakKind, PlainBreak},
};
use crate::{
    avro::{
        graph::{EnumNode, FieldNode, FixedNode, NodeIndex, RecordNode, SchemaGraph, SchemaNode},
        matching::{best_branch, matched_fields, promotes},
    },
    logical::{BytesMeaning, LongMeaning},
    value_path::{PathPart, ValuePath},
};
use std::{collections::HashSet, sync::Arc};

/// Every break, in the order of the reader's fields.
pub(super) fn breaks(reader: &SchemaGraph, writer: &SchemaGraph) -> Vec<PlainBreak> {
    let mut comparison = AvroComparison { reader, writer, seen: HashSet::new(), open: Vec::new(), found: Vec::new() };
    comparison.open.push((ValuePath::default(), reader.root(), writer.root()));
    while let Some((path, wanted, written)) = comparison.open.pop() {
        if comparison.found.len() >= MAX_FINDINGS {
            break;
        }
        // A pair of types is judged once, at the first place where it comes.
        if comparison.seen.insert((wanted, written)) {
            comparison.judge(&path, wanted, written);
        }
    }
    comparison.found
}

struct AvroComparison<'g> {
    reader: &'g SchemaGraph,
    writer: &'g SchemaGraph,
    seen: HashSet<(NodeIndex, NodeIndex)>,
    open: Vec<(ValuePath, NodeIndex, NodeIndex)>,
    found: Vec<PlainBreak>,
}

impl AvroComparison<'_> {
    fn judge(&mut self, path: &ValuePath, wanted_at: NodeIndex, written_at: NodeIndex) {
        let (wanted, written) = (self.reader.node(wanted_at), self.writer.node(written_at));
        match (wanted, written) {
            (_, SchemaNode::Union(branches)) => self.judge_branches(path, wanted_at, branches),
            (SchemaNode::Union(branches), _) => match best_branch(self.reader, written, branches) {
                Some(branch) => self.open.push((path.clone(), branch, written_at)),
                None => self.tell(path, BreakKind::BranchMissing, self.no_branch(wanted_at, written_at)),
            },
            (SchemaNode::Array(wanted), SchemaNode::Array(written)) => {
                self.open.push((path.and(PathPart::Item(0)), *wanted, *written));
            }
            (SchemaNode::Map(wanted), SchemaNode::Map(written)) => {
                self.open.push((path.and(PathPart::Key("*".to_owned())), *wanted, *written));
            }
            (SchemaNode::Record(wanted), SchemaNode::Record(written)) => self.judge_record(path, wanted, written),
            (SchemaNode::Enum(wanted), SchemaNode::Enum(written)) => self.judge_enum(path, wanted, written),
            (SchemaNode::Fixed(wanted), SchemaNode::Fixed(written)) => self.judge_fixed(path, wanted, written),
            _ => self.judge_scalar(path, wanted_at, written_at),
        }
    }

    fn tell(&mut self, path: &ValuePath, kind: BreakKind, message: impl Into<String>) {
        self.found.push(PlainBreak::new(path, kind, message));
    }

    fn no_branch(&self, wanted: NodeIndex, written: NodeIndex) -> String {
        let (wanted, written) = (self.reader.word(wanted), self.writer.word(written));
        format!("{written} is written, and {wanted} has no branch that reads it: keep the branch")
    }

    /// Of a union every branch may be written.
    fn judge_branches(&mut self, path: &ValuePath, wanted_at: NodeIndex, branches: &[NodeIndex]) {
        for branch in branches.iter().rev() {
            let written = self.writer.node(*branch);
            match self.reader.node(wanted_at) {
                SchemaNode::Union(_) => self.open.push((path.clone(), wanted_at, *branch)),
                wanted if wanted.kind() == written.kind() || promotes(written, wanted) => {
                    self.open.push((path.clone(), wanted_at, *branch));
                }
                _ => self.tell(path, BreakKind::BranchMissing, self.no_branch(wanted_at, *branch)),
            }
        }
    }

    fn judge_record(&mut self, path: &ValuePath, wanted: &RecordNode, written: &RecordNode) {
        if !wanted.names.reads(&written.names) {
            let (wanted, written) = (&wanted.names.full, &written.names.full);
            self.tell(path, BreakKind::NameChanged, renamed("record", wanted, written));
        }
        let matched = matched_fields(wanted, written);
        for (field, found) in wanted.fields.iter().zip(matched).rev() {
            let below = path.and(PathPart::Field(Arc::clone(&field.name)));
            match found {
                Some(found) => self.open.push((below, field.node, written.fields[found].node)),
                None if field.default.is_some() => {}
                None => self.tell(&below, BreakKind::FieldMissing, not_written(field, written)),
            }
        }
    }

    fn judge_enum(&mut self, path: &ValuePath, wanted: &EnumNode, written: &EnumNode) {
        if !wanted.names.reads(&written.names) {
            let (wanted, written) = (&wanted.names.full, &written.names.full);
            self.tell(path, BreakKind::NameChanged, renamed("enum", wanted, written));
        }
        let known: HashSet<&Arc<str>> = wanted.symbols.iter().collect();
        let is_unknown = |symbol: &&Arc<str>| wanted.default.is_none() && !known.contains(symbol);
        for symbol in written.symbols.iter().filter(is_unknown) {
            let name = &wanted.names.full;
            let told = format!("`{symbol}` is written, and is no symbol of {name}: keep it, or give {name} a default");
            self.tell(path, BreakKind::SymbolMissing, told);
        }
    }

    fn judge_fixed(&mut self, path: &ValuePath, wanted: &FixedNode, written: &FixedNode) {
        if !wanted.names.reads(&written.names) {
            let (wanted, written) = (&wanted.names.full, &written.names.full);
            self.tell(path, BreakKind::NameChanged, renamed("fixed", wanted, written));
        }
        if wanted.size != written.size {
            let told = format!("{} bytes are written, {} are read: keep the size", written.size, wanted.size);
            self.tell(path, BreakKind::FixedSize, told);
        }
        self.judge_bytes(path, wanted.meaning, written.meaning);
    }

    fn judge_bytes(&mut self, path: &ValuePath, wanted: BytesMeaning, written: BytesMeaning) {
        match (wanted, written) {
            _ if wanted == written => {}
            (
                BytesMeaning::Decimal { precision, scale },
                BytesMeaning::Decimal { precision: digits, scale: places },
            ) => {
                let told = format!("decimal({digits}, {places}) is written, decimal({precision}, {scale}) is read");
                self.tell(path, BreakKind::DecimalChanged, told);
            }
            _ => self.tell(path, BreakKind::FormChanged, another_form(wanted.word(), written.word())),
        }
    }

    fn judge_scalar(&mut self, path: &ValuePath, wanted_at: NodeIndex, written_at: NodeIndex) {
        let (wanted, written) = (self.reader.node(wanted_at), self.writer.node(written_at));
        if wanted.kind() != written.kind() && !promotes(written, wanted) {
            let kind = if promotes(wanted, written) { BreakKind::TypeNarrowed } else { BreakKind::TypeChanged };
            let told = format!("{} is written, {} is read", self.writer.word(written_at), self.reader.word(wanted_at));
            return self.tell(path, kind, told);
        }
        match (wanted, written) {
            (SchemaNode::Bytes(wanted), SchemaNode::Bytes(written)) => self.judge_bytes(path, *wanted, *written),
            _ if !same_form(wanted, written) => {
                self.tell(path, BreakKind::FormChanged, another_form(wanted.word(), written.word()));
            }
            _ => {}
        }
    }
}

/// Whether an expression sees the same kind of value, a promoted number included. Units of instants are no form: an
/// expression sees the text of an instant.
fn same_form(wanted: &SchemaNode, written: &SchemaNode) -> bool {
    match (wanted, written) {
        (SchemaNode::Int(wanted), SchemaNode::Int(written)) => wanted == written,
        (SchemaNode::Long(wanted), SchemaNode::Long(written)) => match (wanted, written) {
            (LongMeaning::Timestamp(_), LongMeaning::Timestamp(_))
            | (LongMeaning::LocalTimestamp(_), LongMeaning::LocalTimestamp(_)) => true,
            _ => wanted == written,
        },
        (SchemaNode::Long(wanted), SchemaNode::Int(_)) => *wanted == LongMeaning::Plain,
        (SchemaNode::Text(_), SchemaNode::Text(_)) => true,
        _ => wanted.kind() == written.kind() || !matches!(wanted, SchemaNode::Bytes(_) | SchemaNode::Text(_)),
    }
}

fn renamed(kind: &str, wanted: &str, written: &str) -> String {
    format!("the {kind} {written} is written, {wanted} is read: keep the name, or add the alias `{written}`")
}

fn not_written(field: &FieldNode, written: &RecordNode) -> String {
    let (name, record) = (&field.name, &written.names.full);
    format!("{record} is written without `{name}`, and its reader has no default for it: give the field a default")
}

fn another_form(wanted: &str, written: &str) -> String {
    format!("{written} is written, {wanted} is read: the bytes are the same, an expression sees another form")
}
