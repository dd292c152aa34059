//! What a record of a trigger topic means to each definition. Pure, and total: there is a disposition for whatever
//! arrives.

use super::{
    cloudevents::IncomingEvent,
    payload::{self, LARGEST_RECORD},
    payload_hints,
    payload_schema::{PayloadSchema, PayloadSchemaName},
    poison::{PoisonCode, PoisonDiagnosis},
    record::KafkaRecord,
};
use saga_base::panics::caught;
use saga_contract::headers;
use saga_core::{
    definition::{BusinessKeyTemplate, ReplayedRecords, SagaDefinition, business_key::joined},
    event::TriggerRecord,
    expression::{EvaluateError, ExpressionScope, ValueTemplate},
    input::SagaStart,
    json::integer_text,
    state::record_value,
};
use serde_json::Value;
use std::sync::Arc;

/// The longest business key, in bytes.
const LONGEST_KEY: usize = 256;

/// What a record means to one definition.
#[derive(Clone, Debug, PartialEq)]
pub enum TriggerOutcome {
    /// It starts a saga, unless its key is taken.
    Start(Box<SagaStart>),
    /// The definition does not want it.
    Unwanted,
    /// It is a recorded event that is published once more, and the definition does not accept these.
    Replayed,
    /// The definition wants it and can never process it.
    Poison(PoisonDiagnosis),
}

/// A disposition and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerEvaluation {
    /// Position in the list that was given; `None` where the record is poison to the topic as a whole.
    pub definition: Option<usize>,
    /// What the record means to it.
    pub disposition: TriggerOutcome,
}

/// The schema that has to be known before `record` is judged for `definitions`; `None`: it names none, or is of a type
/// that none of them wants.
#[must_use]
pub fn schema_needed(record: &KafkaRecord, definitions: &[Arc<SagaDefinition>]) -> Option<PayloadSchemaName> {
    let name = PayloadSchemaName::of(record)?;
    let mut reading = definitions.iter().filter(|it| it.trigger.topic == *record.topic);
    let is_wanted = match payload::header(record, headers::CE_TYPE) {
        Ok(Some(said)) => reading.any(|it| it.trigger.event_type.as_deref().is_none_or(|wanted| wanted == said)),
        Ok(None) => reading.next().is_some(),
        Err(_) => reading.any(|it| it.trigger.event_type.is_none()),
    };
    is_wanted.then_some(name)
}

/// Judges `record` for every definition whose trigger reads its topic, in this order: published once more, type,
/// unwanted, `no_type`, size, content, the schema, `when`, `key`; what `when` does not want is not held to the
/// schema. A definition that fails does not hinder the others. `schema` is that of the record's value, where
/// [`schema_needed`] names one. A panic on the way is a fault of the record: it is poison, and the intake goes on.
#[must_use]
pub fn evaluate(
    record: &KafkaRecord,
    schema: &PayloadSchema,
    definitions: &[Arc<SagaDefinition>],
) -> Vec<TriggerEvaluation> {
    let all = || (0..definitions.len()).filter(|at| definitions[*at].trigger.topic == *record.topic);
    let poison = |at: usize, panic: &str| {
        let poison = PoisonDiagnosis::of_panic("reading the record", panic);
        TriggerEvaluation { definition: Some(at), disposition: TriggerOutcome::Poison(poison) }
    };
    caught(|| evaluate_all(record, schema, definitions, &all().collect::<Vec<_>>()))
        .unwrap_or_else(|panic| all().map(|at| poison(at, &panic)).collect())
}

/// Judges the record for the definitions at `reading`, those that read its topic.
fn evaluate_all(
    record: &KafkaRecord,
    schema: &PayloadSchema,
    definitions: &[Arc<SagaDefinition>],
    reading: &[usize],
) -> Vec<TriggerEvaluation> {
    let all = || reading.iter().copied();
    let incoming = IncomingEvent::of(record, schema);
    let is_replayed = incoming.is_replayed();
    let refuses = |at: &usize| is_replayed && ignores_replayed(&definitions[*at]);
    let replayed = all()
        .filter(refuses)
        .map(|at| TriggerEvaluation { definition: Some(at), disposition: TriggerOutcome::Replayed });
    let replayed: Vec<TriggerEvaluation> = replayed.collect();
    let reading = || all().filter(|at| !refuses(at));
    let judged = judge(record, incoming, definitions, &reading().collect::<Vec<_>>());
    replayed.into_iter().chain(judged).collect()
}

