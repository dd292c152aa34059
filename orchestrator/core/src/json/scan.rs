//! The shape of a text of JSON, found without building it: a text of any depth is looked at in one pass and no
//! recursion.

use super::RESERVED;

/// What a pass over a text finds. Of a text that is not JSON it says something or other; the parser finds that out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JsonShape {
    /// The most brackets that are open at once.
    pub(super) depth: usize,
    /// Whether as many brackets close as open.
    pub(super) is_balanced: bool,
    /// Number of members of all maps in the text, nested ones included.
    pub(super) names: usize,
    /// A member has a name that the JSON library keeps for itself.
    pub(super) has_reserved_name: bool,
}

pub(super) fn scan(text: &[u8]) -> JsonShape {
    let mut shape = JsonShape::default();
    let mut open = 0usize;
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'[' | b'{' => {
                open += 1;
                shape.depth = shape.depth.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            b':' => shape.names += 1,
            b'"' => {
                let end = string_end(behind);
                let (string, after) = behind.split_at(end);
                shape.has_reserved_name |= is_reserved_name(string, after);
                rest = after;
            }
            _ => {}
        }
    }
    shape.is_balanced = open == 0;
    shape
}

/// One past the closing quote of the string whose content `text` begins with.
pub(super) fn string_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        at += length;
        if text[at] == b'"' {
            return at + 1;
        }
        at = (at + 2).min(text.len());
    }
    text.len()
}

/// Whether a string, from behind its opening quote on, is a name that is reserved. It may be written with escapes.
fn is_reserved_name(string: &[u8], after: &[u8]) -> bool {
    match string.first() {
        Some(b'$') if string.starts_with(RESERVED.as_bytes()) => is_name(after),
        Some(b'$' | b'\\') if string.contains(&b'\\') && is_name(after) => {
            let quoted = [b"\"", string].concat();
            serde_json::from_slice::<String>(&quoted).is_ok_and(|name| name.starts_with(RESERVED))
        }
        Some(_) | None => false,
    }
}

/// Whether a string before `after` is the name of a member.
pub(super) fn is_name(after: &[u8]) -> bool {
    after.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}
