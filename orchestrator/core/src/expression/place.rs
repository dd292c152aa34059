//! Where a path stands in the source of an expression. The parser keeps no places.

use super::{CelExpression, scan};
use std::ops::Range;

impl CelExpression {
    /// The bytes of the source in which `path` is first written, as [`super::NameRead`] has paths: `event.items[0].sku`
    /// or `record.headers["tenant"]`. `None`: it is nowhere written in one piece.
    #[must_use]
    pub fn place_of(&self, path: &[String]) -> Option<Range<usize>> {
        let (root, inner) = path.split_first()?;
        let source = self.source();
        let ends = |start: usize| {
            let end = inner.iter().try_fold(start + root.len(), |at, part| part_end(source, at, part))?;
            Some(start..end)
        };
        scan::words(source, root).find_map(ends)
    }
}

/// One past the step into `part` that the source has at `at`.
fn part_end(source: &str, at: usize, part: &str) -> Option<usize> {
    let rest = source.get(at..)?.trim_start();
    let of = |rest: &str| source.len() - rest.len();
    if let Some(inside) = rest.strip_prefix('[') {
        let inside = inside.trim_start();
        let index = part.strip_prefix('[').and_then(|part| part.strip_suffix(']'));
        let after = match index {
            Some(index) => inside.strip_prefix(index).map(|after| after.strip_prefix('u').unwrap_or(after)),
            None => quoted(inside, part),
        };
        return after.and_then(|after| after.trim_start().strip_prefix(']')).map(of);
    }
    let name = rest.strip_prefix('.')?.trim_start();
    let after = name.strip_prefix(part)?;
    let goes_on = after.starts_with(|sign: char| sign.is_ascii_alphanumeric() || sign == '_');
    (!goes_on).then(|| of(after))
}

/// What follows `part` in quotes.
fn quoted<'s>(text: &'s str, part: &str) -> Option<&'s str> {
    let quote = text.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
    text[1..].strip_prefix(part)?.strip_prefix(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: &str, path: &[&str]) -> Option<String> {
        let expression = CelExpression::compile(source).expect("an expression");
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        expression.place_of(&path).map(|place| source[place].to_owned())
    }

    #[test]
    fn a_path_is_found_however_it_is_written() {
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(place("'event.id' + event.ids + event.id", &["event", "id"]), found("event.id"));
        assert_eq!(
            place("event . items [ 0 ].sku", &["event", "items", "[0]", "sku"]),
            found("event . items [ 0 ].sku")
        );
        assert_eq!(place(r#"record.headers["a b"]"#, &["record", "headers", "a b"]), found(r#"record.headers["a b"]"#));
        assert_eq!(place("event.a.b", &["event", "a"]), found("event.a"));
        assert_eq!(place("event.a", &["event", "b"]), None);
    }
}
