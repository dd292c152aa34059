//! Expressions and values of a file, compiled.

use super::{
    diagnostic::{Code, Report, Span},
    fields::{self, wrong},
    tree::{Key, Node, Yaml},
    uses::{Asked, At, Place, Reading, Takes},
    written,
};
use crate::expression::{CompileError, Expression, Template, limits};
use serde_json::{Map, Value};

/// A condition: bare CEL, or `true`/`false`.
pub(crate) fn condition(node: &Node, place: Place, reading: &mut Reading) -> Option<Expression> {
    let source = match &node.value {
        Yaml::Text(text) => text.clone(),
        Yaml::Bool(truth) => truth.to_string(),
        Yaml::Null | Yaml::Int(_) | Yaml::Uint(_) | Yaml::Float(_) | Yaml::List(_) | Yaml::Map(_) => {
            wrong(&mut reading.report, node, "a condition is a CEL expression")
                .help("for example: event.amountCents > 0");
            return None;
        }
    };
    match Expression::compile(source.trim()) {
        Ok(expression) => {
            warn_if_long(&expression, node.span, &mut reading.report);
            let at = At { place, takes: Takes::Truth };
            reading.uses.add(&expression, node.span, source.trim(), at);
            Some(expression)
        }
        Err(error) => {
            report_compile_error(&mut reading.report, Code::Expression, node.span, source.trim(), &error);
            None
        }
    }
}

/// What is sent: a map, or one `${ }` that makes one. Of a query each value is one of the query.
pub(crate) fn body(node: &Node, place: Place, query: Option<Asked>, reading: &mut Reading) -> Option<Template> {
    let template = match (&node.value, query) {
        (Yaml::Map(entries), Some(asked)) => map(entries, place.anything().taking(Takes::Query(asked)), reading)?,
        _ => template(node, place.anything(), reading)?,
    };
    match &template {
        Template::Map(_) | Template::Whole(_) | Template::Literal(Value::Object(_)) => Some(template),
        Template::Literal(_) | Template::Text(_) | Template::List(_) => {
            wrong(&mut reading.report, node, "`with` is a map")
                .help("write with: {name: value}, or one `${ }` that makes a map");
            None
        }
    }
}

/// A value in which `${ }` may stand.
pub(crate) fn template(node: &Node, at: At, reading: &mut Reading) -> Option<Template> {
    match &node.value {
        Yaml::Text(text) => scalar(text, node.span, at, reading),
        Yaml::List(items) => list(items, at, reading),
        // A map within a query is JSON text.
        Yaml::Map(entries) => map(entries, at.taking(Takes::Anything), reading),
        Yaml::Null => {
            null_in_query(node, at, &mut reading.report);
            Some(Template::Literal(Value::Null))
        }
        Yaml::Bool(_) | Yaml::Int(_) | Yaml::Uint(_) | Yaml::Float(_) => {
            Some(Template::Literal(scalar_value(node, &mut reading.report)?))
        }
    }
}

fn null_in_query(node: &Node, at: At, report: &mut Report) {
    if let Takes::Query(_) = at.takes {
        let help = "give it a value, or remove it";
        report.warning(Code::NullInText, node.span, "null is left out of the query").help(help);
    }
}

/// A value that is taken as it is.
pub(crate) fn plain(node: &Node, report: &mut Report) -> Option<Value> {
    match &node.value {
        Yaml::List(items) => items.iter().map(|item| plain(item, report)).collect::<Option<_>>().map(Value::Array),
        Yaml::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| Some((key.text.clone(), plain(value, report)?)));
            entries.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        Yaml::Null | Yaml::Bool(_) | Yaml::Int(_) | Yaml::Uint(_) | Yaml::Float(_) | Yaml::Text(_) => {
            scalar_value(node, report)
        }
    }
}

