//! Defaults of fields, from the form in which a schema writes them to that which an expression sees.

use super::{
    AvroSchemaError,
    graph::{FieldNode, NodeIndex, SchemaGraph, SchemaNode},
};
use crate::logical::{self, BytesMeaning};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Deepest nesting of a default.
const MAX_LEVELS: usize = 64;
/// Most values of all defaults of a schema, those that defaults bring in included: `{}` may stand for a whole tree.
const MAX_VALUES: usize = 20_000;

/// A default as the schema writes it.
pub(super) struct WrittenDefault {
    pub(super) record: NodeIndex,
    pub(super) field: usize,
    pub(super) value: Value,
}

/// Sets the defaults of all fields.
pub(super) fn fill(graph: &mut SchemaGraph, written: &[WrittenDefault]) -> Result<(), AvroSchemaError> {
    let by_field = written.iter().map(|it| ((it.record, it.field), &it.value)).collect();
    let mut left = MAX_VALUES;
    let mut found = Vec::with_capacity(written.len());
    for default in written {
        let mut reader = DefaultReader { graph, written: &by_field, left };
        let value = reader.value(field_of(graph, default)?.node, &default.value, MAX_LEVELS);
        left = reader.left;
        found.push(value.map_err(|reason| bad_default(graph, default, reason))?);
    }
    for (default, value) in written.iter().zip(found) {
        if let SchemaNode::Record(record) = &mut graph.nodes[default.record.0] {
            record.fields[default.field].default = Some(value);
        }
    }
    Ok(())
}

fn bad_default(graph: &SchemaGraph, default: &WrittenDefault, reason: String) -> AvroSchemaError {
    let field = field_of(graph, default).map(|field| field.name.to_string()).unwrap_or_default();
    AvroSchemaError::BadDefault { record: graph.word(default.record), field, reason }
}

fn field_of<'g>(graph: &'g SchemaGraph, default: &WrittenDefault) -> Result<&'g FieldNode, AvroSchemaError> {
    match graph.node(default.record) {
        SchemaNode::Record(record) => Ok(&record.fields[default.field]),
        node => Err(AvroSchemaError::UnknownType(node.word().to_owned())),
    }
}

struct DefaultReader<'g> {
    graph: &'g SchemaGraph,
    written: &'g HashMap<(NodeIndex, usize), &'g Value>,
    left: usize,
}

impl DefaultReader<'_> {
    fn value(&mut self, at: NodeIndex, written: &Value, levels: usize) -> Result<Value, String> {
        let levels = levels.checked_sub(1).ok_or("it nests too deeply")?;
        self.left = self.left.checked_sub(1).ok_or("the defaults of the schema have too many values")?;
        let graph = self.graph;
        let fits = match (graph.node(at), written) {
            (SchemaNode::Null, Value::Null) | (SchemaNode::Boolean, Value::Bool(_)) => Some(written.clone()),
            (SchemaNode::Int(meaning), Value::Number(number)) => {
                let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
                number.and_then(|number| logical::int_value(*meaning, number).ok())
            }
            (SchemaNode::Long(meaning), Value::Number(number)) => {
                number.as_i64().and_then(|number| logical::long_value(*meaning, number).ok())
            }
            (SchemaNode::Float | SchemaNode::Double, Value::Number(_)) => Some(written.clone()),
            (SchemaNode::Text(_), Value::String(_)) => Some(written.clone()),
            (SchemaNode::Bytes(meaning), Value::String(text)) => bytes_value(*meaning, text, None),
            (SchemaNode::Fixed(fixed), Value::String(text)) => bytes_value(fixed.meaning, text, Some(fixed.size)),
            (SchemaNode::Enum(of), Value::String(text)) => {
                of.symbols.iter().any(|symbol| **symbol == **text).then(|| written.clone())
            }
            (SchemaNode::Array(items), Value::Array(written)) => {
                let items: Result<Vec<Value>, String> =
                    written.iter().map(|item| self.value(*items, item, levels)).collect();
                return items.map(Value::Array);
            }
            (SchemaNode::Map(values), Value::Object(written)) => {
                let entry = |(key, value): (&String, &Value)| Ok((key.clone(), self.value(*values, value, levels)?));
                return written.iter().map(entry).collect::<Result<Map<_, _>, String>>().map(Value::Object);
            }
            (SchemaNode::Record(_), Value::Object(written)) => return self.record(at, written, levels),
            // The first branch by the specification; later ones allow any.
            (SchemaNode::Union(branches), _) => {
                branches.iter().find_map(|branch| self.value(*branch, written, levels).ok())
            }
            _ => None,
        };
        fits.ok_or_else(|| format!("expected {}", graph.word(at)))
    }

    fn record(&mut self, at: NodeIndex, written: &Map<String, Value>, levels: usize) -> Result<Value, String> {
        let SchemaNode::Record(record) = self.graph.node(at) else { return Err("a record was expected".to_owned()) };
        let mut fields = Map::new();
        for (index, field) in record.fields.iter().enumerate() {
            let own = || self.written.get(&(at, index)).copied();
            let value = written.get(&*field.name).or_else(own);
            let value = value.ok_or_else(|| format!("the field `{}` is missing", field.name))?;
            fields.insert(field.name.to_string(), self.value(field.node, value, levels)?);
        }
        Ok(Value::Object(fields))
    }
}

/// A schema writes bytes as a text whose characters are the bytes.
fn bytes_value(meaning: BytesMeaning, text: &str, size: Option<usize>) -> Option<Value> {
    let bytes: Option<Vec<u8>> = text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    let bytes = bytes.filter(|bytes| size.is_none_or(|size| size == bytes.len()))?;
    logical::bytes_value(meaning, &bytes).ok()
}
