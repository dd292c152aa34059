//! Expressions that only select, and the names of a scope.

use super::{Scope, json, spelling};
use cel::common::{
    ast::{Expr, IdedExpr, LiteralValue, operators},
    value::Val,
};
use serde_json::{Map, Value};

/// `event.items[0].sku`: taken from the JSON as it is, without a detour through CEL's types.
#[derive(Debug)]
pub(super) struct Selection {
    root: String,
    path: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    Field(String),
    Index(usize),
}

/// A part of a scope, however it is held.
#[derive(Clone, Copy)]
pub(super) enum Selected<'a> {
    Value(&'a Value),
    Map(&'a Map<String, Value>),
    Text(&'a str),
}

impl<'a> Selected<'a> {
    pub(super) fn to_value(self) -> Value {
        match self {
            Selected::Value(value) => value.clone(),
            Selected::Map(map) => Value::Object(map.clone()),
            Selected::Text(text) => Value::from(text),
        }
    }

    pub(super) fn to_cel(self) -> Box<dyn Val + 'a> {
        match self {
            Selected::Value(value) => json::to_cel(value),
            Selected::Map(map) => json::map_to_cel(map),
            Selected::Text(text) => Box::new(cel::common::types::CelString::from(text)),
        }
    }

    pub(super) fn field(self, name: &str) -> Option<Selected<'a>> {
        match self {
            Selected::Value(value) => value.as_object()?.get(name).map(Selected::Value),
            Selected::Map(map) => map.get(name).map(Selected::Value),
            Selected::Text(_) => None,
        }
    }

    fn index(self, at: usize) -> Option<Selected<'a>> {
        match self {
            Selected::Value(value) => value.as_array()?.get(at).map(Selected::Value),
            Selected::Map(_) | Selected::Text(_) => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Selected::Value(value) => json::kind(value),
            Selected::Map(_) => "a map",
            Selected::Text(_) => "a string",
        }
    }
}

impl<'a> Scope<'a> {
    /// What `name` stands for here.
    pub(super) fn root(&self, name: &str) -> Option<Selected<'a>> {
        match name {
            "event" => self.event.map(Selected::Value),
            "record" => self.record.map(Selected::Value),
            "saga" => self.saga.map(Selected::Value),
            "steps" => self.steps.map(Selected::Map),
            "input" => self.input.map(Selected::Value),
            "result" => self.result.map(Selected::Value),
            "doId" => self.do_id.map(Selected::Text),
            _ => None,
        }
    }
}

impl Selection {
    /// The selection that `tree` is, if it is nothing else.
    pub(super) fn of(tree: &IdedExpr) -> Option<Selection> {
        let mut path = Vec::new();
        let mut node = tree;
        loop {
            node = match &node.expr {
                Expr::Ident(root) => {
                    path.reverse();
                    return Some(Selection { root: root.clone(), path });
                }
                Expr::Select(select) if !select.test => {
                    path.push(Segment::Field(select.field.clone()));
                    &select.operand
                }
                Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
                    path.push(literal(&call.args[1])?);
                    &call.args[0]
                }
                _ => return None,
            };
        }
    }

    /// The selected value, or what is missing and what to write.
    pub(super) fn value<'a>(&self, scope: &Scope<'a>) -> Result<Selected<'a>, Missing> {
        let unknown = || Missing::of(format!("`{}` is not known here", self.root));
        let root = scope.root(&self.root).ok_or_else(unknown)?;
        let mut at = root;
        for (count, segment) in self.path.iter().enumerate() {
            let next = match segment {
                Segment::Field(name) => at.field(name),
                Segment::Index(index) => at.index(*index),
            };
            at = next.ok_or_else(|| self.missing(at, count))?;
        }
        Ok(at)
    }

    fn missing(&self, parent: Selected<'_>, count: usize) -> Missing {
        let (parent_text, whole) = (self.text(count), self.text(count + 1));
        match &self.path[count] {
            _ if !matches!(parent, Selected::Text(_)) && parent.kind() != "a map" && parent.kind() != "a list" => {
                Missing::of(format!("`{parent_text}` is {}, so `{whole}` does not exist", parent.kind()))
            }
            Segment::Field(name) => {
                let question = spelling::asks(&parent_text, name);
                let what = if self.root == "steps" && count == 0 {
                    format!("step `{name}` has no result")
                } else {
                    format!("`{whole}` is missing")
                };
                Missing {
                    message: format!("{what}; where it may be missing, ask `{question}` first"),
                    question: Some(question),
                }
            }
            Segment::Index(_) => Missing::of(format!("`{whole}` is missing; compare size({parent_text}) first")),
        }
    }

    /// The first `count` segments as they would be written.
    fn text(&self, count: usize) -> String {
        self.path[..count].iter().fold(self.root.clone(), |text, segment| match segment {
            Segment::Field(name) if spelling::is_name(name) => format!("{text}.{name}"),
            Segment::Field(name) => format!("{text}[{}]", spelling::literal(name)),
            Segment::Index(index) => format!("{text}[{index}]"),
        })
    }
}

/// Why a selection has no value.
pub(super) struct Missing {
    pub(super) message: String,
    /// What asks whether it is there.
    pub(super) question: Option<String>,
}

impl Missing {
    fn of(message: String) -> Missing {
        Missing { message, question: None }
    }
}

fn literal(index: &IdedExpr) -> Option<Segment> {
    match &index.expr {
        Expr::Literal(LiteralValue::String(name)) => Some(Segment::Field(name.inner().to_owned())),
        Expr::Literal(LiteralValue::Int(at)) => usize::try_from(*at.inner()).ok().map(Segment::Index),
        _ => None,
    }
}