fn scalar(text: &str, span: Span, at: At, reading: &mut Reading) -> Option<Template> {
    match Template::text(text) {
        Ok(template) => {
            template
                .expressions()
                .into_iter()
                .for_each(|expression| warn_if_long(expression, span, &mut reading.report));
            written::text(text, span, at, &template, &mut reading.report);
            let at = if matches!(template, Template::Text(_)) { at.taking(Takes::Text) } else { at };
            reading.uses.add_all(template.expressions(), span, text, at);
            Some(template)
        }
        Err(error) => {
            if !written::cut_by_comment(text, span, &mut reading.report) {
                report_compile_error(&mut reading.report, Code::Expression, span, text, &error);
            }
            None
        }
    }
}

fn list(items: &[Node], at: At, reading: &mut Reading) -> Option<Template> {
    let items: Vec<Option<Template>> = items.iter().map(|item| template(item, at, reading)).collect();
    let items = items.into_iter().collect::<Option<Vec<_>>>()?;
    let values = items.iter().map(as_literal).collect::<Option<Vec<_>>>();
    Some(values.map_or(Template::List(items), |values| Template::Literal(Value::Array(values))))
}

fn map(entries: &[(Key, Node)], at: At, reading: &mut Reading) -> Option<Template> {
    let entries: Vec<Option<(String, Template)>> =
        entries.iter().map(|(key, value)| entry(key, value, at, reading)).collect();
    let mut entries = entries.into_iter().collect::<Option<Vec<_>>>()?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let values =
        entries.iter().map(|(key, value)| Some((key.clone(), as_literal(value)?))).collect::<Option<Map<_, _>>>();
    Some(values.map_or(Template::Map(entries), |values| Template::Literal(Value::Object(values))))
}

fn entry(key: &Key, value: &Node, at: At, reading: &mut Reading) -> Option<(String, Template)> {
    if key.text.contains("${") {
        let help = "compute the whole map: ${ {\"a\" + \"b\": 1} }";
        reading
            .report
            .error(Code::Expression, key.span, "a key is taken as it is, `${ }` does not work in it")
            .help(help);
    }
    template(value, at, reading).map(|value| (key.text.clone(), value))
}

/// Whether a literal can be the key of a record.
pub(crate) fn is_key(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => crate::json::integer_text(number).is_some(),
        Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn as_literal(template: &Template) -> Option<Value> {
    match template {
        Template::Literal(value) => Some(value.clone()),
        Template::Whole(_) | Template::Text(_) | Template::List(_) | Template::Map(_) => None,
    }
}

/// A scalar as it is written: a number keeps its digits.
fn scalar_value(node: &Node, report: &mut Report) -> Option<Value> {
    match &node.value {
        Yaml::Bool(truth) => Some(Value::Bool(*truth)),
        Yaml::Int(_) | Yaml::Uint(_) | Yaml::Float(_) => fields::number_as_written(node, report).map(Value::Number),
        Yaml::Text(text) => {
            written::without_nul(text, node.span, report);
            Some(Value::from(text.as_str()))
        }
        Yaml::Null | Yaml::List(_) | Yaml::Map(_) => Some(Value::Null),
    }
}

fn warn_if_long(expression: &Expression, span: Span, report: &mut Report) {
    let length = expression.source().len();
    if length > limits::WARN_SOURCE_BYTES {
        let message = format!("the expression has {length} bytes; {} are the limit", limits::MAX_SOURCE_BYTES);
        report
            .warning(Code::LongExpression, fields::first_line(report, span), message)
            .help("move logic into a participant");
    }
}

/// Reports that `text`, a part of the scalar at `span`, does not compile.
pub(crate) fn report_compile_error(report: &mut Report, code: Code, span: Span, text: &str, error: &CompileError) {
    let at = part(report, span, text, error.offset, error.length);
    let finding = report.error(code, at, error.message.clone());
    if let Some(help) = &error.help {
        finding.help(help.clone());
    }
}

/// Where a part of `text` stands in the file, if the scalar at `span` holds `text` as it is; else the scalar's first line.
pub(crate) fn part(report: &Report, span: Span, text: &str, offset: usize, length: usize) -> Span {
    let scalar = report.text().get(span.start..span.end).unwrap_or_default();
    match scalar.find(text) {
        Some(base) => {
            let start = span.start + base + offset.min(text.len());
            Span { start, end: (start + length.max(1)).min(span.end.max(start)) }
        }
        None => fields::first_line(report, span),
    }
}
