//! From apache-avro's tree to the graph. Nothing here recurses: how deep types name each other is up to the text.

use super::{
    AvroSchemaError, MAX_TYPES,
    defaults::{self, WrittenDefault},
    graph::{EnumNode, FieldNode, FixedNode, NodeIndex, RecordNode, SchemaGraph, SchemaNode, TypeNames},
};
use crate::logical::{BytesMeaning, IntMeaning, LongMeaning, TextMeaning, TimeUnit};
use apache_avro::{
    Schema,
    schema::{DecimalSchema, FixedSchema, InnerDecimalSchema, RecordSchema, UuidSchema},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// The graph of `schema`. Types that it names and does not define are in `others`.
pub(super) fn graph(schema: &Schema, others: &[Schema]) -> Result<SchemaGraph, AvroSchemaError> {
    let mut builder = GraphBuilder { defined: definitions(schema, others)?, ..GraphBuilder::default() };
    let root = builder.place(schema)?;
    while let Some((at, schema)) = builder.open.pop_front() {
        let node = builder.node(at, schema)?;
        builder.nodes[at.0] = node;
    }
    let mut graph = SchemaGraph { nodes: builder.nodes, root };
    defaults::fill(&mut graph, &builder.defaults)?;
    Ok(graph)
}

#[derive(Default)]
struct GraphBuilder<'s> {
    nodes: Vec<SchemaNode>,
    /// Places that are taken, with what will stand there.
    open: VecDeque<(NodeIndex, &'s Schema)>,
    defined: HashMap<String, &'s Schema>,
    named: HashMap<String, NodeIndex>,
    defaults: Vec<WrittenDefault>,
}

/// All named types, by full name.
fn definitions<'s>(schema: &'s Schema, others: &'s [Schema]) -> Result<HashMap<String, &'s Schema>, AvroSchemaError> {
    let mut found = HashMap::new();
    let mut seen = 0;
    let mut open: Vec<&Schema> = others.iter().chain([schema]).collect();
    while let Some(schema) = open.pop() {
        seen += 1;
        if seen > MAX_TYPES {
            return Err(AvroSchemaError::TooManyTypes);
        }
        if let (Some(name), false) = (schema.name(), matches!(schema, Schema::Ref { .. })) {
            found.insert(name.fullname(None), schema);
        }
        match schema {
            Schema::Record(record) => open.extend(record.fields.iter().map(|field| &field.schema)),
            Schema::Array(array) => open.push(&array.items),
            Schema::Map(map) => open.push(&map.types),
            Schema::Union(union) => open.extend(union.variants()),
            // Everything else holds no further schema.
            _ => {}
        }
    }
    Ok(found)
}

impl<'s> GraphBuilder<'s> {
    /// The place of a type: a named one has one place, however often it is named.
    fn place(&mut self, schema: &'s Schema) -> Result<NodeIndex, AvroSchemaError> {
        let Some(name) = schema.name().map(|name| name.fullname(None)) else { return self.new_place(schema) };
        if let Some(known) = self.named.get(&name) {
            return Ok(*known);
        }
        let Some(definition) = self.defined.get(&name).copied() else {
            return Err(AvroSchemaError::UnknownType(name));
        };
        let at = self.new_place(definition)?;
        self.named.insert(name, at);
        Ok(at)
    }

    fn new_place(&mut self, schema: &'s Schema) -> Result<NodeIndex, AvroSchemaError> {
        if self.nodes.len() >= MAX_TYPES {
            return Err(AvroSchemaError::TooManyTypes);
        }
        let at = NodeIndex(self.nodes.len());
        self.nodes.push(SchemaNode::Null);
        self.open.push_back((at, schema));
        Ok(at)
    }

    fn node(&mut self, at: NodeIndex, schema: &'s Schema) -> Result<SchemaNode, AvroSchemaError> {
        let bytes = SchemaNode::Bytes;
        Ok(match schema {
            Schema::Null => SchemaNode::Null,
            Schema::Boolean => SchemaNode::Boolean,
            Schema::Int => SchemaNode::Int(IntMeaning::Plain),
            Schema::Date => SchemaNode::Int(IntMeaning::Date),
            Schema::TimeMillis => SchemaNode::Int(IntMeaning::TimeMillis),
            Schema::Long => SchemaNode::Long(LongMeaning::Plain),
            Schema::TimeMicros => SchemaNode::Long(LongMeaning::TimeMicros),
            Schema::TimestampMillis => SchemaNode::Long(LongMeaning::Timestamp(TimeUnit::Millis)),
            Schema::TimestampMicros => SchemaNode::Long(LongMeaning::Timestamp(TimeUnit::Micros)),
            Schema::TimestampNanos => SchemaNode::Long(LongMeaning::Timestamp(TimeUnit::Nanos)),
            Schema::LocalTimestampMillis => SchemaNode::Long(LongMeaning::LocalTimestamp(TimeUnit::Millis)),
            Schema::LocalTimestampMicros => SchemaNode::Long(LongMeaning::LocalTimestamp(TimeUnit::Micros)),
            Schema::LocalTimestampNanos => SchemaNode::Long(LongMeaning::LocalTimestamp(TimeUnit::Nanos)),
            Schema::Float => SchemaNode::Float,
            Schema::Double => SchemaNode::Double,
            Schema::Bytes => bytes(BytesMeaning::Plain),
            Schema::BigDecimal => bytes(BytesMeaning::BigDecimal),
            Schema::Uuid(UuidSchema::Bytes) => bytes(BytesMeaning::Uuid),
            Schema::Uuid(UuidSchema::String) => SchemaNode::Text(TextMeaning::Uuid),
            Schema::Uuid(UuidSchema::Fixed(of)) => fixed(schema, of, BytesMeaning::Uuid),
            Schema::Duration(of) => fixed(schema, of, BytesMeaning::Duration),
            Schema::Fixed(of) => fixed(schema, of, BytesMeaning::Plain),
            Schema::Decimal(decimal) => decimal_node(schema, decimal),
            Schema::String => SchemaNode::Text(TextMeaning::Plain),
            Schema::Enum(of) => SchemaNode::Enum(EnumNode {
                names: names(schema),
                symbols: of.symbols.iter().map(|symbol| Arc::from(symbol.as_str())).collect(),
                default: of.default.as_deref().map(Arc::from),
            }),
            Schema::Array(array) => SchemaNode::Array(self.place(&array.items)?),
            Schema::Map(map) => SchemaNode::Map(self.place(&map.types)?),
            Schema::Union(union) => {
                let branches: Result<Vec<NodeIndex>, _> =
                    union.variants().iter().map(|branch| self.place(branch)).collect();
                SchemaNode::Union(branches?)
            }
            Schema::Record(of) => self.record(at, schema, of)?,
            Schema::Ref { name } => return Err(AvroSchemaError::UnknownType(name.fullname(None))),
        })
    }

    fn record(&mut self, at: NodeIndex, schema: &Schema, of: &'s RecordSchema) -> Result<SchemaNode, AvroSchemaError> {
        let mut fields = Vec::with_capacity(of.fields.len());
        for field in &of.fields {
            let default = field.default.clone().map(|value| WrittenDefault { record: at, field: fields.len(), value });
            self.defaults.extend(default);
            fields.push(FieldNode {
                name: Arc::from(field.name.as_str()),
                aliases: field.aliases.clone(),
                node: self.place(&field.schema)?,
                default: None,
            });
        }
        Ok(SchemaNode::Record(RecordNode { names: names(schema), fields }))
    }
}

fn decimal_node(schema: &Schema, of: &DecimalSchema) -> SchemaNode {
    let meaning = BytesMeaning::Decimal { precision: of.precision, scale: of.scale };
    match &of.inner {
        InnerDecimalSchema::Bytes => SchemaNode::Bytes(meaning),
        InnerDecimalSchema::Fixed(inner) => fixed(schema, inner, meaning),
    }
}

fn fixed(schema: &Schema, of: &FixedSchema, meaning: BytesMeaning) -> SchemaNode {
    SchemaNode::Fixed(FixedNode { names: names(schema), size: of.size, meaning })
}

fn names(schema: &Schema) -> TypeNames {
    let full = schema.name().map(|name| name.fullname(None)).unwrap_or_default();
    let aliases = schema.aliases().into_iter().flatten().map(|alias| alias.fullname(None)).collect();
    TypeNames { full: Arc::from(full), aliases }
}
