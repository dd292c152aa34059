//! An expression of a trigger beside the parts of a record that it reads.

use super::{indented, marking::MarkedText, shortened};
use saga_core::{
    definition::{BusinessKeyTemplate, SagaDefinition, did_you_mean},
    event::TriggerRecord,
    expression::{CelExpression, ExpressionScope, NameRead, PathFact},
    json::integer_text,
    state::record_value,
};
use saga_wire::PoisonCode;
use serde::Serialize;
use serde_json::{Value, json};

/// Reads of one expression that are shown.
const MOST_READS: usize = 12;
/// Names that are there in place of one that is not.
const MOST_NAMES: usize = 20;

/// An expression that has no usable value for a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExpressionReads {
    /// `when`, `key`, or `key[1]`.
    pub(crate) of: String,
    /// Its source.
    pub(crate) expression: String,
    /// The path in it that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<MarkedText>,
    /// What it reads, in the order of the expression.
    pub(crate) reads: Vec<ReadShown>,
}

/// A path of an expression and what the record has there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadShown {
    /// As the expression writes it.
    pub(crate) path: String,
    /// The value; absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Value>,
    /// What is there instead of a value that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instead: Option<String>,
}

impl ExpressionReads {
    /// The first expression of `when` or `key` that fails for the record.
    pub(super) fn find(
        code: PoisonCode,
        record: &TriggerRecord,
        definition: &SagaDefinition,
    ) -> Option<ExpressionReads> {
        let roots = json!({"event": record.event, "record": record_value(record)});
        let scope = ExpressionScope { event: roots.get("event"), record: roots.get("record"), ..Default::default() };
        let (of, expression) = match code {
            PoisonCode::When => {
                let when = definition.trigger.when.as_ref()?;
                ("when".to_owned(), when)
            }
            _ => of_key(&definition.trigger.key)
                .into_iter()
                .find(|(_, expression)| expression.evaluate(&scope).ok().as_ref().is_none_or(is_no_key))?,
        };
        let said = expression.evaluate(&scope).err().map(|error| error.message).unwrap_or_default();
        Some(ExpressionReads::of(of, expression, &roots, &said))
    }

    fn of(of: String, expression: &CelExpression, roots: &Value, said: &str) -> ExpressionReads {
        let mut reads: Vec<NameRead> = Vec::new();
        for read in expression.reads() {
            if !read.asks_presence && is_reached(&read, roots) && reads.iter().all(|other| other.path != read.path) {
                reads.push(read);
            }
        }
        let place = blamed(&reads, roots, said)
            .and_then(|read| expression.place_of(&read.path))
            .or_else(|| quoted(said).and_then(|name| named(expression, name)));
        ExpressionReads {
            of,
            expression: expression.source().to_owned(),
            mark: place.map(|place| MarkedText::of(expression.source().as_bytes(), place)),
            reads: reads.iter().take(MOST_READS).map(|read| ReadShown::of(&read.path, roots)).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let source = match &self.mark {
            Some(mark) => indented(&mark.shown),
            None => self.expression.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"),
        };
        let width = self.reads.iter().map(|read| read.path.chars().count()).max().unwrap_or_default();
        let line = |read: &ReadShown| {
            let found = read.instead.clone().or_else(|| read.value.as_ref().map(shortened)).unwrap_or_default();
            format!("  {:<width$}  {found}", read.path)
        };
        let reads: Vec<String> = self.reads.iter().map(line).collect();
        format!("`{}` of the trigger\n{source}\n{}", self.of, reads.join("\n"))
    }
}

fn of_key(key: &BusinessKeyTemplate) -> Vec<(String, &CelExpression)> {
    match key {
        BusinessKeyTemplate::One(value) => value.expressions().into_iter().map(|it| ("key".to_owned(), it)).collect(),
        BusinessKeyTemplate::Parts(parts) => {
            let expressions = parts.iter().enumerate().flat_map(|(at, part)| {
                part.expressions().into_iter().map(move |expression| (format!("key[{at}]"), expression))
            });
            expressions.collect()
        }
    }
}

/// Whether a value can be no part of a business key.
fn is_no_key(value: &Value) -> bool {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => true,
        Value::String(text) => text.is_empty() || text.contains('\0') || text.len() > LONGEST_KEY,
        Value::Number(number) => integer_text(number).is_none(),
        Value::Bool(_) => false,
    }
}

