//! Names in words what bytes are that are no JSON, so that the operator of a producer knows what to correct.

/// Number of bytes of a text that the message shows.
const SHOWN: usize = 24;

/// How each of these begins. Of what begins alike the longer stands first.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (&[0xff, 0xfe, 0, 0], "text in UTF-32, and JSON is UTF-8"),
    (&[0, 0, 0xfe, 0xff], "text in UTF-32, and JSON is UTF-8"),
    (&[0xff, 0xfe], "text in UTF-16, and JSON is UTF-8"),
    (&[0xfe, 0xff], "text in UTF-16, and JSON is UTF-8"),
    (&[0x1f, 0x8b], "compressed with gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "compressed with zstd"),
    (&[0x04, 0x22, 0x4d, 0x18], "compressed with lz4"),
    (&[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0], "compressed with snappy"),
    (&[0x78, 0x01], "compressed with zlib"),
    (&[0x78, 0x9c], "compressed with zlib"),
    (&[0x78, 0xda], "compressed with zlib"),
    (&[0xac, 0xed, 0, 5], "an object that Java serialised"),
    (&[0x80, 0x04, 0x95], "an object that Python pickled"),
    (b"Obj\x01", "a file of Avro"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
    (&[0xff, 0xd8, 0xff], "an image"),
    (b"PK\x03\x04", "a zip file"),
    (b")]}'", "JSON behind a guard against scripts, `)]}'`"),
];

/// What `bytes` are; `None`: nothing that is known.
#[must_use]
pub fn what_it_is(bytes: &[u8]) -> Option<&'static str> {
    if let [first, 0, 0, 0, ..] | [0, 0, 0, first, ..] = bytes
        && begins_json(*first)
    {
        return Some("text in UTF-32, and JSON is UTF-8");
    }
    if let [first, 0, next, 0, ..] | [0, first, 0, next, ..] = bytes
        && begins_json(*first)
        && next.is_ascii()
        && *next != 0
    {
        return Some("text in UTF-16, and JSON is UTF-8");
    }
    let known = BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning)).map(|(_, what)| *what);
    known.or_else(|| framed(bytes)).or_else(|| marked_up(bytes))
}

/// Why `bytes` are no JSON: what they are if that is known, else the parser's words and what stands at the place that
/// they name.
pub(super) fn why(bytes: &[u8], error: &serde_json::Error) -> String {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return "it is empty".to_owned();
    }
    if let Some(what) = what_it_is(bytes) {
        return format!("it is {what}");
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        let shown = visible(&bytes[at..], SHOWN);
        return format!("it is no UTF-8, which JSON is, from byte {at} on, where `{shown}` stands: Latin-1, perhaps");
    }
    match lone_surrogate(error) {
        Some(what) => what,
        None if error.is_eof() => format!("{error}; it ends too early"),
        None => format!("{error}, where `{}` stands", standing(bytes, error)),
    }
}

/// An escape like `\ud83d` without the one that belongs to it.
fn lone_surrogate(error: &serde_json::Error) -> Option<String> {
    let said = error.to_string();
    let is_one = ["unexpected end of hex escape", "lone leading surrogate"].iter().any(|start| said.starts_with(start));
    is_one.then(|| {
        let (line, column) = (error.line(), error.column());
        format!("half of a surrogate pair, `\\ud83d` or its like, stands alone before line {line} column {column}; it is no character")
    })
}

/// What a schema registry's client puts before the payload: a byte of its own, and the number of the schema.
fn framed(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0, _, _, _, _, b'{' | b'[', ..] => {
            Some("JSON in the frame of a schema registry; it is taken without the frame")
        }
        [0, _, _, _, _, _, ..] => {
            Some("in the frame of a schema registry, Avro or Protobuf mostly; JSON without a frame is taken")
        }
        [3, 0 | 5, ..] if bytes.len() > 18 => {
            Some("in the frame of the Glue schema registry; JSON without a frame is taken")
        }
        _ => None,
    }
}

fn marked_up(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    let begins = |word: &[u8]| text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word);
    match text.first()? {
        b'<' if begins(b"<!doctype html") || begins(b"<html") => Some("a page in HTML"),
        b'<' => Some("XML"),
        _ => None,
    }
}

fn begins_json(byte: u8) -> bool {
    matches!(byte, b'{' | b'[' | b'"')
}

/// The first bytes of `text`, at most so many, for people: what is not visible is escaped.
#[must_use]
pub fn visible(text: &[u8], most: usize) -> String {
    let text = &text[..text.len().min(most)];
    text.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// The characters at the place of the error.
fn standing(bytes: &[u8], error: &serde_json::Error) -> String {
    let line = bytes.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    // The parser counts from 1, and names the last byte that it has read.
    let from = error.column().saturating_sub(1).min(line.len());
    visible(&line[from..], SHOWN)
}
