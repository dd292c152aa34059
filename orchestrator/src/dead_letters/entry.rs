//! One record of a DLQ topic.

use saga_core::time::Timestamp;
use saga_engine::letters::{NamedPlace, letter_place};
use saga_event_store::LetterCoordinates;
use saga_wire::{
    KafkaRecord,
    dead_letter::{FoundLetter, OriginalContent, UnknownLetter},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where a dead letter stands in its DLQ topic: `partition/offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct LetterPlace {
    /// Number of the partition.
    pub partition: i32,
    /// Offset in that partition.
    pub offset: i64,
}

/// Where a dead letter stands, in whichever topic: `partition/offset` in the usual one, else `topic/partition/offset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct LetterAddress {
    /// The topic of dead letters; `None`: the usual one.
    pub topic: Option<String>,
    /// Where in it.
    pub place: LetterPlace,
}

impl LetterAddress {
    pub(crate) fn of(place: &LetterCoordinates) -> LetterAddress {
        let LetterCoordinates { topic, partition, offset } = place.clone();
        LetterAddress { topic: Some(topic), place: LetterPlace { partition, offset } }
    }

    /// The place, where `usual` is the usual topic.
    pub(crate) fn within(self, usual: &str) -> LetterCoordinates {
        let LetterPlace { partition, offset } = self.place;
        LetterCoordinates { topic: self.topic.unwrap_or_else(|| usual.to_owned()), partition, offset }
    }

    /// As a job names it.
    pub(crate) fn named(&self) -> NamedPlace {
        let LetterPlace { partition, offset } = self.place;
        match &self.topic {
            None => NamedPlace::Usual(partition, offset),
            Some(topic) => NamedPlace::Of(topic.clone(), partition, offset),
        }
    }
}

impl fmt::Display for LetterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.topic {
            None => self.place.fmt(f),
            Some(topic) => write!(f, "{topic}/{}", self.place),
        }
    }
}

impl From<LetterAddress> for String {
    fn from(address: LetterAddress) -> String {
        address.to_string()
    }
}

impl FromStr for LetterAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<LetterAddress, String> {
        let (topic, place) = match text.split_once('/') {
            Some((topic, place)) if place.contains('/') && !topic.is_empty() => (Some(topic.to_owned()), place.parse()),
            Some(_) | None => (None, text.parse()),
        };
        let expected =
            || format!("`{text}` is no place: expected partition and offset, like 0/17, or shop.orders.dlq/0/17");
        Ok(LetterAddress { topic, place: place.map_err(|_: String| expected())? })
    }
}

impl TryFrom<String> for LetterAddress {
    type Error = String;

    fn try_from(text: String) -> Result<LetterAddress, String> {
        text.parse()
    }
}

/// How a person names a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LetterName {
    /// By its place in the DLQ topic.
    Place(LetterPlace),
    /// By its id: `topic/partition/offset` of the original, with or without `/definition`; or by its place in another
    /// topic of dead letters than the usual one, which looks the same.
    Id(String),
}

/// A record of a DLQ topic and what it says.
#[derive(Clone, Debug)]
pub(crate) struct LetterEntry {
    /// Where it stands.
    pub place: LetterPlace,
    /// When it was written to the DLQ topic.
    pub written_at: Timestamp,
    /// The dead letter; an error: it is none of a known kind.
    pub letter: Result<FoundLetter, UnknownLetter>,
    /// The record as it was read.
    pub record: KafkaRecord,
}

impl LetterEntry {
    pub(crate) fn of(record: KafkaRecord) -> LetterEntry {
        LetterEntry {
            place: LetterPlace { partition: record.partition, offset: record.offset },
            written_at: record.timestamp,
            letter: FoundLetter::read(&record),
            record,
        }
    }

    /// Its place for people: with its topic before where that is not the usual one.
    pub(crate) fn place_within(&self, usual: &str) -> String {
        letter_place(&self.coordinates(), usual)
    }

    /// Its place with its topic.
    pub(crate) fn coordinates(&self) -> LetterCoordinates {
        let LetterPlace { partition, offset } = self.place;
        LetterCoordinates { topic: self.record.topic.to_string(), partition, offset }
    }

