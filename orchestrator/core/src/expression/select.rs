//! Expressions that only select, and the names of a scope.

use super::{ExpressionScope, json, spelling};
use cel::common::{
    ast::{Expr, IdedExpr, LiteralValue, operators},
    value::Val,
};
use serde_json::{Map, Value};

/// `event.items[0].sku`: taken from the JSON as it is, without a detour through CEL's types.
#[derive(Debug)]
pub(super) struct PathSelection {
    root: String,
    path: Vec<PathSegment>,
}

#[derive(Debug)]
enum PathSegment {
    Field(String),
    Index(usize),
}

/// A part of a scope, however it is held.
#[derive(Clone, Copy)]
pub(super) enum SelectedValue<'a> {
    Value(&'a Value),
    Map(&'a Map<String, Value>),
    Text(&'a str),
}

impl<'a> SelectedValue<'a> {
    pub(super) fn to_value(self) -> Value {
        match self {
            SelectedValue::Value(value) => value.clone(),
            SelectedValue::Map(map) => Value::Object(map.clone()),
            SelectedValue::Text(text) => Value::from(text),
        }
    }

    pub(super) fn to_cel(self) -> Box<dyn Val + 'a> {
        match self {
            SelectedValue::Value(value) => json::to_cel(value),
            SelectedValue::Map(map) => json::map_to_cel(map),
            SelectedValue::Text(text) => Box::new(cel::common::types::CelString::from(text)),
        }
    }

    pub(super) fn field(self, name: &str) -> Option<SelectedValue<'a>> {
        match self {
            SelectedValue::Value(value) => value.as_object()?.get(name).map(SelectedValue::Value),
            SelectedValue::Map(map) => map.get(name).map(SelectedValue::Value),
            SelectedValue::Text(_) => None,
        }
    }

    fn index(self, at: usize) -> Option<SelectedValue<'a>> {
        match self {
            SelectedValue::Value(value) => value.as_array()?.get(at).map(SelectedValue::Value),
            SelectedValue::Map(_) | SelectedValue::Text(_) => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            SelectedValue::Value(value) => json::kind(value),
            SelectedValue::Map(_) => "a map",
            SelectedValue::Text(_) => "a string",
        }
    }
}

impl<'a> ExpressionScope<'a> {
    /// The value that `name` stands for in this scope; `None` if there is none.
    pub(super) fn root(&self, name: &str) -> Option<SelectedValue<'a>> {
        match name {
            "event" => self.event.map(SelectedValue::Value),
            "record" => self.record.map(SelectedValue::Value),
            "saga" => self.saga.map(SelectedValue::Value),
            "steps" => self.steps.map(SelectedValue::Map),
            "input" => self.input.map(SelectedValue::Value),
            "result" => self.result.map(SelectedValue::Value),
            "doId" => self.do_id.map(SelectedValue::Text),
            _ => None,
        }
    }
}

impl PathSelection {
    /// The selection that `tree` is, if it is nothing else.
    pub(super) fn of(tree: &IdedExpr) -> Option<PathSelection> {
        let mut path = Vec::new();
        let mut node = tree;
        loop {
            node = match &node.expr {
                Expr::Ident(root) => {
                    path.reverse();
                    return Some(PathSelection { root: root.clone(), path });
                }
                Expr::Select(select) if !select.test => {
                    path.push(PathSegment::Field(select.field.clone()));
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
    pub(super) fn value<'a>(&self, scope: &ExpressionScope<'a>) -> Result<SelectedValue<'a>, SelectionError> {
        let unknown = || SelectionError::of(format!("`{}` is not known here", self.root));
        let root = scope.root(&self.root).ok_or_else(unknown)?;
        let mut at = root;
        for (count, segment) in self.path.iter().enumerate() {
            let next = match segment {
                PathSegment::Field(name) => at.field(name),
                PathSegment::Index(index) => at.index(*index),
            };
            at = next.ok_or_else(|| self.missing(at, count))?;
        }
        Ok(at)
    }

    fn missing(&self, parent: SelectedValue<'_>, count: usize) -> SelectionError {
        let (parent_text, whole) = (self.text(count), self.text(count + 1));
        match &self.path[count] {
            _ if !matches!(parent, SelectedValue::Text(_)) && parent.kind() != "a map" && parent.kind() != "a list" => {
                SelectionError::of(format!("`{parent_text}` is {}, so `{whole}` does not exist", parent.kind()))
            }
            PathSegment::Field(name) => {
                let question = spelling::asks(&parent_text, name);
                let what = if self.root == "steps" && count == 0 {
                    format!("step `{name}` has no result")
                } else {
                    format!("`{whole}` is missing")
                };
                SelectionError {
                    message: format!("{what}; if it may be missing, test `{question}` first"),
                    question: Some(question),
                }
            }
            PathSegment::Index(_) => {
                SelectionError::of(format!("`{whole}` is missing; compare size({parent_text}) first"))
            }
        }
    }

    /// The first `count` segments as they would be written.
    fn text(&self, count: usize) -> String {
        self.path[..count].iter().fold(self.root.clone(), |text, segment| match segment {
            PathSegment::Field(name) if spelling::is_name(name) => format!("{text}.{name}"),
            PathSegment::Field(name) => format!("{text}[{}]", spelling::literal(name)),
            PathSegment::Index(index) => format!("{text}[{index}]"),
        })
    }
}

/// Why a selection has no value.
pub(super) struct SelectionError {
    pub(super) message: String,
    /// An expression that asks whether the value is there, for the help.
    pub(super) question: Option<String>,
}

impl SelectionError {
    fn of(message: String) -> SelectionError {
        SelectionError { message, question: None }
    }
}

fn literal(index: &IdedExpr) -> Option<PathSegment> {
    match &index.expr {
        Expr::Literal(LiteralValue::String(name)) => Some(PathSegment::Field(name.inner().to_owned())),
        Expr::Literal(LiteralValue::Int(at)) => usize::try_from(*at.inner()).ok().map(PathSegment::Index),
        _ => None,
    }
}
