//! Values in which `${ }` may stand.

use super::{CelExpression, CompileError, EvaluateError, ExpressionScope, json, scan};
use serde_json::{Map, Value};

/// A YAML value in which `${ }` may stand, compiled. A scalar that is one `${ }` keeps its type; text around it takes
/// strings, numbers and booleans.
#[derive(Clone, Debug)]
pub enum ValueTemplate {
    /// A value without any `${ }`; it is taken as it is.
    Literal(Value),
    /// One `${ }` and nothing else; the value keeps its type.
    Whole(CelExpression),
    /// A text with `${ }` in it; the result is a text.
    Text(Vec<TemplatePiece>),
    /// A list whose items are templates.
    List(Vec<ValueTemplate>),
    /// A map; keys are taken as they are.
    Map(Vec<(String, ValueTemplate)>),
}

/// A part of a text that contains `${ }`.
#[derive(Clone, Debug)]
pub enum TemplatePiece {
    /// Constant text, taken as it is.
    Text(String),
    /// A `${ }`, whose value becomes part of the text.
    Value(CelExpression),
}

impl ValueTemplate {
    /// Compiles one scalar. `$${` is a literal `${`.
    ///
    /// # Errors
    /// If a `${` never ends or what is in it does not compile; the offset counts in `text`.
    pub fn text(text: &str) -> Result<ValueTemplate, CompileError> {
        let pieces = pieces(text)?;
        Ok(match pieces.as_slice() {
            [] => ValueTemplate::Literal(Value::from("")),
            [TemplatePiece::Text(text)] => ValueTemplate::Literal(Value::from(text.as_str())),
            [TemplatePiece::Value(expression)] => ValueTemplate::Whole(expression.clone()),
            _ => ValueTemplate::Text(pieces),
        })
    }

    /// The value in `scope`, its maps sorted by key.
    ///
    /// # Errors
    /// If one of its expressions has no value, or a text cannot take it.
    pub fn render(&self, scope: &ExpressionScope<'_>) -> Result<Value, EvaluateError> {
        match self {
            ValueTemplate::Literal(value) => Ok(value.clone()),
            ValueTemplate::Whole(expression) => expression.evaluate(scope),
            ValueTemplate::Text(pieces) => render_text(pieces, scope).map(Value::String),
            ValueTemplate::List(items) => items.iter().map(|item| item.render(scope)).collect(),
            ValueTemplate::Map(entries) => {
                let values = entries.iter().map(|(key, value)| Ok((key.clone(), value.render(scope)?)));
                values.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }

    /// Every expression in the template, in the order in which it is written.
    #[must_use]
    pub fn expressions(&self) -> Vec<&CelExpression> {
        match self {
            ValueTemplate::Literal(_) => Vec::new(),
            ValueTemplate::Whole(expression) => vec![expression],
            ValueTemplate::Text(pieces) => values(pieces),
            ValueTemplate::List(items) => items.iter().flat_map(ValueTemplate::expressions).collect(),
            ValueTemplate::Map(entries) => entries.iter().flat_map(|(_, value)| value.expressions()).collect(),
        }
    }
}

pub(super) fn values(pieces: &[TemplatePiece]) -> Vec<&CelExpression> {
    let value = |piece| match piece {
        &TemplatePiece::Text(_) => None,
        TemplatePiece::Value(expression) => Some(expression),
    };
    pieces.iter().filter_map(value).collect()
}

/// Splits at `${ }`. `${` ends at the matching `}` outside CEL strings and braces.
pub(super) fn pieces(text: &str) -> Result<Vec<TemplatePiece>, CompileError> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${").map(|found| at + found) {
        if text[at..found].ends_with('$') {
            plain.push_str(&text[at..found - 1]);
            plain.push_str("${");
            at = found + 2;
            continue;
        }
        plain.push_str(&text[at..found]);
        let source = enclosed(text, found)?;
        push_text(&mut pieces, &mut plain);
        pieces.push(TemplatePiece::Value(compile_at(source, found + 2)?));
        at = found + 2 + source.len() + 1;
    }
    plain.push_str(&text[at..]);
    push_text(&mut pieces, &mut plain);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<TemplatePiece>, plain: &mut String) {
    if !plain.is_empty() {
        pieces.push(TemplatePiece::Text(std::mem::take(plain)));
    }
}

/// What stands between the `${` at `open` and its `}`.
fn enclosed(text: &str, open: usize) -> Result<&str, CompileError> {
    let inside = &text[open + 2..];
    let mut depth = 0usize;
    for (offset, byte) in scan::code(inside) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Ok(&inside[..offset]),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    Err(CompileError {
        message: "`${` is never closed".into(),
        help: Some("close it with `}`, or write `$${` for a literal `${`".into()),
        offset: open,
        length: 2,
    })
}

/// The length of the `${ }` that `text` begins with; `None` if it is never closed.
pub(crate) fn closed_at(text: &str) -> Option<usize> {
    enclosed(text, 0).ok().map(|inside| inside.len() + 3)
}

fn compile_at(source: &str, offset: usize) -> Result<CelExpression, CompileError> {
    let trimmed = source.trim_start();
    let skipped = source.len() - trimmed.len();
    CelExpression::compile(trimmed.trim_end())
        .map_err(|error| CompileError { offset: error.offset + offset + skipped, ..error })
}

fn render_text(pieces: &[TemplatePiece], scope: &ExpressionScope<'_>) -> Result<String, EvaluateError> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            TemplatePiece::Text(plain) => text.push_str(plain),
            TemplatePiece::Value(expression) => text.push_str(&scalar_text(expression, scope)?),
        }
    }
    Ok(text)
}

pub(super) fn scalar_text(expression: &CelExpression, scope: &ExpressionScope<'_>) -> Result<String, EvaluateError> {
    match expression.evaluate(scope)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
            let found = json::kind(&other);
            Err(EvaluateError::new(
                expression.source(),
                format!("is {found}; text takes strings, numbers and booleans"),
            ))
        }
    }
}
