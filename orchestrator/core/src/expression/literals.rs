//! Texts in the arguments of functions that no value of the event makes right: a duration, a time, a regular
//! expression.

use super::{CelExpression, ExpressionScope, nodes::children, spelling};
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

/// A constant text that the function which it is given to does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongLiteral {
    /// The constant, as it is written in the expression.
    pub(crate) text: String,
    /// The error message of the function for this text.
    pub(crate) message: String,
    /// What to write instead, with an example where there is one.
    pub(crate) help: &'static str,
}

impl CelExpression {
    /// Texts in it that their functions do not take.
    pub(crate) fn wrong_literals(&self) -> Vec<WrongLiteral> {
        wrong(self.tree())
    }
}

fn wrong(tree: &IdedExpr) -> Vec<WrongLiteral> {
    let mut found = Vec::new();
    let mut stack = vec![tree];
    while let Some(node) = stack.pop() {
        if let Expr::Call(call) = &node.expr {
            found.extend(of_call(call));
        }
        stack.extend(children(node));
    }
    found
}

fn of_call(call: &CallExpr) -> Option<WrongLiteral> {
    let text = text_of(call.args.last()?)?;
    let literal = spelling::literal(text);
    let (alone, help) = match (call.func_name.as_str(), call.args.len(), call.target.is_some()) {
        ("duration", 1, false) => {
            (format!("duration({literal})"), "write hours, minutes and seconds: duration(\"24h\")")
        }
        ("timestamp", 1, false) => {
            (format!("timestamp({literal})"), "write a time with a zone: timestamp(\"2026-01-01T00:00:00Z\")")
        }
        ("matches", 1, true) | ("matches", 2, false) => (
            format!("''.matches({literal})"),
            "write a pattern of RE2: close all brackets, a special character itself as \"\\\\.\"; there is no look-around",
        ),
        _ => return None,
    };
    let error = CelExpression::compile(&alone).ok()?.evaluate(&ExpressionScope::default()).err()?;
    Some(WrongLiteral { text: text.to_owned(), message: error.message, help })
}

fn text_of(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_no_event_makes_right_are_found_wherever_they_stand() {
        for source in [
            "event.a.matches('[')",
            "event.a == 'x' || event.a.matches('(?=x)')",
            "event.all.exists(x, x.matches('*'))",
            "matches(event.a, 'a)')",
            "event.t + duration('1d')",
            "duration('')",
            "[timestamp('2026-01-01')]",
            "timestamp(event.t) < timestamp('tomorrow')",
        ] {
            let found = CelExpression::compile(source).expect(source).wrong_literals();
            assert_eq!(found.len(), 1, "{source}");
            for word in ["Parsing", "Error {", "premature"] {
                assert!(!found[0].message.contains(word), "{source}: {}", found[0].message);
            }
        }
        for source in [
            "event.a.matches('[a-z]+')",
            "event.a.matches(event.b)",
            "duration('1h30m') + duration('1.5s')",
            "timestamp('2026-01-01T00:00:00+01:00') < timestamp(event.t)",
            "event.duration('1d')",
        ] {
            assert_eq!(CelExpression::compile(source).expect(source).wrong_literals(), [], "{source}");
        }
    }
}
