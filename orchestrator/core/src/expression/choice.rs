//! Expressions that choose between a value and null.

use super::scan;
use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

/// `guard ? value : null`, or `… ? null : value` with the guard turned around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConditionalValue {
    /// The condition under which the expression has a value.
    pub(crate) guard: String,
    /// The source of the value, as it is written.
    pub(crate) value: String,
}

pub(super) fn of(tree: &IdedExpr, source: &str) -> Option<ConditionalValue> {
    let Expr::Call(call) = &tree.expr else { return None };
    let [_, yes, no] = call.args.as_slice() else { return None };
    if call.func_name != operators::CONDITIONAL {
        return None;
    }
    let (condition, first, second) = parts(source)?;
    match (is_null(yes), is_null(no)) {
        (false, true) => Some(ConditionalValue { guard: condition.to_owned(), value: first.to_owned() }),
        (true, false) => Some(ConditionalValue { guard: negated(condition), value: second.to_owned() }),
        (true, true) | (false, false) => None,
    }
}

fn is_null(node: &IdedExpr) -> bool {
    matches!(node.expr, Expr::Literal(LiteralValue::Null))
}

/// What stands before the `?` outside of all brackets, between it and its `:`, and behind that.
pub(super) fn parts(source: &str) -> Option<(&str, &str, &str)> {
    let mut open = 0usize;
    let mut question = None;
    for (at, byte) in scan::outside_brackets(source) {
        match byte {
            b'?' => {
                question.get_or_insert(at);
                open += 1;
            }
            b':' if open == 1 => {
                let question = question?;
                return Some((source[..question].trim(), source[question + 1..at].trim(), source[at + 1..].trim()));
            }
            b':' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn negated(condition: &str) -> String {
    let is_one = |text: &str| !text.contains(['&', '|', '?', '(', '=', '!', ' ']);
    match condition.strip_suffix("null").and_then(|rest| rest.trim_end().strip_suffix("==")).map(str::trim_end) {
        Some(value) if is_one(value) => format!("{value} != null"),
        Some(_) | None => format!("!({condition})"),
    }
}
