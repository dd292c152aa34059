//! Expressions and values of a file, compiled.

use super::{
    diagnostic::{Code, FindingCollector, TextSpan},
    fields::{self, wrong},
    tree::{YamlKey, YamlNode, YamlValue},
    uses::{AcceptedValues, ExpressionPlace, ExpressionPurpose, ParseContext, QueryPurpose},
    written,
};
use crate::expression::{CelExpression, CompileError, ValueTemplate, limits};
use serde_json::{Map, Value};

/// A condition: bare CEL, or `true`/`false`.
pub(crate) fn condition(node: &YamlNode, place: ExpressionPlace, reading: &mut ParseContext) -> Option<CelExpression> {
    let source = match &node.value {
        YamlValue::Text(text) => text.clone(),
        YamlValue::Bool(truth) => truth.to_string(),
        YamlValue::Null
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::List(_)
        | YamlValue::Map(_) => {
            wrong(&mut reading.report, node, "a condition must be a CEL expression")
                .help("for example: event.amountCents > 0");
            return None;
        }
    };
    match CelExpression::compile(source.trim()) {
        Ok(expression) => {
            warn_if_long(&expression, node.span, &mut reading.report);
            let at = ExpressionPurpose { place, takes: AcceptedValues::Truth };
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
pub(crate) fn body(
    node: &YamlNode,
    place: ExpressionPlace,
    query: Option<QueryPurpose>,
    reading: &mut ParseContext,
) -> Option<ValueTemplate> {
    let template = match (&node.value, query) {
        (YamlValue::Map(entries), Some(asked)) => {
            map(entries, place.anything().taking(AcceptedValues::Query(asked)), reading)?
        }
        _ => template(node, place.anything(), reading)?,
    };
    match &template {
        ValueTemplate::Map(_) | ValueTemplate::Whole(_) | ValueTemplate::Literal(Value::Object(_)) => Some(template),
        ValueTemplate::Literal(_) | ValueTemplate::Text(_) | ValueTemplate::List(_) => {
            wrong(&mut reading.report, node, "`with` must be a map")
                .help("write with: {name: value}, or one `${ }` that makes a map");
            None
        }
    }
}

/// A value in which `${ }` may stand.
pub(crate) fn template(node: &YamlNode, at: ExpressionPurpose, reading: &mut ParseContext) -> Option<ValueTemplate> {
    match &node.value {
        YamlValue::Text(text) => scalar(text, node.span, at, reading),
        YamlValue::List(items) => list(items, at, reading),
        // A map within a query is JSON text.
        YamlValue::Map(entries) => map(entries, at.taking(AcceptedValues::Anything), reading),
        YamlValue::Null => {
            null_in_query(node, at, &mut reading.report);
            Some(ValueTemplate::Literal(Value::Null))
        }
        YamlValue::Bool(_) | YamlValue::Int(_) | YamlValue::Uint(_) | YamlValue::Float(_) => {
            Some(ValueTemplate::Literal(scalar_value(node, &mut reading.report)?))
        }
    }
}

fn null_in_query(node: &YamlNode, at: ExpressionPurpose, report: &mut FindingCollector) {
    if let AcceptedValues::Query(_) = at.takes {
        let help = "give it a value, or remove it";
        report.warning(Code::NullInText, node.span, "a query parameter that is null is not sent").help(help);
    }
}

/// A value that is taken as it is.
pub(crate) fn plain(node: &YamlNode, report: &mut FindingCollector) -> Option<Value> {
    match &node.value {
        YamlValue::List(items) => items.iter().map(|item| plain(item, report)).collect::<Option<_>>().map(Value::Array),
        YamlValue::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| Some((key.text.clone(), plain(value, report)?)));
            entries.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        YamlValue::Null
        | YamlValue::Bool(_)
        | YamlValue::Int(_)
        | YamlValue::Uint(_)
        | YamlValue::Float(_)
        | YamlValue::Text(_) => scalar_value(node, report),
    }
}

fn scalar(text: &str, span: TextSpan, at: ExpressionPurpose, reading: &mut ParseContext) -> Option<ValueTemplate> {
    match ValueTemplate::text(text) {
        Ok(template) => {
            template
                .expressions()
                .into_iter()
                .for_each(|expression| warn_if_long(expression, span, &mut reading.report));
            written::text(text, span, at, &template, &mut reading.report);
            let at = if matches!(template, ValueTemplate::Text(_)) { at.taking(AcceptedValues::Text) } else { at };
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

fn list(items: &[YamlNode], at: ExpressionPurpose, reading: &mut ParseContext) -> Option<ValueTemplate> {
    let items: Vec<Option<ValueTemplate>> = items.iter().map(|item| template(item, at, reading)).collect();
    let items = items.into_iter().collect::<Option<Vec<_>>>()?;
    let values = items.iter().map(as_literal).collect::<Option<Vec<_>>>();
    Some(values.map_or(ValueTemplate::List(items), |values| ValueTemplate::Literal(Value::Array(values))))
}

fn map(entries: &[(YamlKey, YamlNode)], at: ExpressionPurpose, reading: &mut ParseContext) -> Option<ValueTemplate> {
    let entries: Vec<Option<(String, ValueTemplate)>> =
        entries.iter().map(|(key, value)| entry(key, value, at, reading)).collect();
    let mut entries = entries.into_iter().collect::<Option<Vec<_>>>()?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let values =
        entries.iter().map(|(key, value)| Some((key.clone(), as_literal(value)?))).collect::<Option<Map<_, _>>>();
    Some(values.map_or(ValueTemplate::Map(entries), |values| ValueTemplate::Literal(Value::Object(values))))
}

fn entry(
    key: &YamlKey,
    value: &YamlNode,
    at: ExpressionPurpose,
    reading: &mut ParseContext,
) -> Option<(String, ValueTemplate)> {
    if key.text.contains("${") {
        let help = "compute the whole map: ${ {\"a\" + \"b\": 1} }";
        reading.report.error(Code::Expression, key.span, "`${ }` is not evaluated in the key of a map").help(help);
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

fn as_literal(template: &ValueTemplate) -> Option<Value> {
    match template {
        ValueTemplate::Literal(value) => Some(value.clone()),
        ValueTemplate::Whole(_) | ValueTemplate::Text(_) | ValueTemplate::List(_) | ValueTemplate::Map(_) => None,
    }
}

/// A scalar as it is written: a number keeps its digits.
fn scalar_value(node: &YamlNode, report: &mut FindingCollector) -> Option<Value> {
    match &node.value {
        YamlValue::Bool(truth) => Some(Value::Bool(*truth)),
        YamlValue::Int(_) | YamlValue::Uint(_) | YamlValue::Float(_) => {
            fields::number_as_written(node, report).map(Value::Number)
        }
        YamlValue::Text(text) => {
            written::without_nul(text, node.span, report);
            Some(Value::from(text.as_str()))
        }
        YamlValue::Null | YamlValue::List(_) | YamlValue::Map(_) => Some(Value::Null),
    }
}

fn warn_if_long(expression: &CelExpression, span: TextSpan, report: &mut FindingCollector) {
    let length = expression.source().len();
    if length > limits::WARN_SOURCE_BYTES {
        let message = format!("the expression has {length} bytes; {} are the limit", limits::MAX_SOURCE_BYTES);
        report
            .warning(Code::LongExpression, fields::first_line(report, span), message)
            .help("move logic into a participant");
    }
}

/// Reports that `text`, a part of the scalar at `span`, does not compile.
pub(crate) fn report_compile_error(
    report: &mut FindingCollector,
    code: Code,
    span: TextSpan,
    text: &str,
    error: &CompileError,
) {
    let at = part(report, span, text, error.offset, error.length);
    let finding = report.error(code, at, error.message.clone());
    if let Some(help) = &error.help {
        finding.help(help.clone());
    }
}

/// Where a part of `text` stands in the file, if the scalar at `span` holds `text` as it is; else the scalar's first
/// line.
pub(crate) fn part(report: &FindingCollector, span: TextSpan, text: &str, offset: usize, length: usize) -> TextSpan {
    let scalar = report.text().get(span.start..span.end).unwrap_or_default();
    match scalar.find(text) {
        Some(base) => {
            let start = span.start + base + offset.min(text.len());
            TextSpan { start, end: (start + length.max(1)).min(span.end.max(start)) }
        }
        None => fields::first_line(report, span),
    }
}
