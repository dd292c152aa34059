//! Bytes of strangers for programs and for people.

use crate::dead_letters::{DecodedAvro, dump, readable};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_wire::payload_hints;
use serde::Serialize;
use serde_json::Value;

/// Bytes of a dump that are shown: enough to recognise a format.
const DUMPED: usize = 512;

/// Bytes as text where they are text that people can read, else in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum BytesShown {
    /// They are UTF-8, without signs that control a terminal.
    Text(String),
    /// They are something else.
    Base64(String),
}

impl BytesShown {
    pub(super) fn of(bytes: &[u8]) -> BytesShown {
        match readable(bytes) {
            Some(text) => BytesShown::Text(text.to_owned()),
            None => BytesShown::Base64(STANDARD.encode(bytes)),
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
    /// Where it is in Avro and its schema is known, what expressions see of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avro: Option<DecodedAvro>,
    /// Byte for byte.
    pub content: BytesShown,
    /// What it seems to be, where it is no plain JSON event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seems: Option<String>,
}

impl PayloadShown {
    pub(super) fn of(bytes: &[u8], avro: Option<DecodedAvro>) -> PayloadShown {
        PayloadShown {
            bytes: bytes.len(),
            json: serde_json::from_slice(bytes).ok(),
            content: BytesShown::of(bytes),
            seems: payload_hints::describe_value(bytes).filter(|_| avro.is_none()),
            avro,
        }
    }

    /// What it is, in a line.
    pub(super) fn title(&self) -> String {
        let avro = self.avro.as_ref().map(|avro| {
            let fit = if avro.value.is_some() { "" } else { ", which it does not fit" };
            format!(", Avro by the schema {}{fit}", avro.schema)
        });
        let seems = self.seems.as_ref().map(|seems| format!(", it is {seems}"));
        format!("{} bytes{}", self.bytes, avro.or(seems).unwrap_or_default())
    }

    /// For people: JSON and Avro laid out, text as it is, anything else as a dump.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        let laid_out = self.avro.as_ref().and_then(|avro| avro.value.as_ref()).or(self.json.as_ref());
        match (laid_out, &self.content) {
            (Some(value), _) => format!("{value:#}"),
            (None, BytesShown::Text(text)) => text.clone(),
            (None, BytesShown::Base64(_)) => dumped(bytes),
        }
    }
}

fn dumped(bytes: &[u8]) -> String {
    let mut lines = dump(bytes, DUMPED);
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
        let shown = PayloadShown::of(&avro, None);
        assert_eq!(shown.content, BytesShown::Base64("AAAAAAdvLTH/".into()));
        assert_eq!(shown.text(&avro), "000000  00 00 00 00 07 6f 2d 31 ff                       .....o-1.");
        assert!(shown.seems.is_some_and(|seems| seems.contains("registry")));
    }

    #[test]
    fn what_controls_a_terminal_is_no_text() {
        assert_eq!(BytesShown::of(&[0, 0, 0, 7]), BytesShown::Base64("AAAABw==".into()));
        assert_eq!(BytesShown::of("größe\n\t1".as_bytes()), BytesShown::Text("größe\n\t1".into()));
    }

    #[test]
    fn what_is_read_by_its_schema_is_laid_out() {
        let avro = DecodedAvro { schema: "shop.A".to_owned(), value: Some(serde_json::json!({"a": 1})) };
        let shown = PayloadShown::of(&[0, 0, 0, 0, 7, 2], Some(avro));
        assert_eq!(shown.title(), "6 bytes, Avro by the schema shop.A");
        assert_eq!(shown.text(&[0, 0, 0, 0, 7, 2]), "{\n  \"a\": 1\n}");
        let unfit = PayloadShown::of(&[0, 0, 0, 0, 7], Some(DecodedAvro { schema: "shop.A".to_owned(), value: None }));
        assert_eq!(unfit.title(), "5 bytes, Avro by the schema shop.A, which it does not fit");
        assert!(unfit.text(&[0, 0, 0, 0, 7]).starts_with("000000  00 00 00 00 07"));
    }

    #[test]
    fn json_is_laid_out_and_a_fragment_is_shown_as_it_is() {
        let text = |bytes: &[u8]| PayloadShown::of(bytes, None).text(bytes);
        assert_eq!(text(br#"{"a":1}"#), "{\n  \"a\": 1\n}");
        assert_eq!(text(b"{not json"), "{not json");
        assert!(text(&[0xff; 600]).ends_with("… 88 more bytes; --output json has all"));
    }
}
