//! Keys that several events with different values can have.

use crate::definition::model::BusinessKeyTemplate;
use crate::{
    definition::{
        diagnostic::{Code, FindingCollector},
        event_schema::EventSchema,
        model::TriggerDefinition,
        quoting,
        tree::{YamlNode, YamlValue},
    },
    expression::{CelExpression, ExpressionScope, TemplatePiece, ValueTemplate},
};
use serde_json::Value;

/// A part of a text that is made of several.
enum KeyPart {
    /// Constant text, the same for every event.
    Text(String),
    Value(CelExpression),
}

/// Warns of a text of which two events with different values can make the same: where at least two of its values may
/// hold what stands between them, or nothing does.
pub(crate) fn ambiguous(
    node: &YamlNode,
    trigger: &TriggerDefinition,
    event: Option<&EventSchema<'_>>,
    report: &mut FindingCollector,
) {
    let texts: Vec<&ValueTemplate> = match &trigger.key {
        BusinessKeyTemplate::One(template) => vec![template],
        BusinessKeyTemplate::Parts(parts) => parts.iter().collect(),
    };
    let nodes: Vec<&YamlNode> = match &node.value {
        YamlValue::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let is_list = matches!(&node.value, YamlValue::List(_));
    for (node, text) in nodes.into_iter().zip(texts) {
        let ways = ways(text);
        if let Some(parts) = ways.iter().find(|parts| is_ambiguous(parts, event)) {
            let message =
                "two events with different values can have the same key: the values may contain the separator";
            let help = help(parts, ways.len(), is_list);
            report.warning(Code::AmbiguousKey, node.span, message).help(help);
        }
    }
}

/// What to write instead, as far as no part of the key is lost by it.
fn help(parts: &[KeyPart], ways: usize, is_list: bool) -> String {
    let parts = parts.iter().filter_map(source).collect::<Vec<_>>().join(", ");
    match (ways, is_list) {
        (1, false) => format!("write the parts as a list: key: [{parts}]"),
        (1, true) => format!("write in place of this part: {parts}"),
        (_, _) => "write a list with one part for each value, key: [..., ...], and in each branch of the choice a different constant part".to_owned(),
    }
}

/// What a text is made of, for each way that its expressions can go; of several expressions each goes the way with most
/// parts.
fn ways(template: &ValueTemplate) -> Vec<Vec<KeyPart>> {
    match template {
        ValueTemplate::Whole(expression) => {
            expression.joined().into_iter().map(|way| way.into_iter().map(part).collect()).collect()
        }
        ValueTemplate::Text(pieces) => vec![pieces.iter().flat_map(parts).collect()],
        ValueTemplate::Literal(_) | ValueTemplate::List(_) | ValueTemplate::Map(_) => Vec::new(),
    }
}

fn parts(piece: &TemplatePiece) -> Vec<KeyPart> {
    match piece {
        TemplatePiece::Text(text) => vec![KeyPart::Text(text.clone())],
        TemplatePiece::Value(expression) => {
            let longest = expression.joined().into_iter().max_by_key(Vec::len).unwrap_or_default();
            longest.into_iter().map(part).collect()
        }
    }
}

fn part(expression: CelExpression) -> KeyPart {
    let constant = expression.reads().is_empty().then(|| expression.evaluate(&ExpressionScope::default()));
    match constant {
        Some(Ok(Value::String(text))) => KeyPart::Text(text),
        Some(Ok(value)) => KeyPart::Text(value.to_string()),
        Some(Err(_)) | None => KeyPart::Value(expression),
    }
}

fn source(part: &KeyPart) -> Option<String> {
    match part {
        KeyPart::Text(_) => None,
        KeyPart::Value(expression) => Some(quoting::quoted(&format!("${{ {} }}", expression.source().trim()))),
    }
}

fn is_ambiguous(parts: &[KeyPart], event: Option<&EventSchema<'_>>) -> bool {
    let values = parts.iter().filter(|part| matches!(part, KeyPart::Value(_))).count();
    let side_by_side = parts.windows(2).any(|two| matches!(two, [KeyPart::Value(_), KeyPart::Value(_)]));
    let open = |part: &&KeyPart| match part {
        KeyPart::Text(_) => false,
        KeyPart::Value(expression) => !is_number_or_truth(expression, event),
    };
    let open = parts.iter().filter(open).count();
    // What stands between numbers is a sign that no number has.
    let is_of_numbers =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && (open > 0 || text != "-");
    let between = |part: &KeyPart| matches!(part, KeyPart::Text(text) if is_of_numbers(text));
    values > 1 && (side_by_side || open > 1 || parts[1..parts.len() - 1].iter().any(between))
}

fn is_number_or_truth(expression: &CelExpression, event: Option<&EventSchema<'_>>) -> bool {
    let Some(path) = expression.shown_path() else { return false };
    match path.split_first() {
        Some((root, path)) if root == "event" => event.is_some_and(|event| event.is_integer_or_boolean(path)),
        Some((root, [name])) if root == "record" => name == "partition" || name == "offset" || name == "timestamp",
        Some(_) | None => false,
    }
}