/// Judges the record for the definitions at `reading`.
fn judge(
    record: &KafkaRecord,
    incoming: IncomingEvent<'_>,
    definitions: &[Arc<SagaDefinition>],
    reading: &[usize],
) -> Vec<TriggerEvaluation> {
    let reading = || reading.iter().copied();
    let wanted: Vec<usize> = reading().filter(|at| wants(&definitions[*at], &incoming)).collect();
    if wanted.is_empty() && incoming.event_type().is_none() && record.value.is_some() && reading().next().is_some() {
        return vec![TriggerEvaluation {
            definition: None,
            disposition: TriggerOutcome::Poison(no_type(record, &incoming)),
        }];
    }
    let unreadable = incoming.unreadable_type().cloned();
    // A definition that wants a certain type cannot know whether this record has it.
    let not_wanted = |at: usize| match &unreadable {
        Some(poison) if definitions[at].trigger.event_type.is_some() => TriggerOutcome::Poison(poison.clone()),
        Some(_) | None => TriggerOutcome::Unwanted,
    };
    let untyped_tombstone = record.value.is_none() && incoming.event_type().is_none();
    if wanted.is_empty() || untyped_tombstone {
        return reading().map(|at| TriggerEvaluation { definition: Some(at), disposition: not_wanted(at) }).collect();
    }
    let trigger = content(record, incoming);
    let outcome_for = |at: usize| match &trigger {
        _ if !wanted.contains(&at) => not_wanted(at),
        Ok(decoded) => decoded.evaluate(&definitions[at]),
        Err(poison) => TriggerOutcome::Poison(poison.clone()),
    };
    reading().map(|at| TriggerEvaluation { definition: Some(at), disposition: outcome_for(at) }).collect()
}

/// Judges a forwarded trigger for the one definition it was forwarded for, whatever its topic and type.
#[must_use]
pub fn evaluate_one(record: &KafkaRecord, schema: &PayloadSchema, definition: &SagaDefinition) -> TriggerOutcome {
    let judged = caught(|| {
        let incoming = IncomingEvent::of(record, schema);
        if incoming.is_replayed() && ignores_replayed(definition) {
            return TriggerOutcome::Replayed;
        }
        match content(record, incoming) {
            Ok(decoded) => decoded.evaluate(definition),
            Err(poison) => TriggerOutcome::Poison(poison),
        }
    });
    judged.unwrap_or_else(|panic| TriggerOutcome::Poison(PoisonDiagnosis::of_panic("reading the record", &panic)))
}

/// Judges a trigger that is on record, for any definition. Its topic has to be that of the definition. Its type counts
/// as wanted: a journal does not keep it.
#[must_use]
pub fn evaluate_recorded(
    trigger: &TriggerRecord,
    traceparent: Option<&str>,
    definition: &SagaDefinition,
) -> TriggerOutcome {
    if trigger.topic != definition.trigger.topic {
        return TriggerOutcome::Unwanted;
    }
    let (shown, trigger, traceparent) = (record_value(trigger), trigger.clone(), traceparent.map(str::to_owned));
    DecodedTrigger { trigger, shown, traceparent }.evaluate(definition)
}

/// The record as expressions see it, for people who look for what is wrong with it. `schema` is that of its value, as
/// for [`evaluate`].
///
/// # Errors
/// Its content cannot be read.
pub fn decoded(record: &KafkaRecord, schema: &PayloadSchema) -> Result<TriggerRecord, PoisonDiagnosis> {
    content(record, IncomingEvent::of(record, schema)).map(|decoded| decoded.trigger)
}

fn ignores_replayed(definition: &SagaDefinition) -> bool {
    match definition.trigger.replayed {
        ReplayedRecords::Ignored => true,
        ReplayedRecords::Accepted => false,
    }
}

fn wants(definition: &SagaDefinition, incoming: &IncomingEvent<'_>) -> bool {
    definition.trigger.event_type.as_deref().is_none_or(|wanted| incoming.is_of(wanted))
}

/// A structured event that is refused before its type can be read has the code of that refusal.
fn no_type(record: &KafkaRecord, incoming: &IncomingEvent<'_>) -> PoisonDiagnosis {
    if let Some(poison) = incoming.unreadable_type() {
        return poison.clone();
    }
    if let Some(poison) = incoming.broken().filter(|poison| poison.code != PoisonCode::NotJson) {
        return poison.clone();
    }
    let why = incoming.broken().map(|poison| format!("; {}", poison.message));
    let why = why
        .or_else(|| payload_hints::describe_missing_type(record).map(|what| format!("; {what}")))
        .unwrap_or_default();
    let message = format!(
        "neither a header ce_type nor a structured CloudEvent, and every trigger of the topic names a type{why}"
    );
    PoisonDiagnosis::new(PoisonCode::NoType, message)
}

/// A record whose content is known.
#[derive(Debug)]
struct DecodedTrigger {
    trigger: TriggerRecord,
    /// The value that expressions read as `record`.
    shown: Value,
    traceparent: Option<String>,
}

fn content(record: &KafkaRecord, incoming: IncomingEvent<'_>) -> Result<DecodedTrigger, PoisonDiagnosis> {
    if record.size() > LARGEST_RECORD {
        return Err(PoisonDiagnosis::new(PoisonCode::Oversize, format!("{} bytes, at most 1 MiB", record.size())));
    }
    let traceparent = incoming.traceparent().map(str::to_owned);
    let event = incoming.decode()?;
    let trigger = trigger(record, event);
    Ok(DecodedTrigger { shown: record_value(&trigger), trigger, traceparent })
}

