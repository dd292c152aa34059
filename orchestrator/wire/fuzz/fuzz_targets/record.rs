//! A record of any bytes.

use arbitrary::Arbitrary;
use bytes::Bytes;
use saga_core::time::Timestamp;
use saga_wire::KafkaRecord;

/// Key, value and headers.
#[derive(Arbitrary, Debug)]
pub struct AnyRecord {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl AnyRecord {
    /// As it was read from a topic.
    pub fn read(self) -> KafkaRecord {
        let headers = self.headers.into_iter().map(|(name, value)| (name, value.map(Bytes::from)));
        KafkaRecord {
            topic: "shop.orders".into(),
            partition: 3,
            offset: 14,
            timestamp: Timestamp(0),
            key: self.key.map(Bytes::from),
            value: self.value.map(Bytes::from),
            headers: headers.collect(),
        }
    }
}
