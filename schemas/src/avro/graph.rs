//! A schema as nodes that name each other by index: named types stand once, so recursion needs no look-up by name.

use crate::logical::{BytesMeaning, IntMeaning, LongMeaning, TextMeaning};
use serde_json::Value;
use std::sync::Arc;

/// Place of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeIndex(pub(crate) usize);

/// All types of a schema.
#[derive(Debug)]
pub(crate) struct SchemaGraph {
    pub(super) nodes: Vec<SchemaNode>,
    pub(super) root: NodeIndex,
}

/// One type.
#[derive(Clone, Debug)]
pub(crate) enum SchemaNode {
    Null,
    Boolean,
    Int(IntMeaning),
    Long(LongMeaning),
    Float,
    Double,
    Bytes(BytesMeaning),
    Text(TextMeaning),
    Fixed(FixedNode),
    Enum(EnumNode),
    Array(NodeIndex),
    Map(NodeIndex),
    Union(Vec<NodeIndex>),
    Record(RecordNode),
}

/// Name of a named type, and the names that it may also read.
#[derive(Clone, Debug)]
pub(crate) struct TypeNames {
    pub(crate) full: Arc<str>,
    pub(crate) aliases: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct FixedNode {
    pub(crate) names: TypeNames,
    pub(crate) size: usize,
    pub(crate) meaning: BytesMeaning,
}

#[derive(Clone, Debug)]
pub(crate) struct EnumNode {
    pub(crate) names: TypeNames,
    pub(crate) symbols: Vec<Arc<str>>,
    pub(crate) default: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub(crate) struct RecordNode {
    pub(crate) names: TypeNames,
    pub(crate) fields: Vec<FieldNode>,
}

#[derive(Clone, Debug)]
pub(crate) struct FieldNode {
    pub(crate) name: Arc<str>,
    pub(crate) aliases: Vec<String>,
    pub(crate) node: NodeIndex,
    /// As an expression sees it.
    pub(crate) default: Option<Value>,
}

impl SchemaGraph {
    pub(crate) fn root(&self) -> NodeIndex {
        self.root
    }

    pub(crate) fn node(&self, at: NodeIndex) -> &SchemaNode {
        &self.nodes[at.0]
    }

    pub(super) fn root_name(&self) -> Option<&str> {
        self.node(self.root).names().map(|names| &*names.full)
    }

    /// The type in words, for messages: `int`, `timestamp-millis`, `com.example.Order`.
    pub(crate) fn word(&self, at: NodeIndex) -> String {
        match self.node(at) {
            SchemaNode::Union(branches) => {
                let words: Vec<String> = branches.iter().map(|branch| self.word(*branch)).collect();
                format!("[{}]", words.join(", "))
            }
            node => node.word().to_owned(),
        }
    }
}

impl SchemaNode {
    pub(crate) fn names(&self) -> Option<&TypeNames> {
        match self {
            SchemaNode::Fixed(fixed) => Some(&fixed.names),
            SchemaNode::Enum(symbols) => Some(&symbols.names),
            SchemaNode::Record(record) => Some(&record.names),
            SchemaNode::Null
            | SchemaNode::Boolean
            | SchemaNode::Int(_)
            | SchemaNode::Long(_)
            | SchemaNode::Float
            | SchemaNode::Double
            | SchemaNode::Bytes(_)
            | SchemaNode::Text(_)
            | SchemaNode::Array(_)
            | SchemaNode::Map(_)
            | SchemaNode::Union(_) => None,
        }
    }

    /// The type in words; a named one by its name.
    pub(crate) fn word(&self) -> &str {
        match self {
            SchemaNode::Null => "null",
            SchemaNode::Boolean => "boolean",
            SchemaNode::Int(meaning) => meaning.word(),
            SchemaNode::Long(meaning) => meaning.word(),
            SchemaNode::Float => "float",
            SchemaNode::Double => "double",
            SchemaNode::Bytes(BytesMeaning::Plain) => "bytes",
            SchemaNode::Bytes(meaning) => meaning.word(),
            SchemaNode::Text(TextMeaning::Plain) => "string",
            SchemaNode::Text(TextMeaning::Uuid) => "uuid",
            SchemaNode::Array(_) => "array",
            SchemaNode::Map(_) => "map",
            SchemaNode::Union(_) => "union",
            SchemaNode::Fixed(FixedNode { names, .. })
            | SchemaNode::Enum(EnumNode { names, .. })
            | SchemaNode::Record(RecordNode { names, .. }) => &names.full,
        }
    }

    /// The type without its meaning.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            SchemaNode::Null => "null",
            SchemaNode::Boolean => "boolean",
            SchemaNode::Int(_) => "int",
            SchemaNode::Long(_) => "long",
            SchemaNode::Float => "float",
            SchemaNode::Double => "double",
            SchemaNode::Bytes(_) => "bytes",
            SchemaNode::Text(_) => "string",
            SchemaNode::Array(_) => "array",
            SchemaNode::Map(_) => "map",
            SchemaNode::Union(_) => "union",
            SchemaNode::Fixed(_) => "fixed",
            SchemaNode::Enum(_) => "enum",
            SchemaNode::Record(_) => "record",
        }
    }
}

impl TypeNames {
    /// The name without its namespace.
    pub(crate) fn short(&self) -> &str {
        short(&self.full)
    }

    /// Whether a reader of this name reads what a writer of that name wrote: by Avro's rules names match without their
    /// namespaces, and a reader's aliases count.
    pub(crate) fn reads(&self, writer: &TypeNames) -> bool {
        let is_alias = |alias: &String| **alias == *writer.full || short(alias) == writer.short();
        self.short() == writer.short() || self.aliases.iter().any(is_alias)
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
