//! The parsing canonical form of a schema, and its fingerprint.
//!
//! apache-avro 0.22 leaves traces of logical types in it (`{"type":"int"}`, `precision`), so its fingerprints of such
//! schemas are not those of other clients.

use super::graph::{EnumNode, FixedNode, NodeIndex, RecordNode, SchemaGraph, SchemaNode};
use serde_json::Value;
use std::{collections::HashSet, sync::LazyLock};

/// The CRC-64-AVRO of no bytes, which is its polynomial, too.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

static TABLE: LazyLock<[u64; 256]> = LazyLock::new(|| std::array::from_fn(crc_of_byte));

/// The form: a named type stands whole where it comes first, and by its name after that. Recurses as deeply as the
/// texts of the schema nest, so it runs on the parser's stack.
pub(super) fn form(graph: &SchemaGraph) -> String {
    let mut writer = FormWriter { graph, named: HashSet::new(), text: String::new() };
    writer.node(graph.root());
    writer.text
}

/// CRC-64-AVRO of a form.
pub(super) fn fingerprint(form: &str) -> u64 {
    let step = |crc: u64, byte: u8| (crc >> 8) ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)];
    form.bytes().fold(EMPTY, step)
}

fn crc_of_byte(byte: usize) -> u64 {
    let bit = |crc: u64, _| (crc >> 1) ^ (EMPTY & (crc & 1).wrapping_neg());
    (0..8).fold(byte as u64, bit)
}

struct FormWriter<'g> {
    graph: &'g SchemaGraph,
    named: HashSet<NodeIndex>,
    text: String,
}

impl FormWriter<'_> {
    fn node(&mut self, at: NodeIndex) {
        let graph = self.graph;
        let node = graph.node(at);
        if let (Some(names), false) = (node.names(), self.named.insert(at)) {
            return self.quoted(&names.full);
        }
        match node {
            SchemaNode::Record(record) => self.record(record),
            SchemaNode::Enum(of) => self.symbols(of),
            SchemaNode::Fixed(fixed) => self.fixed(fixed),
            SchemaNode::Array(items) => self.around("{\"type\":\"array\",\"items\":", *items),
            SchemaNode::Map(values) => self.around("{\"type\":\"map\",\"values\":", *values),
            SchemaNode::Union(branches) => self.list(branches, |writer, branch| writer.node(*branch)),
            SchemaNode::Null
            | SchemaNode::Boolean
            | SchemaNode::Int(_)
            | SchemaNode::Long(_)
            | SchemaNode::Float
            | SchemaNode::Double
            | SchemaNode::Bytes(_)
            | SchemaNode::Text(_) => self.quoted(node.kind()),
        }
    }

    fn around(&mut self, begin: &str, inner: NodeIndex) {
        self.text.push_str(begin);
        self.node(inner);
        self.text.push('}');
    }

    fn record(&mut self, record: &RecordNode) {
        self.named("record", &record.names.full);
        self.text.push_str(",\"fields\":");
        self.list(&record.fields, |writer, field| {
            writer.text.push_str("{\"name\":");
            writer.quoted(&field.name);
            writer.around(",\"type\":", field.node);
        });
        self.text.push('}');
    }

    fn symbols(&mut self, of: &EnumNode) {
        self.named("enum", &of.names.full);
        self.text.push_str(",\"symbols\":");
        self.list(&of.symbols, |writer, symbol| writer.quoted(symbol));
        self.text.push('}');
    }

    fn fixed(&mut self, fixed: &FixedNode) {
        self.named("fixed", &fixed.names.full);
        self.text.push_str(&format!(",\"size\":{}}}", fixed.size));
    }

    fn named(&mut self, kind: &str, name: &str) {
        self.text.push_str("{\"name\":");
        self.quoted(name);
        self.text.push_str(&format!(",\"type\":\"{kind}\""));
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.text.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            write(self, item);
        }
        self.text.push(']');
    }

    fn quoted(&mut self, text: &str) {
        self.text.push_str(&Value::from(text).to_string());
    }
}
