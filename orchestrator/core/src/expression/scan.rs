//! What of a CEL source is code: everything outside string literals and comments.

/// The bytes of `source` that are code, with their offsets.
pub(super) fn code(source: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let bytes = source.as_bytes();
    let mut next = 0;
    std::iter::from_fn(move || {
        while next < bytes.len() {
            let at = next;
            match bytes[at] {
                b'"' | b'\'' => next = string_end(bytes, at),
                b'/' if bytes.get(at + 1) == Some(&b'/') => next = line_end(bytes, at),
                byte => {
                    next += 1;
                    return Some((at, byte));
                }
            }
        }
        None
    })
}

/// Those of them that stand outside of all brackets, and are none.
pub(super) fn outside_brackets(source: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let mut depth = 0usize;
    code(source).filter(move |(_, byte)| match byte {
        b'(' | b'[' | b'{' => {
            depth += 1;
            false
        }
        b')' | b']' | b'}' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    })
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| from + length)
}

/// One past the literal that opens at `open`; the end of the source if it never closes.
fn string_end(bytes: &[u8], open: usize) -> usize {
    let quote = bytes[open];
    let triple = bytes[open..].starts_with(&[quote; 3]);
    let close: &[u8] = if triple { &[quote; 3] } else { &[quote] };
    let raw = is_raw(bytes, open);
    let mut at = open + close.len();
    while at < bytes.len() {
        if bytes[at..].starts_with(close) {
            return at + close.len();
        }
        at += if bytes[at] == b'\\' && !raw { 2 } else { 1 };
    }
    bytes.len()
}

/// `r"…"`, `br"…"`, `rb"…"`: a backslash is itself.
fn is_raw(bytes: &[u8], open: usize) -> bool {
    let start = open.saturating_sub(2);
    let prefix = &bytes[start..open];
    let before = |count: usize| open.checked_sub(count + 1).map(|at| bytes[at]);
    let begins_word = |count: usize| before(count).is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte != b'_');
    match prefix {
        [.., b'r' | b'R'] if begins_word(1) => true,
        [b'r' | b'R', b'b' | b'B'] | [b'b' | b'B', b'r' | b'R'] if begins_word(2) => true,
        _ => false,
    }
}

/// Where `word` first stands as a whole name in the code of `source`.
pub(super) fn find_word(source: &str, word: &str) -> Option<usize> {
    words(source, word).next()
}

/// All places at which `word` stands as a whole name in the code of `source`.
pub(super) fn words<'s>(source: &'s str, word: &'s str) -> impl Iterator<Item = usize> + 's {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = source.as_bytes();
    code(source).map(|(at, _)| at).filter(move |at| {
        bytes[*at..].starts_with(word.as_bytes())
            && (*at == 0 || !is_name(bytes[at - 1]))
            && bytes.get(at + word.len()).is_none_or(|byte| !is_name(*byte))
    })
}

/// The literals with a point or an exponent in the code of `source`, with their offsets.
pub(super) fn decimals(source: &str) -> Vec<(usize, &str)> {
    let bytes = source.as_bytes();
    let is_name = |at: usize| bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_' || bytes[at] == b'.';
    let mut found = Vec::new();
    let mut end = 0;
    for (at, byte) in code(source) {
        if at < end
            || !byte.is_ascii_digit()
            || (at > 0 && at > end && is_name(at - 1) && !begins_with_point(bytes, at))
        {
            continue;
        }
        let start = if begins_with_point(bytes, at) { at - 1 } else { at };
        end = number_end(bytes, start);
        if source[start..end].contains(['.', 'e', 'E']) {
            found.push((start, &source[start..end]));
        }
    }
    found
}

/// `.5`, and not the `.0` of `a.0` or `].0`.
fn begins_with_point(bytes: &[u8], digit: usize) -> bool {
    let ends_value = |byte: u8| byte.is_ascii_alphanumeric() || b"_)].}".contains(&byte);
    digit > 0 && bytes[digit - 1] == b'.' && digit.checked_sub(2).is_none_or(|at| !ends_value(bytes[at]))
}

/// One past the number that begins at `start`.
fn number_end(bytes: &[u8], start: usize) -> usize {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits_end = |mut at: usize| {
        while is_digit(at) {
            at += 1;
        }
        at
    };
    let mut end = digits_end(start);
    if bytes.get(end) == Some(&b'.') && is_digit(end + 1) {
        end = digits_end(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if is_digit(end + 1 + sign) {
            end = digits_end(end + 1 + sign);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(source: &str) -> String {
        code(source).map(|(_, byte)| char::from(byte)).collect()
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        assert_eq!(code_of(r#"a + "}" + b"#), "a +  + b");
        assert_eq!(code_of(r#"'it\'s }' + c"#), " + c");
        assert_eq!(code_of(r#"r'\' + d"#), "r + d");
        assert_eq!(code_of("\"\"\"a\"}\"\"\" + e"), " + e");
        assert_eq!(code_of("a // }\n+ f"), "a \n+ f");
        assert_eq!(code_of("'never closed }"), "");
    }

    #[test]
    fn decimals_are_found_and_nothing_else() {
        let found = |source| decimals(source).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(found("event.a > 1.5 && b1.c2 == 1e-3 + .25"), ["1.5", "1e-3", ".25"]);
        assert!(found("a[0].b + 0x1e5 + 10 + '1.5' + x1e5 + 7u + a.b1").is_empty());
        assert_eq!(found("f(-2.50)"), ["2.50"]);
    }

    #[test]
    fn a_word_is_found_whole() {
        assert_eq!(find_word("'x' + xy + x", "x"), Some(11));
        assert_eq!(find_word("xy", "x"), None);
    }
}
