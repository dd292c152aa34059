//! What came in place of an answer in HTTP/1.1, in words.

use saga_core::json;

/// Bytes of it that are shown.
const SHOWN: usize = 32;

/// Why what begins so is no answer.
pub(super) fn answer(error: &str, beginning: &[u8]) -> String {
    let what = match beginning {
        // An alert, or a greeting, of TLS 1.0 to 1.3.
        [0x15 | 0x16, 3, 0..=4, ..] => "it is TLS: is the URL https://?".to_owned(),
        // A frame of settings: three bytes of length, the type, no flags, stream 0.
        [0, 0, _, 4, 0, 0, 0, 0, 0, ..] => "it is HTTP/2, and HTTP/1.1 was asked".to_owned(),
        _ => format!("it begins with `{}`", shown(beginning)),
    };
    format!("what came is not an answer in HTTP/1.1 that can be read: {}; {what}", in_words(error))
}

/// What the client says of a head that it cannot read, and what that means.
const WORDS: [(&str, &str); 4] = [
    ("message head is too large", "it has more than 1024 headers, or more than 400 KiB of them"),
    ("invalid content-length parsed", "its Content-Length is no number, or it has several that differ"),
    ("unexpected transfer-encoding parsed", "its Transfer-Encoding does not end in chunked"),
    ("invalid HTTP header parsed", "one of its headers is not written as `name: value`"),
];

fn in_words(error: &str) -> &str {
    WORDS.iter().find(|(library, _)| *library == error).map_or(error, |(_, ours)| ours)
}

/// The status line, mostly.
fn shown(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    json::visible(line, SHOWN)
}
