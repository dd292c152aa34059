//! Which dead letters are meant.

use super::{LetterEntry, LetterName};
use saga_core::{definition::or_did_you_mean, id::SagaId, time::Timestamp};
use saga_wire::{PoisonCode, dead_letter::FoundLetter};

/// The word that stands in the place of a code for records that are no dead letters of a known kind.
pub(crate) const FOREIGN: &str = "foreign";

/// Why `text` is no code of a letter: neither one of the engine, nor of another program, which is the class of an
/// exception and has a dot in it.
pub(crate) fn unknown_code(text: &str) -> Option<String> {
    let codes = || PoisonCode::ALL.iter().map(|code| code.as_str()).chain([FOREIGN]);
    if text.contains('.') || codes().any(|code| code == text) {
        return None;
    }
    Some(format!("no poison code is called `{text}`{}", or_did_you_mean(text, codes())))
}

/// A dead letter is chosen if it fits all that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LetterFilter {
    /// One of these names; empty: any.
    pub names: Vec<LetterName>,
    /// One of these codes; empty: any.
    pub codes: Vec<String>,
    /// The topic of the original.
    pub topic: Option<String>,
    /// The definition that could not process it.
    pub saga: Option<String>,
    /// The saga that a reply is about.
    pub saga_id: Option<SagaId>,
    /// The key of the original, as text.
    pub key: Option<String>,
    /// Written to the DLQ topic then or later.
    pub since: Option<Timestamp>,
    /// Written to the DLQ topic before.
    pub until: Option<Timestamp>,
    /// Occurs in message, id, key or value, whatever the case of its letters.
    pub text: Option<String>,
}

impl LetterFilter {
    /// Whether the letter is meant.
    pub(crate) fn takes(&self, entry: &LetterEntry) -> bool {
        let letter = entry.letter.as_ref().ok();
        let code = letter.map_or(FOREIGN, |letter| letter.code.as_str());
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        (self.names.is_empty() || self.names.iter().any(|name| entry.is_named(name)))
            && (self.codes.is_empty() || self.codes.iter().any(|wanted| wanted == code))
            && is(&self.topic, letter.map(|letter| &*letter.origin.topic))
            && is(&self.saga, letter.and_then(|letter| letter.definition.as_deref()))
            && self.saga_id.is_none_or(|saga| letter.and_then(FoundLetter::saga) == Some(saga))
            && self.key.as_ref().is_none_or(|key| entry.key() == Some(key.as_bytes()))
            && self.since.is_none_or(|since| entry.written_at >= since)
            && self.until.is_none_or(|until| entry.written_at < until)
            && self.text.as_ref().is_none_or(|text| has_text(entry, text))
    }
}

fn has_text(entry: &LetterEntry, text: &str) -> bool {
    let wanted = text.to_lowercase();
    let has = |found: &str| found.to_lowercase().contains(&wanted);
    let in_bytes = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| has(&String::from_utf8_lossy(bytes)));
    let said = entry.letter.as_ref().is_ok_and(|letter| has(&letter.message) || has(&letter.id()));
    said || in_bytes(entry.key()) || in_bytes(entry.record.value.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use saga_core::id::ShardId;
    use saga_wire::{
        KafkaRecord, PoisonCode, PoisonDiagnosis,
        dead_letter::{self, DeadLetterForm},
    };

    fn entry() -> LetterEntry {
        let original = KafkaRecord {
            topic: "shop.orders".into(),
            partition: 3,
            offset: 14,
            timestamp: Timestamp(1_000),
            key: Some(Bytes::from_static(b"4711")),
            value: Some(Bytes::from_static(b"{Sofa")),
            headers: Vec::new(),
        };
        let poison = PoisonDiagnosis::new(PoisonCode::NotJson, "key must be a string at line 1");
        let topic = "saga.dlq".into();
        let form = DeadLetterForm::Whole;
        let letter = dead_letter::record(&topic, &original, &poison, Some("order"), form, Timestamp(2_000));
        LetterEntry::read_back(letter)
    }

    #[test]
    fn a_letter_is_chosen_only_if_it_fits_all_that_is_said() {
        let said = |text: &str| Some(text.to_owned());
        let fits = LetterFilter {
            names: vec!["0/17".parse().expect("a place")],
            codes: vec!["key".into(), "not_json".into()],
            topic: said("shop.orders"),
            saga: said("order"),
            saga_id: None,
            key: said("4711"),
            since: Some(Timestamp(2_001)),
            until: Some(Timestamp(2_002)),
            text: said("sOFA"),
        };
        assert!(fits.takes(&entry()) && LetterFilter::default().takes(&entry()));
        for other in [
            LetterFilter { names: vec!["shop.orders/3/15".parse().expect("an id")], ..fits.clone() },
            LetterFilter { codes: vec![FOREIGN.into()], ..fits.clone() },
            LetterFilter { topic: said("orders"), ..fits.clone() },
            LetterFilter { saga: said("orders"), ..fits.clone() },
            LetterFilter { saga_id: Some(SagaId::new(Timestamp(1), ShardId(0), 7)), ..fits.clone() },
            LetterFilter { key: said("471"), ..fits.clone() },
            LetterFilter { since: Some(Timestamp(2_002)), ..fits.clone() },
            LetterFilter { until: Some(Timestamp(2_001)), ..fits.clone() },
            LetterFilter { text: said("piano"), ..fits },
        ] {
            assert!(!other.takes(&entry()), "{other:?}");
        }
    }

    #[test]
    fn a_record_without_provenance_is_foreign() {
        let foreign = LetterEntry::of(KafkaRecord { headers: Vec::new(), ..entry().record });
        assert!(LetterFilter { codes: vec![FOREIGN.into()], ..LetterFilter::default() }.takes(&foreign));
        assert!(!LetterFilter { topic: Some("shop.orders".into()), ..LetterFilter::default() }.takes(&foreign));
    }
}
