//! Texts that an expression joins by `+`.

use super::{CelExpression, choice, scan};
use cel::common::ast::{Expr, IdedExpr};

impl CelExpression {
    /// The path whose value it shows, as it is or by `string(…)`.
    pub(crate) fn shown_path(&self) -> Option<Vec<String>> {
        shown_path(self.tree())
    }

    /// What it joins by `+`, for each way that it can go.
    pub(crate) fn joined(&self) -> Vec<Vec<CelExpression>> {
        of(self.source())
    }
}

/// What is joined, for each way that the expression can go: a value that is not joined to anything stands alone.
fn of(source: &str) -> Vec<Vec<CelExpression>> {
    let source = without_brackets(source.trim());
    match choice::parts(source) {
        Some((_, yes, no)) => [yes, no].into_iter().flat_map(of).collect(),
        None => vec![summands(source)],
    }
}

/// The path whose value an expression shows as it is, or as a text.
fn shown_path(tree: &IdedExpr) -> Option<Vec<String>> {
    match &tree.expr {
        Expr::Call(call) if call.func_name == "string" && call.target.is_none() => shown_path(call.args.first()?),
        _ => super::reads::path_of(tree),
    }
}

fn summands(source: &str) -> Vec<CelExpression> {
    let parts = split(source);
    if let [one] = parts.as_slice() {
        return CelExpression::compile(one).into_iter().collect();
    }
    parts.into_iter().flat_map(|part| summands(without_brackets(part.trim()))).collect()
}

/// The parts between every `+` outside of all brackets; the whole source if it is more than a sum.
fn split(source: &str) -> Vec<&str> {
    let mut start = 0;
    let mut parts = Vec::new();
    for (at, byte) in scan::outside_brackets(source) {
        match byte {
            b'?' | b'<' | b'>' | b'=' | b'&' | b'|' => return vec![source],
            b'+' if !is_exponent(source, at) => {
                parts.push(&source[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&source[start..]);
    parts
}

/// The `+` of `1e+5`.
fn is_exponent(source: &str, plus: usize) -> bool {
    let before = source.as_bytes()[..plus].strip_suffix(b"e").or_else(|| source.as_bytes()[..plus].strip_suffix(b"E"));
    before.and_then(<[u8]>::last).is_some_and(u8::is_ascii_digit)
}

/// The source without the one pair of brackets around all of it.
fn without_brackets(source: &str) -> &str {
    let Some(inner) = source.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return source };
    let mut depth = 0usize;
    for (_, byte) in scan::code(inner) {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return source,
            b')' => depth -= 1,
            _ => {}
        }
    }
    without_brackets(inner.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(source: &str) -> Vec<Vec<String>> {
        let text = |part: &CelExpression| part.source().trim().to_owned();
        of(source).iter().map(|way| way.iter().map(text).collect()).collect()
    }

    #[test]
    fn what_is_joined_is_told_for_each_way() {
        assert_eq!(joined("event.a + '/' + event.b"), [vec!["event.a", "'/'", "event.b"]]);
        assert_eq!(joined("(event.a + ('+' + string(event.b)))"), [vec!["event.a", "'+'", "string(event.b)"]]);
        assert_eq!(joined("event.x ? event.a + event.b : event.c"), [vec!["event.a", "event.b"], vec!["event.c"]]);
        assert_eq!(joined("f(a + b)"), [vec!["f(a + b)"]]);
        assert_eq!(joined("(a) + (b)"), [vec!["a", "b"]]);
        assert_eq!(joined("1e+5"), [vec!["1e+5"]]);
        assert_eq!(joined("a + b == c"), [vec!["a + b == c"]]);
    }
}
