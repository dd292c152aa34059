//! What would become of a dead letter if its record came again now, by the engine's own rules and without any effect.

use super::LetterEntry;
use saga_core::{definition::SagaDefinition, time::Timestamp};
use saga_wire::{
    KafkaRecord, PayloadSchema,
    dead_letter::{DeadLetterForm, FoundLetter},
    trigger::{self, TriggerEvaluation, TriggerOutcome},
};
use serde::Serialize;
use std::sync::Arc;

/// What would become of the record, for one definition or for the topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "would", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum LetterVerdict {
    /// It starts a saga, unless its key is taken.
    Start {
        /// The definition that starts it.
        saga: String,
        /// Its business key.
        key: String,
    },
    /// The definition does not want it.
    Unwanted {
        /// The definition.
        saga: String,
    },
    /// It is poison again.
    Poison {
        /// The definition; `None`: it is no definition's matter.
        #[serde(skip_serializing_if = "Option::is_none")]
        saga: Option<String>,
        /// The code.
        code: &'static str,
        /// What is wrong with it now.
        message: String,
    },
    /// Nobody can say without reading more than the record.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Judges letters by definitions.
#[derive(Debug)]
pub(crate) struct LetterJudge {
    /// The definitions that the configuration names.
    pub definitions: Vec<Arc<SagaDefinition>>,
}

impl LetterVerdict {
    /// For people, in a line.
    pub(crate) fn text(&self) -> String {
        match self {
            LetterVerdict::Start { saga, key } => format!("starts saga {saga}, unless the key {key} is taken"),
            LetterVerdict::Unwanted { saga } => format!("{saga} does not want it"),
            LetterVerdict::Poison { saga: Some(saga), code, message } => {
                format!("poison again for {saga}: {code}: {message}")
            }
            LetterVerdict::Poison { saga: None, code, message } => format!("poison again: {code}: {message}"),
            LetterVerdict::Unknown { reason } => format!("not known: {reason}"),
        }
    }
}

impl LetterJudge {
    /// What would become of the letter: for the definition that could not process it, or else for each that reads its
    /// topic. The whole rules of the trigger are asked, its type included.
    pub(crate) fn judge(&self, entry: &LetterEntry) -> Vec<LetterVerdict> {
        match self.judged(entry) {
            Ok(verdicts) => verdicts,
            Err(reason) => vec![LetterVerdict::Unknown { reason }],
        }
    }

    fn judged(&self, entry: &LetterEntry) -> Result<Vec<LetterVerdict>, String> {
        let letter = entry.letter.as_ref().map_err(|unknown| format!("it is no dead letter: {unknown}"))?;
        if letter.form != DeadLetterForm::Whole {
            return Err(format!("the letter is a pointer, and the record itself is at {}", letter.origin));
        }
        let definitions = self.of(letter)?;
        let record = original(letter);
        if trigger::schema_needed(&record, &definitions).is_some() {
            return Err("its value is Avro, and only an engine looks schemas up".to_owned());
        }
        let judged = trigger::evaluate(&record, &PayloadSchema::Unneeded, &definitions);
        if judged.is_empty() {
            return Err(format!("no trigger of the definitions in the files reads the topic {}", letter.origin.topic));
        }
        Ok(judged.into_iter().map(|judged| verdict(judged, &definitions)).collect())
    }

    /// The definitions whose matter the letter is.
    fn of(&self, letter: &FoundLetter) -> Result<Vec<Arc<SagaDefinition>>, String> {
        let Some(name) = &letter.definition else { return Ok(self.definitions.clone()) };
        let named = self.definitions.iter().find(|definition| definition.name == *name);
        named
            .map(|definition| vec![Arc::clone(definition)])
            .ok_or_else(|| format!("the files have no definition `{name}`"))
    }
}

fn verdict(
    TriggerEvaluation { definition, disposition }: TriggerEvaluation,
    all: &[Arc<SagaDefinition>],
) -> LetterVerdict {
    let saga = definition.and_then(|at| all.get(at)).map(|definition| definition.name.clone());
    match disposition {
        TriggerOutcome::Start(start) => LetterVerdict::Start { saga: saga.unwrap_or_default(), key: start.key },
        TriggerOutcome::Unwanted | TriggerOutcome::Replayed => {
            LetterVerdict::Unwanted { saga: saga.unwrap_or_default() }
        }
        TriggerOutcome::Poison(poison) => {
            LetterVerdict::Poison { saga, code: poison.code.as_str(), message: poison.message }
        }
    }
}

/// The original as it was read.
fn original(letter: &FoundLetter) -> KafkaRecord {
    let origin = &letter.origin;
    KafkaRecord {
        topic: Arc::clone(&origin.topic),
        partition: origin.partition,
        offset: origin.offset,
        timestamp: origin.timestamp.unwrap_or(Timestamp(-1)),
        key: letter.original.key.clone(),
        value: letter.original.value.clone(),
        headers: letter.original.headers.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use saga_core::definition::parse_stored;
    use saga_wire::{PoisonCode, PoisonDiagnosis, dead_letter, record::text_header};

    fn definition(name: &str, key: &str) -> Arc<SagaDefinition> {
        let trigger = format!("{{topic: shop.orders, type: OrderPlaced, key: \"${{ {key} }}\"}}");
        let text = format!("saga: {name}\ntrigger: {trigger}\nsteps:\n  - step: rest\n    wait: 1s\n");
        Arc::new(parse_stored(&text).expect("a definition"))
    }

    fn entry(event_type: &str, definition: Option<&str>, form: DeadLetterForm) -> LetterEntry {
        let original = KafkaRecord {
            topic: "shop.orders".into(),
            partition: 3,
            offset: 14,
            timestamp: Timestamp(1_000),
            key: None,
            value: Some(Bytes::from_static(br#"{"id": "4711"}"#)),
            headers: vec![text_header("ce_type", event_type)],
        };
        let poison = PoisonDiagnosis::new(PoisonCode::Key, "no such key");
        let letter = dead_letter::record(&"saga.dlq".into(), &original, &poison, definition, form, Timestamp(2_000));
        LetterEntry::read_back(letter)
    }

    fn texts(entry: &LetterEntry) -> Vec<String> {
        let definitions = vec![definition("mended", "event.id"), definition("broken", "event.orderId")];
        LetterJudge { definitions }.judge(entry).iter().map(LetterVerdict::text).collect()
    }

    #[test]
    fn a_letter_is_judged_for_its_definition_alone() {
        let now = |name| texts(&entry("OrderPlaced", Some(name), DeadLetterForm::Whole));
        assert_eq!(now("mended"), ["starts saga mended, unless the key 4711 is taken"]);
        assert!(now("broken")[0].starts_with("poison again for broken: key: "), "{:?}", now("broken"));
        assert_eq!(now("gone"), ["not known: the files have no definition `gone`"]);
    }

    #[test]
    fn a_type_that_the_definition_does_not_want_starts_nothing() {
        let now = texts(&entry("OrderPaid", Some("mended"), DeadLetterForm::Whole));
        assert_eq!(now, ["mended does not want it"]);
    }

    #[test]
    fn without_a_definition_all_of_the_topic_are_asked() {
        assert_eq!(texts(&entry("OrderPlaced", None, DeadLetterForm::Whole)).len(), 2);
    }

    #[test]
    fn nobody_knows_what_a_pointer_points_at() {
        let now = texts(&entry("OrderPlaced", Some("mended"), DeadLetterForm::Pointer));
        assert_eq!(now, ["not known: the letter is a pointer, and the record itself is at shop.orders/3/14"]);
    }
}
