//! Bytes of a body made characters: as they are, or not at all. A character that was guessed would be another result.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use saga_core::command::CommandFailure;
use std::borrow::Cow;

/// What an answer says of how its characters are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyCharset {
    /// The answer names no charset: UTF-8.
    Unsaid,
    /// One that is known, under this name.
    Known(&'static Encoding, String),
    /// One that is not.
    Unknown(String),
}

impl BodyCharset {
    /// What the parameters of a content type say; `None`: two things.
    pub(super) fn of(parameters: &str) -> Option<BodyCharset> {
        let mut said = parameters.split(';').filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
            name.trim().eq_ignore_ascii_case("charset").then_some(value)
        });
        let Some(name) = said.next() else { return Some(BodyCharset::Unsaid) };
        if said.any(|other| other != name) {
            return None;
        }
        // ASCII is a part of UTF-8, and servers that declare ASCII often write UTF-8.
        let is_ascii = matches!(name.as_str(), "us-ascii" | "ascii");
        let found = if is_ascii { Some(UTF_8) } else { Encoding::for_label_no_replacement(name.as_bytes()) };
        Some(match found {
            Some(encoding) => BodyCharset::Known(encoding, name),
            None => BodyCharset::Unknown(name),
        })
    }
}

/// The characters of what is JSON: UTF-8, whatever is said of it (RFC 8259), and only what is not UTF-8 is read as it
/// is said.
///
/// # Errors
/// It is not certain which characters the bytes are.
pub(super) fn of_json<'b>(body: &'b [u8], charset: &BodyCharset) -> Result<Cow<'b, str>, CommandFailure> {
    if let Some(text) = marked(body) {
        return text;
    }
    match (std::str::from_utf8(body), charset) {
        // UTF-16 of ASCII characters is UTF-8 with NULs in it.
        (Ok(text), _) if !text.contains('\0') => Ok(Cow::Borrowed(text)),
        (_, BodyCharset::Known(encoding, name)) => decoded(body, encoding, name),
        (_, BodyCharset::Unsaid) => {
            Err(CommandFailure::new("answer.json", format!("the answer is not JSON: {}", what(body))))
        }
        (_, BodyCharset::Unknown(name)) => Err(unknown(name)),
    }
}

/// The characters of another text.
///
/// # Errors
/// It is not certain which characters the bytes are.
pub(super) fn of_text<'b>(body: &'b [u8], charset: &BodyCharset) -> Result<Cow<'b, str>, CommandFailure> {
    if let Some(text) = marked(body) {
        return text;
    }
    match charset {
        BodyCharset::Unsaid => utf8(body),
        BodyCharset::Known(encoding, _) if *encoding == UTF_8 => utf8(body),
        BodyCharset::Known(encoding, name) => {
            let is_utf8 = !body.is_ascii() && std::str::from_utf8(body).is_ok();
            if is_utf8 && encoding.is_ascii_compatible() {
                return Err(unreadable(format!("the answer says that it is text in `{name}`, and it is UTF-8")));
            }
            decoded(body, encoding, name)
        }
        BodyCharset::Unknown(name) => Err(unknown(name)),
    }
}

/// Behind a byte order mark, which says how the text is written; `None`: there is none.
fn marked(body: &[u8]) -> Option<Result<Cow<'_, str>, CommandFailure>> {
    if body.starts_with(&[0xff, 0xfe, 0, 0]) || body.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Some(Err(unreadable("the answer is text in UTF-32".to_owned())));
    }
    let (encoding, length) = Encoding::for_bom(body)?;
    Some(decoded(&body[length..], encoding, encoding.name()))
}

fn utf8(body: &[u8]) -> Result<Cow<'_, str>, CommandFailure> {
    let text = std::str::from_utf8(body);
    text.map(Cow::Borrowed).map_err(|_| {
        unreadable(format!("the answer is neither JSON nor text in UTF-8: {}; let it name its charset", what(body)))
    })
}

fn decoded<'b>(body: &'b [u8], encoding: &'static Encoding, name: &str) -> Result<Cow<'b, str>, CommandFailure> {
    // Browsers read ISO 8859-1 as Windows-1252. They differ in these bytes, and the bytes do not say which was meant.
    let is_either = encoding == WINDOWS_1252 && !name.contains("1252");
    if is_either && body.iter().any(|byte| matches!(byte, 0x80..=0x9f)) {
        return Err(unreadable(format!("the answer says that it is text in `{name}`, which has no such characters")));
    }
    encoding
        .decode_without_bom_handling_and_without_replacement(body)
        .ok_or_else(|| unreadable(format!("the answer says that it is text in `{name}`, and it is not")))
}

fn unknown(name: &str) -> CommandFailure {
    unreadable(format!("the answer says that it is text in `{name}`, which is not known here"))
}

fn unreadable(why: String) -> CommandFailure {
    CommandFailure::new("answer.text", why)
}

fn what(body: &[u8]) -> String {
    saga_core::json::what_it_is(body).unwrap_or("bytes that are no UTF-8").to_owned()
}
