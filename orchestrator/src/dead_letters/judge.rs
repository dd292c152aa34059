//! What would become of a dead letter if its record came again now, by the engine's own rules and without any effect.

use super::{LetterFault, fault};
use saga_core::definition::SagaDefinition;
use saga_engine::SchemaSource;
use saga_wire::{
    KafkaRecord, PayloadSchema, PayloadSchemaName, PoisonDiagnosis,
    dead_letter::{DeadLetterForm, FoundLetter, LetterCode},
    reply::{self, ParsedReply},
    trigger::{self, TriggerEvaluation, TriggerOutcome},
};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// What would become of the record, for one definition or for the topic.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "would", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum LetterVerdict {
    /// It starts a saga, unless its key is taken.
    Start {
        /// The definition that starts it.
        saga: String,
        /// Its business key.
        key: String,
    },
    /// It is a reply that can be read.
    Answer {
        /// The saga that it answers.
        saga: String,
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
        /// Where.
        #[serde(skip_serializing_if = "Option::is_none")]
        fault: Option<LetterFault>,
    },
    /// The schema registry does not answer: nobody can say now.
    NotJudged {
        /// What the registry did.
        reason: String,
    },
    /// Nobody can say without reading more than the record.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Judges records of letters by definitions, formats of topics and schemas, as an engine does.
#[derive(Debug)]
pub(crate) struct LetterJudge {
    /// The definitions that the configuration names.
    pub definitions: Vec<Arc<SagaDefinition>>,
    /// The schemas of records, and what the configuration says of topics.
    pub schemas: SchemaSource,
    /// Name of the topic of replies.
    pub replies: String,
}

/// A record that was judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct JudgedRecord {
    /// What would become of it.
    pub verdicts: Vec<LetterVerdict>,
    /// What of its content is at fault where no verdict says it: nobody judges it.
    pub fault: Option<LetterFault>,
    /// Its value, where it is in Avro and its schema is known.
    pub decoded: Option<DecodedAvro>,
}

/// A value in Avro as expressions see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DecodedAvro {
    /// Name of the schema by which it was written.
    pub schema: String,
    /// The value; absent: it does not fit the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl LetterVerdict {
    /// For people, in a line.
    pub(crate) fn text(&self) -> String {
        match self {
            LetterVerdict::Start { saga, key } => format!("starts saga {saga}, unless the key {key} is taken"),
            LetterVerdict::Answer { saga } => format!("answers the saga {saga}, if it still waits for this attempt"),
            LetterVerdict::Unwanted { saga } => format!("{saga} does not want it"),
            LetterVerdict::Poison { saga: Some(saga), code, message, .. } => {
                format!("poison again for {saga}: {code}: {message}")
            }
            LetterVerdict::Poison { saga: None, code, message, .. } => format!("poison again: {code}: {message}"),
            LetterVerdict::NotJudged { reason } => format!("not judged: {reason}"),
            LetterVerdict::Unknown { reason } => format!("not known: {reason}"),
        }
    }

    /// Where the record is at fault, if it is poison and a place is known.
    pub(crate) fn fault(&self) -> Option<&LetterFault> {
        match self {
            LetterVerdict::Poison { fault, .. } => fault.as_ref(),
            LetterVerdict::Start { .. }
            | LetterVerdict::Answer { .. }
            | LetterVerdict::Unwanted { .. }
            | LetterVerdict::NotJudged { .. }
            | LetterVerdict::Unknown { .. } => None,
        }
    }

    fn poison(
        poison: PoisonDiagnosis,
        definition: Option<&SagaDefinition>,
        record: &KafkaRecord,
        schema: &PayloadSchema,
    ) -> LetterVerdict {
        LetterVerdict::Poison {
            saga: definition.map(|definition| definition.name.clone()),
            fault: LetterFault::find(poison.code, record, schema, definition),
            code: poison.code.as_str(),
            message: poison.message,
        }
    }
}

