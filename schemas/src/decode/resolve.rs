//! From a writer's and a reader's schema to the plan. Nothing here recurses: how deep types name each other is up to
//! the text.

use super::plan::{
    COST_OF_CONTAINER, FieldFate, FieldReading, ReadIndex, ReadPlan, ReadStep, RecordReading, SymbolReading, cost_of,
    cost_of_text,
};
use crate::avro::{
    graph::{EnumNode, FieldNode, NodeIndex, RecordNode, SchemaGraph, SchemaNode},
    matching::{best_branch, matched_fields},
};
use crate::logical::{BytesMeaning, IntMeaning, LongMeaning, TextMeaning};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

/// Types of one schema, and how those of another meet them. Pairs beyond it are mismatches: two schemas would have to
/// combine thousands of their types.
const MAX_STEPS: usize = 200_000;

/// How to read what `writer` wrote, as it was written.
pub(super) fn plan_of_one(writer: &SchemaGraph) -> ReadPlan {
    planned(writer, writer, SchemaSide::Writer)
}

/// How to read what `writer` wrote in the form of `reader`.
pub(super) fn plan(writer: &SchemaGraph, reader: &SchemaGraph) -> ReadPlan {
    planned(writer, reader, SchemaSide::Reader)
}

fn planned(writer: &SchemaGraph, reader: &SchemaGraph, side: SchemaSide) -> ReadPlan {
    let mut planner = PlanBuilder { writer, reader, steps: Vec::new(), known: HashMap::new(), open: VecDeque::new() };
    planner.place(side, writer.root(), reader.root());
    while let Some((step, of)) = planner.open.pop_front() {
        planner.steps[step.0] = planner.step(of);
    }
    ReadPlan { steps: planner.steps }
}

/// Whose form a value gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SchemaSide {
    /// The writer's own: there is no reader, or it drops the value.
    Writer,
    Reader,
}

type PlacedPair = (SchemaSide, NodeIndex, NodeIndex);

struct PlanBuilder<'g> {
    writer: &'g SchemaGraph,
    reader: &'g SchemaGraph,
    steps: Vec<ReadStep>,
    known: HashMap<PlacedPair, ReadIndex>,
    open: VecDeque<(ReadIndex, PlacedPair)>,
}

impl<'g> PlanBuilder<'g> {
    fn place(&mut self, side: SchemaSide, writer: NodeIndex, reader: NodeIndex) -> ReadIndex {
        let of = (side, writer, reader);
        if let Some(known) = self.known.get(&of) {
            return *known;
        }
        let at = ReadIndex(self.steps.len());
        self.steps.push(ReadStep::Mismatch(Arc::from("the two schemas combine too many types")));
        self.known.insert(of, at);
        if at.0 < MAX_STEPS {
            self.open.push_back((at, of));
        }
        at
    }

    fn forms(&self, side: SchemaSide) -> &'g SchemaGraph {
        match side {
            SchemaSide::Writer => self.writer,
            SchemaSide::Reader => self.reader,
        }
    }

    fn step(&mut self, (side, at, reader_at): PlacedPair) -> ReadStep {
        let form = self.forms(side);
        let (written, wanted) = (self.writer.node(at), form.node(reader_at));
        if let (SchemaNode::Union(branches), SchemaSide::Writer) = (written, side) {
            return ReadStep::Union(branches.iter().map(|branch| self.place(side, *branch, *branch)).collect());
        }
        if let SchemaNode::Union(branches) = written {
            return ReadStep::Union(branches.iter().map(|branch| self.place(side, *branch, reader_at)).collect());
        }
        if let SchemaNode::Union(branches) = wanted {
            return match best_branch(form, written, branches) {
                Some(branch) => self.step((side, at, branch)),
                None => self.mismatch(form, at, reader_at),
            };
        }
        match (written, wanted) {
            (SchemaNode::Array(items), SchemaNode::Array(wanted)) => ReadStep::Array(self.place(side, *items, *wanted)),
            (SchemaNode::Map(values), SchemaNode::Map(wanted)) => ReadStep::Map(self.place(side, *values, *wanted)),
            (SchemaNode::Record(written), SchemaNode::Record(wanted)) => self.record(side, written, wanted),
            (SchemaNode::Enum(written), SchemaNode::Enum(wanted)) => ReadStep::Enum(symbol_readings(written, wanted)),
            _ => scalar(written, wanted).unwrap_or_else(|| self.mismatch(form, at, reader_at)),
        }
    }

    fn mismatch(&self, form: &SchemaGraph, at: NodeIndex, wanted: NodeIndex) -> ReadStep {
        ReadStep::Mismatch(Arc::from(format!("it is {}, expected {}", self.writer.word(at), form.word(wanted))))
    }

    fn record(&mut self, side: SchemaSide, written: &RecordNode, wanted: &RecordNode) -> ReadStep {
        let matched = matched_fields(wanted, written);
        let pairs = wanted.fields.iter().zip(&matched);
        let readers: HashMap<usize, &FieldNode> = pairs.clone().filter_map(|(to, at)| Some(((*at)?, to))).collect();
        let mut defaults = Vec::new();
        for (field, _) in pairs.filter(|(_, found)| found.is_none()) {
            match &field.default {
                Some(default) => defaults.push((Arc::clone(&field.name), default.clone())),
                None => return ReadStep::Mismatch(not_written(field, wanted)),
            }
        }
        let written = written.fields.iter().enumerate();
        let fields: Vec<FieldReading> =
            written.map(|(at, field)| self.field(side, field, readers.get(&at).copied())).collect();
        let names: usize = fields.iter().map(|field| cost_of_text(&field.name)).sum();
        let cost = defaults.iter().map(|(name, value)| cost_of_text(name) + cost_of(value)).sum::<usize>();
        ReadStep::Record(RecordReading { fields, defaults, cost: COST_OF_CONTAINER + names + cost })
    }

    /// `to`: the reader's field.
    fn field(&mut self, side: SchemaSide, field: &FieldNode, to: Option<&FieldNode>) -> FieldReading {
        match to {
            Some(to) => FieldReading {
                name: Arc::clone(&to.name),
                step: self.place(side, field.node, to.node),
                fate: FieldFate::Kept,
            },
            None => FieldReading {
                name: Arc::clone(&field.name),
                step: self.place(SchemaSide::Writer, field.node, field.node),
                fate: FieldFate::Dropped,
            },
        }
    }
}

