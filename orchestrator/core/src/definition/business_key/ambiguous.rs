//! Keys that several events with different values can have.

use super::BusinessKey;
use crate::{
    definition::{
        diagnostic::{Code, Report},
        event_schema::EventSchema,
        model::Trigger,
        remedy,
        tree::{Node, Yaml},
    },
    expression::{Expression, Piece, Scope, Template},
};
use serde_json::Value;

/// A part of a text that is made of several.
enum Part {
    /// The same for every event.
    Text(String),
    Value(Expression),
}

/// Warns of a text of which two events with different values can make the same: where at least two of its values may hold what stands between
/// them, or nothing does.
pub(crate) fn ambiguous(node: &Node, trigger: &Trigger, event: Option<&EventSchema<'_>>, report: &mut Report) {
    let texts: Vec<&Template> = match &trigger.key {
        BusinessKey::One(template) => vec![template],
        BusinessKey::Parts(parts) => parts.iter().collect(),
    };
    let nodes: Vec<&Node> = match &node.value {
        Yaml::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let is_list = matches!(&node.value, Yaml::List(_));
    for (node, text) in nodes.into_iter().zip(texts) {
        let ways = ways(text);
        if let Some(parts) = ways.iter().find(|parts| is_ambiguous(parts, event)) {
            let message = "two events with different values can have this key: what stands between them may be in them";
            let help = help(parts, ways.len(), is_list);
            report.warning(Code::AmbiguousKey, node.span, message).help(help);
        }
    }
}

/// What to write instead, as far as no part of the key is lost by it.
fn help(parts: &[Part], ways: usize, is_list: bool) -> String {
    let parts = parts.iter().filter_map(source).collect::<Vec<_>>().join(", ");
    match (ways, is_list) {
        (1, false) => format!("write the parts as a list: key: [{parts}]"),
        (1, true) => format!("write in place of this part: {parts}"),
        (_, _) => "give each value a part of its own in a list, key: [..., ...], and each way that the choice can go a constant part that tells it".to_owned(),
    }
}

/// What a text is made of, for each way that its expressions can go; of several expressions each goes the way with most parts.
fn ways(template: &Template) -> Vec<Vec<Part>> {
    match template {
        Template::Whole(expression) => {
            expression.joined().into_iter().map(|way| way.into_iter().map(part).collect()).collect()
        }
        Template::Text(pieces) => vec![pieces.iter().flat_map(parts).collect()],
        Template::Literal(_) | Template::List(_) | Template::Map(_) => Vec::new(),
    }
}

fn parts(piece: &Piece) -> Vec<Part> {
    match piece {
        Piece::Text(text) => vec![Part::Text(text.clone())],
        Piece::Value(expression) => {
            let longest = expression.joined().into_iter().max_by_key(Vec::len).unwrap_or_default();
            longest.into_iter().map(part).collect()
        }
    }
}

fn part(expression: Expression) -> Part {
    let constant = expression.reads().is_empty().then(|| expression.evaluate(&Scope::default()));
    match constant {
        Some(Ok(Value::String(text))) => Part::Text(text),
        Some(Ok(value)) => Part::Text(value.to_string()),
        Some(Err(_)) | None => Part::Value(expression),
    }
}

fn source(part: &Part) -> Option<String> {
    match part {
        Part::Text(_) => None,
        Part::Value(expression) => Some(remedy::quoted(&format!("${{ {} }}", expression.source().trim()))),
    }
}

fn is_ambiguous(parts: &[Part], event: Option<&EventSchema<'_>>) -> bool {
    let values = parts.iter().filter(|part| matches!(part, Part::Value(_))).count();
    let side_by_side = parts.windows(2).any(|two| matches!(two, [Part::Value(_), Part::Value(_)]));
    let open = |part: &&Part| match part {
        Part::Text(_) => false,
        Part::Value(expression) => !is_number_or_truth(expression, event),
    };
    let open = parts.iter().filter(open).count();
    // What stands between numbers is a sign that no number has.
    let is_of_numbers =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && (open > 0 || text != "-");
    let between = |part: &Part| matches!(part, Part::Text(text) if is_of_numbers(text));
    values > 1 && (side_by_side || open > 1 || parts[1..parts.len() - 1].iter().any(between))
}

fn is_number_or_truth(expression: &Expression, event: Option<&EventSchema<'_>>) -> bool {
    let Some(path) = expression.shown_path() else { return false };
    match path.split_first() {
        Some((root, path)) if root == "event" => event.is_some_and(|event| event.is_integer_or_boolean(path)),
        Some((root, [name])) if root == "record" => name == "partition" || name == "offset" || name == "timestamp",
        Some(_) | None => false,
    }
}
