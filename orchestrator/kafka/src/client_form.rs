//! Records in the form of the client of Kafka, and back.

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{BorrowedHeaders, BorrowedMessage, Header as NativeHeader, Headers, OwnedHeaders},
};
use saga_brokers::header_at;
use saga_core::time::Timestamp;
use saga_wire::record::{KafkaRecord, RecordHeader};
use std::sync::Arc;

/// The record behind a message of the client; `topic` is its name, interned by the caller.
pub(crate) fn from_message(message: &BorrowedMessage<'_>, topic: Arc<str>) -> KafkaRecord {
    KafkaRecord {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        timestamp: Timestamp(message.timestamp().to_millis().unwrap_or(-1)),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: message.headers().map(read_headers).unwrap_or_default(),
    }
}

/// Headers in the client's form.
pub(crate) fn native_headers(headers: &[RecordHeader]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |native, (name, value)| {
        native.insert(NativeHeader { key: name, value: value.as_deref() })
    })
}

fn read_headers(native: &BorrowedHeaders) -> Vec<RecordHeader> {
    (0..native.count()).map(|index| read_header(native, index)).collect()
}

/// A header whose name is no text keeps its place and loses its content, and the record goes on.
fn read_header(native: &BorrowedHeaders, index: usize) -> RecordHeader {
    let read = header_at(native, index);
    read.map(|header| (header.key.to_owned(), header.value.map(Bytes::copy_from_slice)))
        .unwrap_or_else(|| (char::REPLACEMENT_CHARACTER.to_string(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_wire::record::text_header;

    #[test]
    fn headers_survive_the_client_s_form() {
        let headers =
            vec![text_header("a", "1"), ("b".into(), None), ("a".into(), Some(Bytes::from_static(&[0xff, 0])))];
        assert_eq!(read_headers(native_headers(&headers).as_borrowed()), headers);
    }
}
