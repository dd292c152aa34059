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

/// Where `word` stands as a whole name in the code of `source`.
pub(super) fn find_word(source: &str, word: &str) -> Option<usize> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = source.as_bytes();
    code(source).map(|(at, _)| at).find(|at| {
        bytes[*at..].starts_with(word.as_bytes())
            && (*at == 0 || !is_name(bytes[at - 1]))
            && bytes.get(at + word.len()).is_none_or(|byte| !is_name(*byte))
    })
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
    fn a_word_is_found_whole() {
        assert_eq!(find_word("'x' + xy + x", "x"), Some(11));
        assert_eq!(find_word("xy", "x"), None);
    }
}