fn not_written(field: &FieldNode, wanted: &RecordNode) -> Arc<str> {
    let (name, record) = (&field.name, &wanted.names.full);
    Arc::from(format!("the field `{name}` of {record} was not written, and has no default"))
}

fn symbol_readings(written: &EnumNode, wanted: &EnumNode) -> Vec<SymbolReading> {
    let known: HashSet<&Arc<str>> = wanted.symbols.iter().collect();
    let reading = |symbol: &Arc<str>| match (known.get(symbol), &wanted.default) {
        (Some(_), _) => SymbolReading::Symbol(Arc::clone(symbol)),
        (None, Some(default)) => SymbolReading::Symbol(Arc::clone(default)),
        (None, None) => {
            let told = format!("`{symbol}` is no symbol of {}, which has no default", wanted.names.full);
            SymbolReading::Mismatch(Arc::from(told))
        }
    };
    written.symbols.iter().map(reading).collect()
}

/// The form is the reader's; of what the number is one, the writer's: milliseconds stay milliseconds.
fn scalar(written: &SchemaNode, wanted: &SchemaNode) -> Option<ReadStep> {
    use SchemaNode as Node;
    Some(match (written, wanted) {
        (Node::Null, Node::Null) => ReadStep::Null,
        (Node::Boolean, Node::Boolean) => ReadStep::Boolean,
        (Node::Int(writer), Node::Int(reader)) => ReadStep::Int(int_meaning(*writer, *reader)),
        (Node::Int(_), Node::Long(reader)) => ReadStep::Long(*reader),
        (Node::Long(writer), Node::Long(reader)) => ReadStep::Long(long_meaning(*writer, *reader)),
        (Node::Int(_) | Node::Long(_), Node::Float | Node::Double) => ReadStep::IntegerAsFloat,
        (Node::Float, Node::Float | Node::Double) => ReadStep::Float,
        (Node::Double, Node::Double) => ReadStep::Double,
        (Node::Bytes(writer), Node::Bytes(reader)) => ReadStep::Bytes(bytes_meaning(*writer, *reader)),
        (Node::Text(_), Node::Text(TextMeaning::Plain | TextMeaning::Uuid)) | (Node::Bytes(_), Node::Text(_)) => {
            ReadStep::Text
        }
        (Node::Text(_), Node::Bytes(reader)) => ReadStep::Bytes(*reader),
        (Node::Fixed(writer), Node::Fixed(reader)) if writer.size == reader.size => {
            ReadStep::Fixed(writer.size, bytes_meaning(writer.meaning, reader.meaning))
        }
        _ => return None,
    })
}

fn int_meaning(writer: IntMeaning, reader: IntMeaning) -> IntMeaning {
    match (writer, reader) {
        (IntMeaning::Plain, reader) => reader,
        (_, IntMeaning::Plain) => IntMeaning::Plain,
        (writer, _) => writer,
    }
}

fn long_meaning(writer: LongMeaning, reader: LongMeaning) -> LongMeaning {
    match (writer, reader) {
        (LongMeaning::Plain, reader) => reader,
        (_, LongMeaning::Plain) => LongMeaning::Plain,
        (LongMeaning::Timestamp(unit) | LongMeaning::LocalTimestamp(unit), LongMeaning::Timestamp(_)) => {
            LongMeaning::Timestamp(unit)
        }
        (LongMeaning::Timestamp(unit) | LongMeaning::LocalTimestamp(unit), LongMeaning::LocalTimestamp(_)) => {
            LongMeaning::LocalTimestamp(unit)
        }
        (writer, _) => writer,
    }
}

fn bytes_meaning(writer: BytesMeaning, reader: BytesMeaning) -> BytesMeaning {
    match (writer, reader) {
        (BytesMeaning::Plain, reader) => reader,
        (_, BytesMeaning::Plain) => BytesMeaning::Plain,
        (writer, _) => writer,
    }
}
