//! The parts of a value that is encoded already: what nobody changes keeps its bytes.

use crate::{
    avro::graph::{FixedNode, NodeIndex, RecordNode, SchemaGraph, SchemaNode},
    decode::{ByteCursor, RisingFault},
};
use serde_json::Value;
use std::{collections::HashMap, ops::Range};

/// A value within an encoded one.
#[derive(Debug)]
pub(super) struct EncodedPart {
    bytes: Range<usize>,
    inner: EncodedInner,
}

/// What stands in it.
#[derive(Debug)]
enum EncodedInner {
    Single,
    Branch(usize, Box<EncodedPart>),
    Items(Vec<EncodedPart>),
    Entries(HashMap<String, EncodedPart>),
    /// In the order of the schema.
    Fields(Vec<EncodedPart>),
}

/// A value that was encoded before: what it is, its parts, and the bytes of the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct OriginalPart<'o> {
    pub(super) value: &'o Value,
    pub(super) part: &'o EncodedPart,
    pub(super) whole: &'o [u8],
}

impl<'o> OriginalPart<'o> {
    /// Its own bytes.
    pub(super) fn bytes(self) -> &'o [u8] {
        &self.whole[self.part.bytes.clone()]
    }

    /// Of a union: the branch that was taken, and the value in it.
    pub(super) fn branch(self) -> Option<(usize, OriginalPart<'o>)> {
        let EncodedInner::Branch(index, part) = &self.part.inner else { return None };
        Some((*index, OriginalPart { part, ..self }))
    }

    /// Of a record: the field with this number and name.
    pub(super) fn field(self, number: usize, name: &str) -> Option<OriginalPart<'o>> {
        let EncodedInner::Fields(parts) = &self.part.inner else { return None };
        Some(OriginalPart { value: self.value.get(name)?, part: parts.get(number)?, ..self })
    }

    pub(super) fn entry(self, key: &str) -> Option<OriginalPart<'o>> {
        let EncodedInner::Entries(parts) = &self.part.inner else { return None };
        Some(OriginalPart { value: self.value.get(key)?, part: parts.get(key)?, ..self })
    }

    /// Of a list: for each of `items` the one that it was. Items that are the same from the front, and from the back,
    /// were these; those in between are taken in their order.
    pub(super) fn items(self, items: &[Value]) -> Vec<Option<OriginalPart<'o>>> {
        let (EncodedInner::Items(parts), Value::Array(before)) = (&self.part.inner, self.value) else {
            return vec![None; items.len()];
        };
        let same = |(one, other): &(&Value, &Value)| one == other;
        let front = items.iter().zip(before).take_while(same).count();
        let rest = items[front..].iter().rev().zip(before[front..].iter().rev());
        let (behind, ends) = (rest.take_while(same).count(), before.len());
        let was = |at: usize| match at.checked_sub(items.len() - behind) {
            Some(behind_at) => Some(ends - behind + behind_at),
            None => Some(at).filter(|at| *at < ends - behind),
        };
        let part = |at: usize| Some(OriginalPart { value: before.get(at)?, part: parts.get(at)?, ..self });
        (0..items.len()).map(|at| was(at).and_then(part)).collect()
    }
}

/// The parts of `bytes`, which `graph` wrote; `None`: it did not.
pub(super) fn parts_of(graph: &SchemaGraph, bytes: &[u8]) -> Option<EncodedPart> {
    PartReader { graph, cursor: ByteCursor::new(bytes) }.part(graph.root()).ok()
}

/// Walks bytes that were decoded before, so that their nesting and their number are bounded.
struct PartReader<'g, 'b> {
    graph: &'g SchemaGraph,
    cursor: ByteCursor<'b>,
}

impl<'g> PartReader<'g, '_> {
    fn part(&mut self, at: NodeIndex) -> Result<EncodedPart, RisingFault> {
        let begins = self.cursor.offset();
        let inner = self.inner(at)?;
        Ok(EncodedPart { bytes: begins..self.cursor.offset(), inner })
    }

    fn inner(&mut self, at: NodeIndex) -> Result<EncodedInner, RisingFault> {
        let graph = self.graph;
        match graph.node(at) {
            SchemaNode::Array(items) => self.items(*items),
            SchemaNode::Map(values) => self.entries(*values),
            SchemaNode::Union(branches) => self.branch(branches),
            SchemaNode::Record(record) => self.fields(record),
            SchemaNode::Null => Ok(EncodedInner::Single),
            SchemaNode::Boolean => self.cursor.boolean().map(single),
            SchemaNode::Int(_) | SchemaNode::Long(_) | SchemaNode::Enum(_) => self.cursor.long().map(single),
            SchemaNode::Float => self.cursor.float().map(single),
            SchemaNode::Double => self.cursor.double().map(single),
            SchemaNode::Bytes(_) | SchemaNode::Text(_) => self.cursor.bytes().map(single),
            SchemaNode::Fixed(FixedNode { size, .. }) => self.cursor.fixed(*size).map(single),
        }
    }

    fn branch(&mut self, branches: &'g [NodeIndex]) -> Result<EncodedInner, RisingFault> {
        let index = self.cursor.index("branches", branches.len())?;
        Ok(EncodedInner::Branch(index, Box::new(self.part(branches[index])?)))
    }

    fn items(&mut self, step: NodeIndex) -> Result<EncodedInner, RisingFault> {
        let mut parts = Vec::new();
        loop {
            let count = self.cursor.block()?;
            if count == 0 {
                return Ok(EncodedInner::Items(parts));
            }
            for _ in 0..count {
                parts.push(self.part(step)?);
            }
        }
    }

    fn entries(&mut self, step: NodeIndex) -> Result<EncodedInner, RisingFault> {
        let mut parts = HashMap::new();
        loop {
            let count = self.cursor.block()?;
            if count == 0 {
                return Ok(EncodedInner::Entries(parts));
            }
            for _ in 0..count {
                let key = self.cursor.text()?.to_owned();
                parts.insert(key, self.part(step)?);
            }
        }
    }

    fn fields(&mut self, record: &'g RecordNode) -> Result<EncodedInner, RisingFault> {
        let parts = record.fields.iter().map(|field| self.part(field.node));
        Ok(EncodedInner::Fields(parts.collect::<Result<_, _>>()?))
    }
}

fn single<T>(_read: T) -> EncodedInner {
    EncodedInner::Single
}
