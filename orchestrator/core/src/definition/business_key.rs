//! The business key of a saga: one value of the trigger, or several as one text.

mod ambiguous;

pub(crate) use ambiguous::ambiguous;

use super::{
    diagnostic::{Code, FindingCollector},
    fields::wrong,
    model::BusinessKeyTemplate,
    tree::{YamlNode, YamlValue},
    uses::{AcceptedValues, ExpressionPlace, ExpressionPurpose, ParseContext},
    values, written,
};
use crate::expression::{CelExpression, ExpressionScope, ValueTemplate};
use serde_json::Value;

/// Parts of a key: what identifies something in business has a handful, and all of it has to fit 256 bytes.
pub const MAX_PARTS: usize = 16;

/// One text of several, which no others make: `/` stands between them; in a part `~0` stands for `~` and `~1` for `/`,
/// as in a JSON Pointer (RFC 6901).
pub fn joined<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let escaped: Vec<String> = parts.into_iter().map(|part| part.replace('~', "~0").replace('/', "~1")).collect();
    escaped.join("/")
}

/// Reads it. A constant one would start one saga, once.
pub(crate) fn read(node: &YamlNode, reading: &mut ParseContext) -> Option<BusinessKeyTemplate> {
    match &node.value {
        YamlValue::List(items) => parts(node, items, reading).map(BusinessKeyTemplate::Parts),
        _ => one(node, reading).map(BusinessKeyTemplate::One),
    }
}

const EXAMPLE: &str = "for example: ${ event.orderId }, or [\"${ event.tenant }\", \"${ event.orderId }\"]";

fn one(node: &YamlNode, reading: &mut ParseContext) -> Option<ValueTemplate> {
    let template =
        values::template(node, ExpressionPurpose { place: ExpressionPlace::Key, takes: AcceptedValues::Key }, reading)?;
    match &template {
        ValueTemplate::Whole(_) | ValueTemplate::Text(_) => {
            if is_constant(&template) {
                constant(node, &mut reading.report);
            }
            Some(template)
        }
        ValueTemplate::Literal(Value::String(text)) if written::is_like_expression(text) => {
            written::constant_key(node, text, &mut reading.report);
            None
        }
        ValueTemplate::Literal(_) => {
            constant(node, &mut reading.report);
            None
        }
        ValueTemplate::List(_) | ValueTemplate::Map(_) => {
            wrong(&mut reading.report, node, "a key must be one value, or a list of values").help(EXAMPLE);
            None
        }
    }
}

fn parts(node: &YamlNode, items: &[YamlNode], reading: &mut ParseContext) -> Option<Vec<ValueTemplate>> {
    if !(2..=MAX_PARTS).contains(&items.len()) {
        let message = format!("a key of parts has 2 to {MAX_PARTS} of them, this one has {}", items.len());
        let help = "write a single value without brackets: key: ${ event.orderId }";
        reading.report.error(Code::WrongValue, node.span, message).help(help);
        return None;
    }
    let parts: Vec<Option<ValueTemplate>> = items.iter().map(|item| part(item, reading)).collect();
    let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
    if parts.iter().all(|part| matches!(part, ValueTemplate::Literal(_))) {
        constant(node, &mut reading.report);
        return None;
    }
    if parts.iter().all(is_constant) {
        constant(node, &mut reading.report);
    }
    Some(parts)
}

fn part(node: &YamlNode, reading: &mut ParseContext) -> Option<ValueTemplate> {
    let template =
        values::template(node, ExpressionPurpose { place: ExpressionPlace::Key, takes: AcceptedValues::Key }, reading)?;
    match &template {
        ValueTemplate::Literal(Value::String(text)) if written::is_like_expression(text) => {
            written::constant_key(node, text, &mut reading.report);
            None
        }
        ValueTemplate::Literal(value) if !values::is_key(value) => {
            let message = "a part of a key must be a string that is not empty, an integer or a boolean";
            wrong(&mut reading.report, node, message).help(EXAMPLE);
            None
        }
        ValueTemplate::List(_) | ValueTemplate::Map(_) => {
            wrong(&mut reading.report, node, "a part of a key must be one value").help(EXAMPLE);
            None
        }
        ValueTemplate::Literal(_) | ValueTemplate::Whole(_) | ValueTemplate::Text(_) => Some(template),
    }
}

/// Whether it is the same for every event of the trigger, which has one topic. What has no value at all has a finding
/// of its own.
fn is_constant(template: &ValueTemplate) -> bool {
    let is_fixed = |expression: &&CelExpression| {
        let reads = expression.reads();
        let is_topic = |read: &crate::expression::NameRead| read.path == ["record", "topic"];
        !reads.is_empty() && reads.iter().all(is_topic)
            || reads.is_empty() && expression.evaluate(&ExpressionScope::default()).is_ok()
    };
    template.expressions().iter().all(is_fixed)
}

fn constant(node: &YamlNode, report: &mut FindingCollector) {
    report.error(Code::WrongValue, node.span, "the key is the same for every event").help(EXAMPLE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_make_one_text() {
        let cases: [(&[&str], &str); 6] = [
            (&["acme", "7"], "acme/7"),
            (&["acme/eu", "7"], "acme~1eu/7"),
            (&["acme", "eu/7"], "acme/eu~17"),
            (&["acme~1eu", "7"], "acme~01eu/7"),
            (&["a", "b", "c"], "a/b/c"),
            (&["a/b", "c"], "a~1b/c"),
        ];
        for (parts, text) in cases {
            assert_eq!(joined(parts.iter().copied()), text);
            let back: Vec<String> = text.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
            assert_eq!(back, parts);
        }
    }
}
