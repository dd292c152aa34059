//! The shape of a text of JSON, found without building it: a text of any depth is looked at in one pass and no recursion.

use super::RESERVED;

/// What a pass over a text finds. Of a text that is not JSON it says something or other; the parser finds that out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// The most brackets that are open at once.
    pub(super) depth: usize,
    /// As many close as open.
    pub(super) is_balanced: bool,
    /// A member has a name that the JSON library keeps for itself.
    pub(super) has_reserved_name: bool,
}

pub(super) fn scan(text: &[u8]) -> Shape {
    let mut shape = Shape::default();
    let (mut open, mut at) = (0usize, 0usize);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => {
                open += 1;
                shape.depth = shape.depth.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            b'"' => {
                let end = string_end(text, at);
                shape.has_reserved_name |= is_reserved_name(text, at - 1, end);
                at = end;
            }
            _ => {}
        }
    }
    shape.is_balanced = open == 0;
    shape
}

/// One past the closing quote of the string whose content begins at `from`.
fn string_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Whether the string from `start` to `end`, quotes included, is a name that is reserved. It may be written with escapes.
fn is_reserved_name(text: &[u8], start: usize, end: usize) -> bool {
    let string = &text[start..end.min(text.len())];
    match string.get(1) {
        Some(b'$') if string[1..].starts_with(RESERVED.as_bytes()) => is_name(text, end),
        Some(b'$' | b'\\') if string.contains(&b'\\') && is_name(text, end) => {
            serde_json::from_slice::<String>(string).is_ok_and(|name| name.starts_with(RESERVED))
        }
        Some(_) | None => false,
    }
}

fn is_name(text: &[u8], end: usize) -> bool {
    let behind = text.get(end..).unwrap_or_default();
    behind.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}
