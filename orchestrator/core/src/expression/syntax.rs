//! What is no CEL, in words that say how it is written here.

use super::{CompileError, scan, spelling};

pub(super) fn error(source: &str, errors: &cel::ParseErrors) -> CompileError {
    let Some(first) = errors.errors.first() else {
        return CompileError::at(0, source.len(), "not a CEL expression", None);
    };
    let offset = offset_of(source, first.pos);
    let (message, length) = plain_words(source, offset, first.msg.trim_start_matches("Syntax error: "));
    let help =
        hint(source).unwrap_or_else(|| "CEL looks like this: event.amountCents > 0 && !event.digital".to_owned());
    CompileError::at(offset, length, message, Some(&help))
}

/// What the parser says, without its grammar; and how long the thing is that it means.
fn plain_words(source: &str, offset: usize, message: &str) -> (String, usize) {
    if offset >= source.len() {
        return ("the expression ends too early".to_owned(), 0);
    }
    if message.starts_with("invalid int literal") || message.starts_with("invalid uint literal") {
        let digits = |sign: char| sign.is_ascii_alphanumeric();
        let number: String =
            source.get(offset..).unwrap_or_default().chars().take_while(|sign| digits(*sign)).collect();
        return (format!("`{number}` does not fit the 64 bits of an integer"), number.len().max(1));
    }
    let text = message.strip_prefix("mismatched input '").and_then(|rest| rest.split_once("' expecting"));
    match text {
        Some((text, _)) => (format!("`{text}` does not belong here"), text.len()),
        None => (message.lines().next().unwrap_or("not a CEL expression").to_owned(), 1),
    }
}

/// How that is written here which others write otherwise.
pub(super) fn hint(source: &str) -> Option<String> {
    let word = |text: &str| scan::find_word(source, text).is_some();
    let sign = |text: &str| scan::code(source).any(|(at, _)| source.as_bytes()[at..].starts_with(text.as_bytes()));
    let fixed = if scan::code(source).any(|(_, byte)| !byte.is_ascii()) {
        "outside of quotes CEL takes the letters a-z and A-Z, and its own signs: write event['größe'] for such a \
            name, and plain quotes, -, >= and *"
    } else if sign(".?") || sign("[?") || sign("?.") {
        "CEL here has no `.?`: write has(event.note) ? event.note : null"
    } else if source.contains("${") {
        "`when`, `if` and `check` take an expression without `${ }`"
    } else if source.trim().starts_with('{') && !sign(":") {
        return Some(format!("write one pair of braces: ${{ {} }}", without_braces(source)));
    } else if sign("??") || sign("?:") {
        return Some(otherwise(source));
    } else if word("and") || word("or") || word("not") {
        "CEL writes `&&`, `||` and `!`"
    } else if sign("===") {
        "CEL compares with `==`"
    } else if sign("<>") {
        "CEL writes `!=`"
    } else if word("in") && sign("(") && sign(",") {
        "write a list in square brackets: event.country in ['DE', 'AT']"
    } else if has_one('=', source) {
        "CEL compares with `==`, and assigns nothing"
    } else if has_one('&', source) {
        "CEL writes `&&`"
    } else if has_one('|', source) {
        "CEL writes `||`; there are no filters behind a `|`"
    } else if word("if") || word("then") || word("else") {
        "CEL chooses with condition ? value : other"
    } else if word("is") {
        "CEL compares with `==`: event.note == null"
    } else if sign("?") && !sign(":") {
        "a choice has two values: condition ? value : other"
    } else if sign("`") {
        "write strings in quotes: 'text'"
    } else if has_long_integer(source) {
        "integers are from -9223372036854775808 to 9223372036854775807 (with `u` behind them from 0 to \
            18446744073709551615); write a longer number as a string, '…'"
    } else {
        return None;
    };
    Some(fixed.to_owned())
}

fn without_braces(source: &str) -> &str {
    source.trim().trim_start_matches('{').trim_end_matches('}').trim()
}

/// The help for `event.a ?? 0`: the same choice, written with `has` and `? :`.
fn otherwise(source: &str) -> String {
    let parts = source.split_once("??").or_else(|| source.split_once("?:")).map(|(a, b)| (a.trim(), b.trim()));
    match parts {
        Some((value, other)) if is_path(value) && !other.is_empty() && !other.contains('?') => {
            format!("write has({value}) ? {value} : {other}")
        }
        Some(_) | None => "write has(event.note) ? event.note : 'none'".to_owned(),
    }
}

fn is_path(text: &str) -> bool {
    text.contains('.') && text.split('.').all(spelling::is_name)
}

/// Whether a sign stands there alone, where CEL has two of it or another beside it.
fn has_one(sign: char, source: &str) -> bool {
    let bytes = source.as_bytes();
    let is_beside = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|byte| b"=<>!&|".contains(byte));
    scan::code(source)
        .any(|(at, byte)| char::from(byte) == sign && !is_beside(at.checked_sub(1)) && !is_beside(Some(at + 1)))
}

fn has_long_integer(source: &str) -> bool {
    let mut digits = 0;
    scan::code(source).any(|(_, byte)| {
        digits = if byte.is_ascii_hexdigit() { digits + 1 } else { 0 };
        digits > 16
    })
}

/// The byte offset of a line and column that count from 1, columns in characters.
fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let (line, column) = (line.max(1).unsigned_abs(), column.max(1).unsigned_abs());
    let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = &source[start.min(source.len())..];
    start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use crate::expression::CelExpression;

    #[test]
    fn what_others_write_is_told_as_it_is_written_here() {
        for (source, words) in [
            ("{ event.id }", "write one pair of braces: ${ event.id }"),
            ("event.größe", "event['größe']"),
            ("größe > 1", "event['größe']"),
            ("event.名前", "event['größe']"),
            ("event.a == “x”", "plain quotes"),
            ("event.a – 1", "plain quotes, -"),
            ("event.preis€ ?? 0", "event['größe']"),
            ("event.a ?? 0", "write has(event.a) ? event.a : 0"),
            ("event.a.b ?: 'x'", "write has(event.a.b) ? event.a.b : 'x'"),
            ("f(event.a) ?? 0", "write has(event.note)"),
            ("event.a in (1,2)", "in square brackets"),
            ("event.a in ('x', 'y')", "in square brackets"),
            ("event.a = 1", "compares with `==`"),
            ("event.a === 1", "compares with `==`"),
            ("event.a <> 1", "`!=`"),
            ("event?.a", "has(event.note)"),
            ("event.a | upper", "`||`"),
            ("event.a & event.b", "`&&`"),
            ("not event.a", "`!`"),
            ("if event.a then 1 else 2", "condition ? value : other"),
            ("event.a ? 1", "condition ? value : other"),
            ("event.a is null", "event.note == null"),
            ("25000000000000000001", "9223372036854775807"),
            ("18446744073709551616u", "18446744073709551615"),
        ] {
            let error = CelExpression::compile(source).expect_err(source);
            let help = error.help.unwrap_or_default();
            assert!(help.contains(words), "{source}: {}: {help}", error.message);
        }
        let long = CelExpression::compile("event.a + 25000000000000000001").expect_err("too long");
        assert_eq!(
            (long.message.as_str(), long.offset, long.length),
            ("`25000000000000000001` does not fit the 64 bits of an integer", 10, 20)
        );
    }
}
