//! Records as they are: nothing is decoded, defaulted or dropped, so that what is forwarded or dead-lettered is what
//! arrived.

use bytes::Bytes;
use saga_core::time::Timestamp;
use std::{fmt, sync::Arc};

/// A header. Names may repeat; a value may be absent, which is not the same as empty.
pub type RecordHeader = (String, Option<Bytes>);

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Where a record is or was: `topic/partition/offset`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordCoordinates {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for RecordCoordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaRecord {
    /// Topic it was read from.
    pub topic: Arc<str>,
    /// Partition it was read from.
    pub partition: i32,
    /// Offset of the record in that partition.
    pub offset: i64,
    /// The record's timestamp; −1 where the record has none.
    pub timestamp: Timestamp,
    /// `None` is not the same as empty.
    pub key: Option<Bytes>,
    /// `None` is a tombstone, not the same as empty.
    pub value: Option<Bytes>,
    /// In their order, repeated names included.
    pub headers: Vec<RecordHeader>,
}

/// A record that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// Topic that the record is written to.
    pub topic: Arc<str>,
    /// `None` leaves it to the key.
    pub partition: Option<i32>,
    /// `None` is not the same as empty.
    pub key: Option<Bytes>,
    /// `None` is a tombstone, not the same as empty.
    pub value: Option<Bytes>,
    /// In their order, repeated names included.
    pub headers: Vec<RecordHeader>,
}

impl KafkaRecord {
    /// Topic, partition and offset where the record was read.
    #[must_use]
    pub fn coordinates(&self) -> RecordCoordinates {
        RecordCoordinates { topic: self.topic.clone(), partition: self.partition, offset: self.offset }
    }

    /// The partition that the record was read from.
    #[must_use]
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.topic), partition: self.partition }
    }

    /// The last header of that name, as Kafka's own clients read it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        header(&self.headers, name)
    }

    /// The last header of that name, if it is text.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Bytes of key, value and headers: what it costs to keep it in memory or to write it again.
    #[must_use]
    pub fn size(&self) -> usize {
        size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

impl OutgoingRecord {
    /// Bytes of key, value and headers.
    #[must_use]
    pub fn size(&self) -> usize {
        size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }

    /// The last header of that name, if it is text.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        header(&self.headers, name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// A header whose value is text.
#[must_use]
pub fn text_header(name: &str, value: impl Into<String>) -> RecordHeader {
    (name.to_owned(), Some(Bytes::from(value.into())))
}

fn header<'a>(headers: &'a [RecordHeader], name: &str) -> Option<&'a [u8]> {
    let (_, value) = headers.iter().rev().find(|(other, _)| other == name)?;
    value.as_deref()
}

fn size(key: Option<&Bytes>, value: Option<&Bytes>, headers: &[RecordHeader]) -> usize {
    let of = |bytes: Option<&Bytes>| bytes.map_or(0, Bytes::len);
    of(key) + of(value) + headers_size(headers)
}

/// Bytes of names and values.
pub(crate) fn headers_size(headers: &[RecordHeader]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_header_of_a_name_counts_and_absent_is_not_empty() {
        let record = KafkaRecord {
            topic: "shop.orders".into(),
            partition: 3,
            offset: 14,
            timestamp: Timestamp(1),
            key: None,
            value: Some(Bytes::new()),
            headers: vec![
                text_header("a", "1"),
                ("b".into(), None),
                text_header("a", "2"),
                ("c".into(), Some(Bytes::new())),
            ],
        };
        assert_eq!(record.header_text("a"), Some("2"));
        assert_eq!(record.header("b"), None);
        assert_eq!(record.header("c"), Some(&b""[..]));
        assert_eq!(record.coordinates().to_string(), "shop.orders/3/14");
        assert_eq!(record.size(), 6);
    }
}
