//! Walks a value by a schema.

use super::{
    MAX_DEPTH, MAX_TRIED,
    fault::{EncodeError, EncodeFault, RisingMisfit},
    original::OriginalPart,
};
use crate::{
    avro::graph::{EnumNode, NodeIndex, RecordNode, SchemaGraph, SchemaNode},
    binary::write_long,
    logical::{bytes_of, found, int_of, long_of},
    value_path::PathPart,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The bytes of `value`, which takes the place of `old`.
pub(super) fn write(graph: &SchemaGraph, value: &Value, old: Option<OriginalPart<'_>>) -> Result<Vec<u8>, EncodeError> {
    let mut writer = DatumWriter { graph, bytes: Vec::new(), tries_left: MAX_TRIED };
    writer.value(graph.root(), value, WritePlace { levels: MAX_DEPTH, old })?;
    Ok(writer.bytes)
}

/// What is known where a value is written.
#[derive(Clone, Copy)]
struct WritePlace<'o> {
    /// How many levels may nest from here on.
    levels: usize,
    /// What stood here before.
    old: Option<OriginalPart<'o>>,
}

impl<'o> WritePlace<'o> {
    fn deeper(self) -> Result<WritePlace<'o>, RisingMisfit> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| RisingMisfit::new(EncodeFault::Depth))?;
        Ok(WritePlace { levels, ..self })
    }

    fn at(self, old: impl FnOnce(OriginalPart<'o>) -> Option<OriginalPart<'o>>) -> WritePlace<'o> {
        WritePlace { old: self.old.and_then(old), ..self }
    }
}

struct DatumWriter<'g> {
    graph: &'g SchemaGraph,
    bytes: Vec<u8>,
    tries_left: usize,
}

impl DatumWriter<'_> {
    fn value(&mut self, at: NodeIndex, value: &Value, below: WritePlace<'_>) -> Result<(), RisingMisfit> {
        if let Some(same) = below.old.filter(|old| old.value == value) {
            self.bytes.extend(same.bytes());
            return Ok(());
        }
        let tries = self.tries_left.checked_sub(1);
        self.tries_left = tries.ok_or_else(|| RisingMisfit::new(EncodeFault::TooManyTried))?;
        let graph = self.graph;
        match graph.node(at) {
            SchemaNode::Enum(of) => self.symbol(of, value),
            SchemaNode::Array(items) => self.array(*items, value, below),
            SchemaNode::Map(values) => self.map(*values, value, below),
            SchemaNode::Union(branches) => self.union(at, branches, value, below),
            SchemaNode::Record(record) => self.record(record, value, below),
            SchemaNode::Null => expect(value.is_null(), "null", value),
            SchemaNode::Boolean => self.boolean(value),
            SchemaNode::Text(_) => self.string(value),
            SchemaNode::Int(meaning) => int_of(*meaning, value).map(|it| self.long(i64::from(it))).map_err(Into::into),
            SchemaNode::Long(meaning) => long_of(*meaning, value).map(|it| self.long(it)).map_err(Into::into),
            SchemaNode::Float => float(value).map(|it| self.bytes.extend(it.to_le_bytes())),
            SchemaNode::Double => double(value).map(|it| self.bytes.extend(it.to_le_bytes())),
            SchemaNode::Fixed(fixed) => {
                let bytes = bytes_of(fixed.meaning, value, Some(fixed.size));
                bytes.map(|bytes| self.bytes.extend(bytes)).map_err(Into::into)
            }
            SchemaNode::Bytes(meaning) => {
                let bytes = bytes_of(*meaning, value, None)?;
                self.length(bytes.len());
                self.bytes.extend(bytes);
                Ok(())
            }
        }
    }

    fn boolean(&mut self, value: &Value) -> Result<(), RisingMisfit> {
        expect(value.is_boolean(), "true or false", value)?;
        self.bytes.push(u8::from(*value == Value::Bool(true)));
        Ok(())
    }

    fn string(&mut self, value: &Value) -> Result<(), RisingMisfit> {
        let Value::String(text) = value else { return Err(unfit("a string such as \"4711\"", value)) };
        self.text(text);
        Ok(())
    }

    fn long(&mut self, value: i64) {
        write_long(&mut self.bytes, value);
    }

    fn length(&mut self, length: usize) {
        self.long(i64::try_from(length).expect("nothing in memory is that long"));
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes.extend(text.as_bytes());
    }

    fn symbol(&mut self, of: &EnumNode, value: &Value) -> Result<(), RisingMisfit> {
        let expected = || format!("one of the symbols {}", of.symbols.join(", "));
        let Value::String(text) = value else { return Err(unfit(&expected(), value)) };
        let index = of.symbols.iter().position(|symbol| **symbol == **text);
        let index = index.ok_or_else(|| format!("expected {}, found another text", expected()))?;
        self.length(index);
        Ok(())
    }

    fn array(&mut self, step: NodeIndex, value: &Value, below: WritePlace<'_>) -> Result<(), RisingMisfit> {
        let Value::Array(items) = value else { return Err(unfit("a list such as [4711]", value)) };
        let below = below.deeper()?;
        let before = below.old.map(|old| old.items(items)).unwrap_or_default();
        if !items.is_empty() {
            self.length(items.len());
        }
        for (at, item) in items.iter().enumerate() {
            let old = before.get(at).copied().flatten();
            self.value(step, item, WritePlace { old, ..below }).map_err(|fault| fault.within(PathPart::Item(at)))?;
        }
        self.long(0);
        Ok(())
    }

    fn map(&mut self, step: NodeIndex, value: &Value, below: WritePlace<'_>) -> Result<(), RisingMisfit> {
        let Value::Object(entries) = value else { return Err(unfit("a map such as {\"id\": 4711}", value)) };
        let below = below.deeper()?;
        if !entries.is_empty() {
            self.length(entries.len());
        }
        for (key, value) in entries {
            self.text(key);
            let within = |fault: RisingMisfit| fault.within(PathPart::Key(key.clone()));
            self.value(step, value, below.at(|old| old.entry(key))).map_err(within)?;
        }
        self.long(0);
        Ok(())
    }

    /// The branch that was taken before, else the first that fits. Where one branch can be meant, its fault is told.
    fn union(
        &mut self,
        at: NodeIndex,
        branches: &[NodeIndex],
        value: &Value,
        below: WritePlace<'_>,
    ) -> Result<(), RisingMisfit> {
        let before = self.bytes.len();
        let mut misfit = None;
        let taken = below.old.and_then(OriginalPart::branch);
        let first = taken.map(|(index, _)| index).filter(|index| *index < branches.len());
        for index in first.into_iter().chain((0..branches.len()).filter(|index| Some(*index) != first)) {
            let branch = &branches[index];
            let old = taken.filter(|_| Some(index) == first).map(|(_, inner)| inner);
            self.length(index);
            match self.value(*branch, value, WritePlace { old, ..below }) {
                Ok(()) => return Ok(()),
                Err(fault) if fault.is_final() => return Err(fault),
                Err(fault) => misfit = matches_kind(self.graph.node(*branch), value).then_some(fault).or(misfit),
            }
            self.bytes.truncate(before);
        }
        let may_be = branches.iter().filter(|branch| matches_kind(self.graph.node(**branch), value)).count();
        let none = || EncodeFault::NoBranch { found: found(value), branches: self.graph.word(at) };
        Err(misfit.filter(|_| may_be == 1).unwrap_or_else(|| RisingMisfit::new(none())))
    }

    fn record(&mut self, record: &RecordNode, value: &Value, below: WritePlace<'_>) -> Result<(), RisingMisfit> {
        let Value::Object(given) = value else {
            return Err(unfit(&format!("the record {}, a map with its fields", record.names.full), value));
        };
        let below = below.deeper()?;
        check_names(record, given)?;
        for (number, field) in record.fields.iter().enumerate() {
            let value = given.get(&*field.name).or(field.default.as_ref());
            let missing =
                || EncodeFault::MissingField { field: field.name.to_string(), record: record.names.full.to_string() };
            let value = value.ok_or_else(|| RisingMisfit::new(missing()))?;
            let within = |fault: RisingMisfit| fault.within(PathPart::Field(Arc::clone(&field.name)));
            self.value(field.node, value, below.at(|old| old.field(number, &field.name))).map_err(within)?;
        }
        Ok(())
    }
}

