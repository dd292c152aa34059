//! Paths as an expression writes them, and the questions that ask whether they are there.

use super::{ANY_ELEMENT, is_element};

/// Words that CEL keeps for itself: no name after a point.
const KEPT: [&str; 22] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
    "has",
];

/// A path as it is written: `record.headers['x-tenant'].a`.
pub(crate) fn spelled(path: &[String]) -> String {
    path.iter().enumerate().fold(String::new(), |text, (at, name)| match name.as_str() {
        name if at == 0 => name.to_owned(),
        ANY_ELEMENT => format!("{text}[…]"),
        name if is_element(name) => format!("{text}{name}"),
        name if is_name(name) => format!("{text}.{name}"),
        name => format!("{text}[{}]", literal(name)),
    })
}

/// What asks whether the last name of a path is there: `has()` takes no name that is written in brackets.
pub(crate) fn question(path: &[String]) -> String {
    match path.split_last() {
        Some((last, parent)) if !parent.is_empty() => asks(&spelled(parent), last),
        Some(_) | None => "true".to_owned(),
    }
}

/// The same, of the field `name` of what `parent` spells.
pub(super) fn asks(parent: &str, name: &str) -> String {
    if is_name(name) { format!("has({parent}.{name})") } else { format!("{} in {parent}", literal(name)) }
}

/// Whether a name can stand after a point.
pub(super) fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    begins && name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_') && !KEPT.contains(&name)
}

/// A text as CEL writes it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::CelExpression;

    #[test]
    fn a_path_and_its_question_are_expressions_whatever_the_names() {
        for name in ["tenant", "x-tenant", "a b", "in", "null", "ü", "0", "it's", "back\\slash", "has", "a.b"] {
            let path = ["record", "headers", name].map(str::to_owned);
            let read = CelExpression::compile(&spelled(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.path().as_deref(), Some(&path[..]));
            let asked = CelExpression::compile(&question(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(asked.facts(), [crate::expression::PathFact::Present(path.to_vec())], "{name}");
        }
    }
}
