//! Where in a text of JSON that is not let in the fault is. Slow, and asked for only where there is one.

use super::{
    JsonError, MAX_DEPTH, RESERVED, number, odd, read,
    scan::{is_name, string_end},
};
use serde_json::Number;
use std::collections::BTreeSet;

/// The byte of `bytes` at which what [`read`] refuses begins. `None`: nothing is refused, or the bytes are something
/// else than a text of JSON, so that no place in them is at fault.
#[must_use]
pub fn place_of_fault(bytes: &[u8]) -> Option<usize> {
    let text = bytes.strip_prefix(super::BYTE_ORDER_MARK).unwrap_or(bytes);
    let at = match read(bytes).err()? {
        JsonError::NotJson(_) => syntax(text),
        JsonError::Depth { .. } => too_deep(text),
        JsonError::Number { .. } | JsonError::Exponent(_) => long_number(text),
        JsonError::Nul(_) => nul(text),
        JsonError::RepeatedName(_) => repeated(text),
        JsonError::ReservedName => {
            strings(text).find(|string| string.is_name && string.text.starts_with(RESERVED)).map(|it| it.start)
        }
    };
    at.map(|at| bytes.len() - text.len() + at)
}

fn syntax(text: &[u8]) -> Option<usize> {
    if text.iter().all(u8::is_ascii_whitespace) || odd::what_it_is(text).is_some() {
        return None;
    }
    if let Err(error) = std::str::from_utf8(text) {
        return Some(error.valid_up_to());
    }
    let error = serde_json::from_slice::<serde_json::Value>(text).err()?;
    let before: usize =
        text.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    // The parser counts from 1, and names the last byte that it has read; at the end there is none any more.
    let column = if error.is_eof() { error.column() } else { error.column().saturating_sub(1) };
    Some((before + column).min(text.len()))
}

/// The bracket that opens the first level too many.
fn too_deep(text: &[u8]) -> Option<usize> {
    let mut open = 0usize;
    outside_strings(text).find_map(|(at, byte)| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        (open > MAX_DEPTH).then_some(at)
    })
}

fn long_number(text: &[u8]) -> Option<usize> {
    let is_of_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let mut end = 0;
    outside_strings(text).map(|(at, _)| at).find(|at| {
        if *at < end || !(text[*at].is_ascii_digit() || text[*at] == b'-') {
            return false;
        }
        end = text[*at..].iter().position(|byte| !is_of_number(*byte)).map_or(text.len(), |length| at + length);
        serde_json::from_slice::<Number>(&text[*at..end]).is_ok_and(|number| number::check(&number).is_err())
    })
}

fn nul(text: &[u8]) -> Option<usize> {
    let with_nul = strings(text).find(|string| string.text.contains('\0'))?;
    let escape = text[with_nul.start..].windows(6).position(|window| window == b"\\u0000");
    Some(with_nul.start + escape.unwrap_or(0))
}

/// The second of two names in one map.
fn repeated(text: &[u8]) -> Option<usize> {
    let mut maps: Vec<BTreeSet<String>> = Vec::new();
    let mut names = strings(text).filter(|string| string.is_name).peekable();
    for (at, byte) in outside_strings(text) {
        match byte {
            b'{' => maps.push(BTreeSet::new()),
            b'}' => drop(maps.pop()),
            // A name ends before its colon.
            b':' => {
                let name = names.next()?;
                if name.start > at {
                    return None;
                }
                if !maps.last_mut()?.insert(name.text) {
                    return Some(name.start);
                }
            }
            _ => {}
        }
    }
    None
}

/// A string of the text, with its quote.
struct PlacedString {
    start: usize,
    /// Its escapes read.
    text: String,
    /// Of a member of a map.
    is_name: bool,
}

fn strings(text: &[u8]) -> impl Iterator<Item = PlacedString> + '_ {
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = next + text.get(next..)?.iter().position(|byte| *byte == b'"')?;
        next = start + 1 + string_end(&text[start + 1..]);
        let string = serde_json::from_slice(&text[start..next]).unwrap_or_default();
        Some(PlacedString { start, text: string, is_name: is_name(&text[next..]) })
    })
}

fn outside_strings(text: &[u8]) -> impl Iterator<Item = (usize, u8)> + '_ {
    let mut next = 0;
    std::iter::from_fn(move || {
        while text.get(next) == Some(&b'"') {
            next += 1 + string_end(&text[next + 1..]);
        }
        let at = next;
        next += 1;
        text.get(at).map(|byte| (at, *byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<(usize, String)> {
        place_of_fault(text.as_bytes()).map(|at| (at, text[at..].chars().take(4).collect()))
    }

    #[test]
    fn the_place_is_where_a_person_would_point() {
        let found = |at: usize, text: &str| Some((at, text.to_owned()));
        assert_eq!(at("{\"a\": 1,\n \"b\": tru}"), found(18, "}"));
        assert_eq!(at("{\"a\": 1 \"b\": 2}"), found(8, "\"b\":"));
        assert_eq!(at("{\"a\": 1"), found(7, ""));
        assert_eq!(at("\u{feff}{\"a\" 1}"), found(8, "1}"));
        assert_eq!(at(r#"{"a":{"n":"\u006eul: \u0000"}}"#), found(21, r"\u00"));
        assert_eq!(at(r#"{"a":1,"b":{"a":2},"\u0061":3}"#), found(19, "\"\\u0"));
        assert_eq!(at(r#"{"a":"$","$serde_json::private::Number":"1"}"#), found(9, "\"$se"));
        assert_eq!(at(&format!("{{\"1\":[{}]}}", "9".repeat(10_000))), found(6, "9999"));
        assert_eq!(at(&format!("{}{}", "[".repeat(66), "]".repeat(66))), found(64, "[[]]"));
    }

    #[test]
    fn what_is_let_in_or_no_text_has_no_place() {
        assert_eq!(at("{\"a\": \"b\"}"), None);
        assert_eq!(place_of_fault(&[0x1f, 0x8b, 8, 0]), None);
        assert_eq!(place_of_fault(b"{\"a\": \"M\xfcller\"}"), Some(8));
        assert_eq!(place_of_fault(b" "), None);
    }
}