    /// The content that died; of a letter of no known kind the record itself.
    pub(crate) fn original(&self) -> OriginalContent {
        match &self.letter {
            Ok(letter) => letter.original.clone(),
            Err(_) => {
                let KafkaRecord { key, value, headers, .. } = self.record.clone();
                OriginalContent { key, value, headers }
            }
        }
    }

    /// The key of the original, as far as it is there.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        match &self.letter {
            Ok(letter) => letter.original.key.as_deref(),
            Err(_) => self.record.key.as_deref(),
        }
    }

    /// Whether `name` means this letter.
    pub(crate) fn is_named(&self, name: &LetterName) -> bool {
        match (name, &self.letter) {
            (LetterName::Place(place), _) => *place == self.place,
            (LetterName::Id(id), Ok(letter)) => letter.id() == *id || letter.origin.to_string() == *id,
            (LetterName::Id(_), Err(_)) => false,
        }
    }
}

impl fmt::Display for LetterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl From<LetterPlace> for String {
    fn from(place: LetterPlace) -> String {
        place.to_string()
    }
}

impl FromStr for LetterPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<LetterPlace, String> {
        let place = text.split_once('/').and_then(|(partition, offset)| {
            Some(LetterPlace { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        });
        let place = place.filter(|place| place.partition >= 0 && place.offset >= 0);
        place.ok_or_else(|| format!("`{text}` is no place: write PARTITION/OFFSET, like 0/17"))
    }
}

impl TryFrom<String> for LetterPlace {
    type Error = String;

    fn try_from(text: String) -> Result<LetterPlace, String> {
        text.parse()
    }
}

impl FromStr for LetterName {
    type Err = String;

    fn from_str(text: &str) -> Result<LetterName, String> {
        if let Ok(place) = text.parse() {
            return Ok(LetterName::Place(place));
        }
        let mut parts = text.split('/').skip(1);
        let numbers = (parts.next().and_then(|part| part.parse::<i32>().ok()), parts.next().map(str::parse::<i64>));
        match numbers {
            (Some(_), Some(Ok(_))) => Ok(LetterName::Id(text.to_owned())),
            _ => Err(format!(
                "`{text}` names no dead letter: write its place, like 0/17, or its id, like shop.orders/3/14/order"
            )),
        }
    }
}

impl fmt::Display for LetterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LetterName::Place(place) => place.fmt(f),
            LetterName::Id(id) => f.write_str(id),
        }
    }
}

#[cfg(test)]
impl LetterEntry {
    /// The letter as it is read back from the DLQ.
    pub(super) fn read_back(written: saga_wire::OutgoingRecord) -> LetterEntry {
        let saga_wire::OutgoingRecord { topic, partition: _, key, value, headers } = written;
        let timestamp = Timestamp(2_001);
        LetterEntry::of(KafkaRecord { topic, partition: 0, offset: 17, timestamp, key, value, headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_topic_where_it_is_not_the_usual_one() {
        let place = LetterPlace { partition: 0, offset: 17 };
        assert_eq!("0/17".parse(), Ok(LetterAddress { topic: None, place }));
        let other: LetterAddress = "shop.dlq/0/17".parse().expect("an address");
        assert_eq!(other, LetterAddress { topic: Some("shop.dlq".into()), place });
        assert_eq!(
            (other.to_string().as_str(), other.named()),
            ("shop.dlq/0/17", NamedPlace::Of("shop.dlq".into(), 0, 17))
        );
        for wrong in ["17", "/0/17", "shop.dlq/0/x", "shop.dlq/0/17/order", "0/-1"] {
            assert!(wrong.parse::<LetterAddress>().is_err_and(|said| said.contains("0/17")), "{wrong}");
        }
    }

    #[test]
    fn a_letter_is_named_by_its_place_or_its_id() {
        let place = LetterPlace { partition: 0, offset: 17 };
        assert_eq!("0/17".parse(), Ok(LetterName::Place(place)));
        for id in ["shop.orders/3/14", "shop.orders/3/14/order"] {
            assert_eq!(id.parse(), Ok(LetterName::Id(id.to_owned())));
        }
        for wrong in ["17", "shop.orders", "0/-1", "shop.orders/x/14", ""] {
            assert!(wrong.parse::<LetterName>().is_err_and(|error| error.contains("0/17")), "{wrong}");
        }
    }
}
