//! Bytes of strangers for programs and for people.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_wire::payload_hints;
use serde::Serialize;
use serde_json::Value;

/// Bytes of a dump that are shown: enough to recognise a format.
const DUMPED: usize = 512;

/// Bytes in a line of a dump.
const DUMP_LINE: usize = 16;

/// Bytes as text where they are UTF-8, else in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum BytesShown {
    /// They are UTF-8.
    Text(String),
    /// They are none.
    Base64(String),
}

impl BytesShown {
    pub(super) fn of(bytes: &[u8]) -> BytesShown {
        match std::str::from_utf8(bytes) {
            Ok(text) => BytesShown::Text(text.to_owned()),
            Err(_) => BytesShown::Base64(STANDARD.encode(bytes)),
        }
    }

    /// For a cell of a table.
    pub(super) fn cell(&self) -> String {
        match self {
            BytesShown::Text(text) => text.clone(),
            BytesShown::Base64(bytes) => format!("base64:{bytes}"),
        }
    }
}

/// The value of a record, as far as it can be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayloadShown {
    /// Its size.
    pub bytes: usize,
    /// Where it is JSON, the JSON; unlike `content` it has lost repeated names and the layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// Byte for byte.
    pub content: BytesShown,
    /// What it seems to be, where it is no plain JSON event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seems: Option<String>,
}

impl PayloadShown {
    pub(super) fn of(bytes: &[u8]) -> PayloadShown {
        PayloadShown {
            bytes: bytes.len(),
            json: serde_json::from_slice(bytes).ok(),
            content: BytesShown::of(bytes),
            seems: payload_hints::describe_value(bytes),
        }
    }

    /// For people: JSON laid out, text as it is, anything else as a dump.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        match (&self.json, &self.content) {
            (Some(json), _) => format!("{json:#}"),
            (None, BytesShown::Text(text)) => text.clone(),
            (None, BytesShown::Base64(_)) => dump(bytes),
        }
    }
}

/// Offset, bytes in hexadecimal, and what of them is ASCII.
fn dump(bytes: &[u8]) -> String {
    let line = |(at, line): (usize, &[u8])| {
        let hex = line.iter().map(|byte| format!("{byte:02x} ")).collect::<String>();
        let signs = line.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
        format!("{:06x}  {hex:<48} {}", at * DUMP_LINE, signs.collect::<String>())
    };
    let shown = &bytes[..bytes.len().min(DUMPED)];
    let mut lines: Vec<String> = shown.chunks(DUMP_LINE).enumerate().map(line).collect();
    if bytes.len() > DUMPED {
        lines.push(format!("… {} more bytes; --output json has all", bytes.len() - DUMPED));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_dumped_and_named() {
        let avro = [0, 0, 0, 0, 7, b'o', b'-', b'1', 0xff];
        let shown = PayloadShown::of(&avro);
        assert_eq!(shown.content, BytesShown::Base64("AAAAAAdvLTH/".into()));
        assert_eq!(shown.text(&avro), "000000  00 00 00 00 07 6f 2d 31 ff                       .....o-1.");
        assert!(shown.seems.is_some_and(|seems| seems.contains("registry")));
    }

    #[test]
    fn json_is_laid_out_and_a_fragment_is_shown_as_it_is() {
        let text = |bytes: &[u8]| PayloadShown::of(bytes).text(bytes);
        assert_eq!(text(br#"{"a":1}"#), "{\n  \"a\": 1\n}");
        assert_eq!(text(b"{not json"), "{not json");
        assert!(text(&[0xff; 600]).ends_with("… 88 more bytes; --output json has all"));
    }
}