fn check_names(record: &RecordNode, given: &Map<String, Value>) -> Result<(), RisingMisfit> {
    let known = |name: &String| record.fields.iter().any(|field| *field.name == **name);
    let Some(unknown) = given.keys().find(|name| !known(name)) else { return Ok(()) };
    let names: Vec<&str> = record.fields.iter().map(|field| &*field.name).collect();
    Err(RisingMisfit::new(EncodeFault::UnknownField {
        field: unknown.clone(),
        record: record.names.full.to_string(),
        known: names.join(", "),
    }))
}

/// Whether the branch is of the kind of JSON that the value is, so that its fault says more than that none fits.
fn matches_kind(node: &SchemaNode, value: &Value) -> bool {
    match value {
        Value::Null => matches!(node, SchemaNode::Null),
        Value::Bool(_) => matches!(node, SchemaNode::Boolean),
        Value::Number(_) => {
            matches!(node, SchemaNode::Int(_) | SchemaNode::Long(_) | SchemaNode::Float | SchemaNode::Double)
        }
        Value::String(_) => !matches!(
            node,
            SchemaNode::Null
                | SchemaNode::Boolean
                | SchemaNode::Array(_)
                | SchemaNode::Map(_)
                | SchemaNode::Record(_)
                | SchemaNode::Float
                | SchemaNode::Double
        ),
        Value::Array(_) => matches!(node, SchemaNode::Array(_)),
        Value::Object(_) => matches!(node, SchemaNode::Map(_) | SchemaNode::Record(_)),
    }
}

fn expect(fits: bool, expected: &str, value: &Value) -> Result<(), RisingMisfit> {
    if fits { Ok(()) } else { Err(unfit(expected, value)) }
}

fn unfit(expected: &str, value: &Value) -> RisingMisfit {
    format!("expected {expected}, found {}", found(value)).into()
}

fn double(value: &Value) -> Result<f64, RisingMisfit> {
    let beyond = || "expected a double, found a number beyond its range".to_owned();
    match value {
        Value::Number(number) => {
            number.to_string().parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| beyond().into())
        }
        other => not_finite(other).ok_or_else(|| unfit("a number such as 0.5", other)),
    }
}

/// From the digits, not from a double: a double between two floats would be rounded twice.
fn float(value: &Value) -> Result<f32, RisingMisfit> {
    let beyond = || "expected a float, found a number beyond its range".to_owned();
    match value {
        Value::Number(number) => {
            number.to_string().parse().ok().filter(|number: &f32| number.is_finite()).ok_or_else(|| beyond().into())
        }
        Value::String(text) if text == "NaN" => Ok(f32::NAN),
        other => match not_finite(other) {
            Some(infinite) if infinite > 0.0 => Ok(f32::INFINITY),
            Some(_) => Ok(f32::NEG_INFINITY),
            None => Err(unfit("a number such as 0.5", other)),
        },
    }
}

/// What JSON has no number for.
fn not_finite(value: &Value) -> Option<f64> {
    match value.as_str()? {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