/// The longest business key, in bytes.
const LONGEST_KEY: usize = 256;

/// Whether the conditions around a read hold, as far as they ask for what is there.
fn is_reached(read: &NameRead, roots: &Value) -> bool {
    read.known.iter().all(|fact| match fact {
        PathFact::Present(path) => at(roots, path).is_some(),
        PathFact::NotNull(path) => at(roots, path).is_some_and(|value| !value.is_null()),
    })
}

/// The read that is at fault: the one that is missing, and of several the one whose name the error says; else one that
/// is null; else the only one.
fn blamed<'r>(reads: &'r [NameRead], roots: &Value, said: &str) -> Option<&'r NameRead> {
    let missing: Vec<&NameRead> = reads.iter().filter(|read| at(roots, &read.path).is_none()).collect();
    let is_said = |read: &&&NameRead| {
        let name = missing_from(roots, &read.path).and_then(|number| read.path.get(number));
        name.is_some_and(|name| said.contains(&format!("`{name}`")))
    };
    let null = || reads.iter().find(|read| at(roots, &read.path).is_some_and(Value::is_null));
    let only = || reads.first().filter(|_| reads.len() == 1);
    missing.iter().find(is_said).or(missing.first()).copied().or_else(null).or_else(only)
}

/// The first name in backticks.
fn quoted(said: &str) -> Option<&str> {
    said.split('`').nth(1)
}

/// Where the last step of what an error calls `name` stands in the expression.
fn named(expression: &CelExpression, name: &str) -> Option<std::ops::Range<usize>> {
    let start = expression.offset_of(name)?;
    Some(start..start + name.len())
}

/// The value at a path of an expression.
fn at<'v>(roots: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(roots, step)
}

fn step<'v>(value: &'v Value, part: &String) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.get(part),
        Value::Array(items) => items.get(part.strip_prefix('[')?.strip_suffix(']')?.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// The number of the first part of a path that the record does not have.
fn missing_from(roots: &Value, path: &[String]) -> Option<usize> {
    (0..path.len()).find(|end| at(roots, &path[..=*end]).is_none())
}

impl ReadShown {
    fn of(path: &[String], roots: &Value) -> ReadShown {
        let instead = missing_from(roots, path).map(|number| instead(path, number, roots));
        ReadShown { path: written(path), value: at(roots, path).cloned(), instead }
    }
}

/// What is there in the place of `path[number]`.
fn instead(path: &[String], number: usize, roots: &Value) -> String {
    let (parent, name) = (&path[..number], &path[number]);
    let holder = written(parent);
    match at(roots, parent) {
        Some(Value::Object(members)) if members.is_empty() => format!("is not there: {holder} is an empty map"),
        Some(Value::Object(members)) => {
            let names: Vec<&str> = members.keys().map(String::as_str).collect();
            let more = if names.len() > MOST_NAMES {
                format!(" and {} more", names.len() - MOST_NAMES)
            } else {
                String::new()
            };
            let guess = did_you_mean(name, names.iter().copied()).map(|guess| format!("; {guess}")).unwrap_or_default();
            format!("is not there: {holder} has {}{more}{guess}", names[..names.len().min(MOST_NAMES)].join(", "))
        }
        Some(Value::Array(items)) => format!("is not there: {holder} is a list of {}", items.len()),
        Some(other) => format!("is not there: {holder} is {}", shortened(other)),
        None => "is not there".to_owned(),
    }
}

/// A path as an expression writes it.
fn written(path: &[String]) -> String {
    let is_name = |part: &str| part.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
    path.iter().fold(String::new(), |text, part| match part.as_str() {
        part if text.is_empty() => part.to_owned(),
        part if part.starts_with('[') => format!("{text}{part}"),
        part if is_name(part) => format!("{text}.{part}"),
        part => format!("{text}[{part:?}]"),
    })
}
