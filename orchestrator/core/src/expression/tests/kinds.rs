//! Operators that never have a value, and what a value is.

use super::*;
use crate::expression::ValueKind;

/// `text`, `number`, `truth` and `maybe` at the end of a path are what they say.
fn read(path: &[String]) -> Option<Vec<ValueKind>> {
    match path.last()?.as_str() {
        "text" => Some(vec![ValueKind::Text]),
        "number" => Some(vec![ValueKind::Number]),
        "truth" => Some(vec![ValueKind::Truth]),
        "maybe" => Some(vec![ValueKind::Text, ValueKind::Null]),
        _ => None,
    }
}

fn operators(source: &str) -> Vec<&'static str> {
    let expression = CelExpression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    expression.mismatches(&read).into_iter().map(|found| found.operator).collect()
}

#[test]
fn operators_that_never_have_a_value_are_found() {
    for (source, operator) in [
        ("event.a || 'x'", "||"),
        ("1 && event.a", "&&"),
        ("event.a && (event.b + 1)", "&&"),
        ("!'x'", "!"),
        ("!event.text", "!"),
        ("event.text ? 1 : 2", "? :"),
        ("event.text + 1", "+"),
        ("event.number + 'x'", "+"),
        ("event.maybe + 1", "+"),
        ("event.truth + event.a", "+"),
        ("event.a + true", "+"),
        ("event.text - event.a", "-"),
        ("event.text * 2", "*"),
        ("-event.text", "-"),
        ("event.text < 5", "<"),
        ("event.number >= event.text", ">="),
        ("event.all.map(x, x || 'none')", "||"),
        ("event.all.exists(x, x + true == 1)", "+"),
        ("event.all.filter(x, size(x) + 'a' == 'b')", "+"),
        ("duration('1h') + 1", "+"),
    ] {
        assert_eq!(operators(source), [operator], "{source}");
    }
}

#[test]
fn operators_that_can_have_a_value_are_left() {
    for source in [
        "event.a || event.b",
        "event.a + 1",
        "event.a + 'x' + event.b",
        "event.text + string(event.number)",
        "event.number * 2 + size(event.text)",
        "event.text < 'x' && event.number <= 1",
        "timestamp(event.text) + duration('1h') < timestamp(event.a)",
        "timestamp(event.a) - timestamp(event.b) > duration('1h')",
        "event.all.map(text, text + 1)",
        "event.all.exists(x, x.text == 1)",
        "event.all.exists_one(x, x > 1) && event.all.all(x, x != null)",
        "event.all.filter(x, x.truth).map(x, x.number + 1)",
        "[1] + event.all",
        "event.maybe != null && event.maybe + 'x' == 'ax'",
        "has(event.a) ? event.a : 'x'",
        "dyn(event.text) + 1",
        "event.number in [1, 2] || event.text.matches('a')",
        "event.a[0] + 1 < 2.0 - event.b",
    ] {
        assert_eq!(operators(source), Vec::<&str>::new(), "{source}");
    }
}

#[test]
fn what_is_no_condition_is_told_by_its_kind() {
    let kinds = |source| CelExpression::compile(source).expect("an expression").kinds(&read);
    for source in ["event.a + 1", "'x'", "size(event.a)", "event.text", "event.a * 2", "event.truth ? 1 : 'x'"] {
        assert!(kinds(source).is_some_and(|kinds| !kinds.contains(&ValueKind::Truth)), "{source}");
    }
    for source in [
        "event.a",
        "event.truth",
        "event.a > 1",
        "!event.a",
        "event.a ? true : 1",
        "event.l.exists(x, x)",
        "bool('true')",
    ] {
        assert!(kinds(source).is_none_or(|kinds| kinds.contains(&ValueKind::Truth)), "{source}");
    }
}