impl LetterJudge {
    /// What would become of the letter if `record` took the place of its original: for the definition that could not
    /// process it, or else for each that reads its topic. The whole rules of the trigger are asked, its type included.
    pub(crate) async fn judge(&self, letter: &FoundLetter, record: &KafkaRecord) -> JudgedRecord {
        if letter.form != DeadLetterForm::Whole {
            let reason = format!("the letter is a pointer, and the record itself is at {}", letter.origin);
            return JudgedRecord { verdicts: vec![LetterVerdict::Unknown { reason }], ..JudgedRecord::default() };
        }
        let is_reply = *letter.origin.topic == *self.replies;
        let definitions = if is_reply { Ok(Vec::new()) } else { self.of(letter) };
        let named = PayloadSchemaName::of(record);
        let schema = match self.schemas.of_record_soon(record, named).await {
            Ok(schema) => schema,
            Err(unanswered) => {
                let reason = format!("its value is in Avro, and {unanswered}");
                return JudgedRecord { verdicts: vec![LetterVerdict::NotJudged { reason }], ..JudgedRecord::default() };
            }
        };
        let verdicts = match definitions {
            Ok(_) if is_reply => vec![of_reply(record, &schema)],
            Ok(definitions) => of_trigger(record, &schema, &definitions),
            Err(reason) => vec![LetterVerdict::Unknown { reason }],
        };
        let is_judged = verdicts.iter().any(|verdict| !matches!(verdict, LetterVerdict::Unknown { .. }));
        let is_content = matches!(&letter.code, LetterCode::Poison(code) if fault::is_of_content(*code));
        let fault = (!is_judged && is_content).then(|| LetterFault::of_content(record, &schema)).flatten();
        JudgedRecord { verdicts, fault, decoded: DecodedAvro::of(record, &schema) }
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

fn of_reply(record: &KafkaRecord, schema: &PayloadSchema) -> LetterVerdict {
    match reply::parse(record, schema) {
        ParsedReply::Reply(reply) => LetterVerdict::Answer { saga: reply.saga.to_string() },
        ParsedReply::Poison { poison, .. } => LetterVerdict::poison(poison, None, record, schema),
    }
}

fn of_trigger(record: &KafkaRecord, schema: &PayloadSchema, definitions: &[Arc<SagaDefinition>]) -> Vec<LetterVerdict> {
    let judged = trigger::evaluate(record, schema, definitions);
    if judged.is_empty() {
        let reason = format!("no trigger of the definitions in the files reads the topic {}", record.topic);
        return vec![LetterVerdict::Unknown { reason }];
    }
    let verdict = |TriggerEvaluation { definition, disposition }| {
        let definition = definition.and_then(|at: usize| definitions.get(at)).map(Arc::as_ref);
        let saga = || definition.map(|definition| definition.name.clone()).unwrap_or_default();
        match disposition {
            TriggerOutcome::Start(start) => LetterVerdict::Start { saga: saga(), key: start.key },
            TriggerOutcome::Unwanted | TriggerOutcome::Replayed => LetterVerdict::Unwanted { saga: saga() },
            TriggerOutcome::Poison(poison) => LetterVerdict::poison(poison, definition, record, schema),
        }
    };
    judged.into_iter().map(verdict).collect()
}

impl DecodedAvro {
    fn of(record: &KafkaRecord, schema: &PayloadSchema) -> Option<DecodedAvro> {
        let PayloadSchema::Known(reader) = schema else { return None };
        let value = trigger::decoded(record, schema).ok().map(|trigger| trigger.event);
        Some(DecodedAvro { schema: reader.record_name().unwrap_or("without a name").to_owned(), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::LetterEntry;
    use bytes::Bytes;
    use saga_core::{definition::parse_stored, time::Timestamp};
    use saga_engine::letters::restored;
    use saga_wire::{PoisonCode, dead_letter, record::text_header};

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

    async fn texts(entry: &LetterEntry) -> Vec<String> {
        let definitions = vec![definition("mended", "event.id"), definition("broken", "event.orderId")];
        let judge = LetterJudge { definitions, schemas: SchemaSource::default(), replies: "saga.replies".to_owned() };
        let letter = entry.letter.as_ref().expect("a letter");
        let judged = judge.judge(letter, &restored(letter, letter.original.clone())).await;
        judged.verdicts.iter().map(LetterVerdict::text).collect()
    }

    #[tokio::test]
    async fn a_letter_is_judged_for_its_definition_alone() {
        let now = async |name| texts(&entry("OrderPlaced", Some(name), DeadLetterForm::Whole)).await;
        assert_eq!(now("mended").await, ["starts saga mended, unless the key 4711 is taken"]);
        let broken = now("broken").await;
        assert!(broken[0].starts_with("poison again for broken: key: "), "{broken:?}");
        assert_eq!(now("gone").await, ["not known: the files have no definition `gone`"]);
    }

    #[tokio::test]
    async fn a_type_that_the_definition_does_not_want_starts_nothing() {
        let now = texts(&entry("OrderPaid", Some("mended"), DeadLetterForm::Whole)).await;
        assert_eq!(now, ["mended does not want it"]);
    }

    #[tokio::test]
    async fn without_a_definition_all_of_the_topic_are_asked() {
        assert_eq!(texts(&entry("OrderPlaced", None, DeadLetterForm::Whole)).await.len(), 2);
    }

    #[tokio::test]
    async fn nobody_knows_what_a_pointer_points_at() {
        let now = texts(&entry("OrderPlaced", Some("mended"), DeadLetterForm::Pointer)).await;
        assert_eq!(now, ["not known: the letter is a pointer, and the record itself is at shop.orders/3/14"]);
    }
}