fn trigger(record: &KafkaRecord, event: Value) -> TriggerRecord {
    let text = |bytes: &[u8]| payload::text(bytes).map(str::to_owned);
    let headers = record.headers.iter();
    TriggerRecord {
        topic: record.topic.to_string(),
        partition: record.partition,
        offset: record.offset,
        key: record.key.as_deref().and_then(text),
        timestamp: record.timestamp,
        headers: headers.filter_map(|(name, value)| Some((text(name.as_bytes())?, text(value.as_deref()?)?))).collect(),
        event,
    }
}

impl DecodedTrigger {
    fn evaluate(&self, definition: &SagaDefinition) -> TriggerOutcome {
        // The evaluator is a library that runs what other programs sent: a panic in it is a fault of this record, not
        // of the engine.
        let panicked = |panic: String| Err(PoisonDiagnosis::of_panic("evaluating `when` or `key`", &panic));
        match caught(|| self.start(definition)).unwrap_or_else(panicked) {
            Ok(Some(start)) => TriggerOutcome::Start(Box::new(start)),
            Ok(None) => TriggerOutcome::Unwanted,
            Err(poison) => TriggerOutcome::Poison(poison),
        }
    }

    fn start(&self, definition: &SagaDefinition) -> Result<Option<SagaStart>, PoisonDiagnosis> {
        let scope = ExpressionScope {
            event: Some(&self.trigger.event),
            record: Some(&self.shown),
            ..ExpressionScope::default()
        };
        let what = || payload_hints::describe_shape(&self.trigger.event).map(|what| format!("; the event is {what}"));
        let poison = |code| {
            move |error: EvaluateError| PoisonDiagnosis::new(code, format!("{error}{}", what().unwrap_or_default()))
        };
        let wanted = definition.trigger.when.as_ref().map_or(Ok(true), |when| when.evaluate_bool(&scope));
        if wanted == Ok(false) {
            return Ok(None);
        }
        // What the schema says of the event is nearer to the producer than what an expression made of it.
        if let Some(schema) = &definition.trigger.schema {
            schema
                .check(&self.trigger.event)
                .map_err(|violations| PoisonDiagnosis::new(PoisonCode::Schema, violations))?;
        }
        wanted.map_err(poison(PoisonCode::When))?;
        let text = |template: &ValueTemplate, name: &str| {
            let value = template.render(&scope).map_err(no_key).map_err(poison(PoisonCode::Key))?;
            key_text(value, name)
        };
        let key = match &definition.trigger.key {
            BusinessKeyTemplate::One(value) => text(value, "`key`")?,
            BusinessKeyTemplate::Parts(parts) => {
                let texts = parts.iter().enumerate().map(|(at, part)| text(part, &format!("`key[{at}]`")));
                joined(texts.collect::<Result<Vec<_>, _>>()?.iter().map(String::as_str))
            }
        };
        let key = of_length(key)?;
        Ok(Some(SagaStart { key, trigger: self.kept(definition), traceparent: self.traceparent.clone() }))
    }

    /// What the saga keeps of the record: of its headers what is read, and what tells where it belongs.
    fn kept(&self, definition: &SagaDefinition) -> TriggerRecord {
        let mut trigger = self.trigger.clone();
        trigger.headers.retain(|name, value| definition.trigger.headers.keeps(name, value));
        trigger
    }
}

/// No other key stands in for a key that is missing: all such events would be one saga's.
fn no_key(error: EvaluateError) -> EvaluateError {
    match error.question.clone() {
        Some(question) => {
            let message = format!("{}: with `when: {question}` events without it start nothing", error.message);
            EvaluateError { message, ..error }
        }
        None => error,
    }
}

/// A value as text, called `name` where it cannot be one.
fn key_text(value: Value, name: &str) -> Result<String, PoisonDiagnosis> {
    let wrong = |found: &str| {
        PoisonDiagnosis::new(PoisonCode::Key, format!("{name} is {found}, expected a string, integer or boolean"))
    };
    let text = match value {
        Value::String(text) => text,
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match integer_text(&number) {
            Some(text) => text.to_owned(),
            None => return Err(wrong(&format!("{number}, which is not written as an integer"))),
        },
        Value::Null => return Err(wrong("null")),
        Value::Array(_) => return Err(wrong("a list")),
        Value::Object(_) => return Err(wrong("a map")),
    };
    payload::without_nul(&text, name)?;
    if text.is_empty() {
        return Err(PoisonDiagnosis::new(PoisonCode::Key, format!("{name} has 0 bytes, expected 1 to {LONGEST_KEY}")));
    }
    Ok(text)
}

fn of_length(key: String) -> Result<String, PoisonDiagnosis> {
    match key.len() {
        1..=LONGEST_KEY => Ok(key),
        length => {
            Err(PoisonDiagnosis::new(PoisonCode::Key, format!("`key` has {length} bytes, expected 1 to {LONGEST_KEY}")))
        }
    }
}

#[cfg(test)]
mod tests;
