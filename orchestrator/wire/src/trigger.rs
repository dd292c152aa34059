//! What a record of a trigger topic means to each definition. Pure, and total: there is a disposition for whatever arrives.

pub(super) mod looks;

use super::{
    cloudevents::Incoming,
    payload::{self, LARGEST_RECORD},
    poison::{Poison, PoisonCode},
    record::Record,
};
use saga_core::{
    definition::{BusinessKey, Definition, business_key::joined},
    event::Trigger,
    expression::{EvaluateError, Scope, Template},
    input::Start,
    json::integer_text,
    state::record_value,
};
use serde_json::Value;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// The longest business key, in bytes.
const LONGEST_KEY: usize = 256;

/// What a record means to one definition.
#[derive(Clone, Debug, PartialEq)]
pub enum Disposition {
    /// It starts a saga, unless its key is taken.
    Start(Box<Start>),
    /// The definition does not want it.
    Unwanted,
    /// The definition wants it and can never process it.
    Poison(Poison),
}

/// A disposition and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Position in the list that was given; `None` where the record is poison to the topic as a whole.
    pub definition: Option<usize>,
    /// What the record means to it.
    pub disposition: Disposition,
}

/// Judges `record` for every definition whose trigger reads its topic, in this order: type, unwanted, `no_type`, size, content, the schema, `when`, `key`; what `when` does not want
/// is not held to the schema.
/// A definition that fails does not hinder the others.
#[must_use]
pub fn judge(record: &Record, definitions: &[Arc<Definition>]) -> Vec<Judgement> {
    let reading = || (0..definitions.len()).filter(|at| definitions[*at].trigger.topic == *record.topic);
    let incoming = Incoming::of(record);
    let wanted: Vec<usize> = reading().filter(|at| wants(&definitions[*at], incoming.event_type())).collect();
    if wanted.is_empty() && incoming.event_type().is_none() && record.value.is_some() && reading().next().is_some() {
        return vec![Judgement { definition: None, disposition: Disposition::Poison(no_type(record, &incoming)) }];
    }
    let unreadable = incoming.unreadable_type().cloned();
    // Whoever wants a type cannot know whether it is this one.
    let not_wanted = |at: usize| match &unreadable {
        Some(poison) if definitions[at].trigger.event_type.is_some() => Disposition::Poison(poison.clone()),
        Some(_) | None => Disposition::Unwanted,
    };
    let untyped_tombstone = record.value.is_none() && incoming.event_type().is_none();
    if wanted.is_empty() || untyped_tombstone {
        return reading().map(|at| Judgement { definition: Some(at), disposition: not_wanted(at) }).collect();
    }
    let trigger = content(record, incoming);
    let dispose = |at: usize| match &trigger {
        _ if !wanted.contains(&at) => not_wanted(at),
        Ok(decoded) => decoded.dispose(&definitions[at]),
        Err(poison) => Disposition::Poison(poison.clone()),
    };
    reading().map(|at| Judgement { definition: Some(at), disposition: dispose(at) }).collect()
}

/// Judges a forwarded trigger for the one definition it was forwarded for, whatever its topic and type.
#[must_use]
pub fn judge_for(record: &Record, definition: &Definition) -> Disposition {
    match content(record, Incoming::of(record)) {
        Ok(decoded) => decoded.dispose(definition),
        Err(poison) => Disposition::Poison(poison),
    }
}

fn wants(definition: &Definition, event_type: Option<&str>) -> bool {
    match (&definition.trigger.event_type, event_type) {
        (None, _) => true,
        (Some(wanted), Some(found)) => wanted == found,
        (Some(_), None) => false,
    }
}

/// A structured event whose type cannot be told because it is not let in has the code of that.
fn no_type(record: &Record, incoming: &Incoming<'_>) -> Poison {
    if let Some(poison) = incoming.unreadable_type() {
        return poison.clone();
    }
    if let Some(poison) = incoming.broken().filter(|poison| poison.code != PoisonCode::NotJson) {
        return poison.clone();
    }
    let why = incoming.broken().map(|poison| format!("; {}", poison.message));
    let why = why.or_else(|| looks::untyped(record).map(|what| format!("; {what}"))).unwrap_or_default();
    let message = format!(
        "neither a header ce_type nor a structured CloudEvent, and every trigger of the topic names a type{why}"
    );
    Poison::new(PoisonCode::NoType, message)
}

/// A record whose content is known.
#[derive(Debug)]
struct Decoded {
    trigger: Trigger,
    /// `record` in expressions.
    shown: Value,
    traceparent: Option<String>,
}

fn content(record: &Record, incoming: Incoming<'_>) -> Result<Decoded, Poison> {
    if record.size() > LARGEST_RECORD {
        return Err(Poison::new(PoisonCode::Oversize, format!("{} bytes, at most 1 MiB", record.size())));
    }
    let traceparent = incoming.traceparent().map(str::to_owned);
    let event = incoming.decode()?;
    let trigger = trigger(record, event);
    Ok(Decoded { shown: record_value(&trigger), trigger, traceparent })
}

fn trigger(record: &Record, event: Value) -> Trigger {
    let text = |bytes: &[u8]| payload::text(bytes).map(str::to_owned);
    let headers = record.headers.iter();
    Trigger {
        topic: record.topic.to_string(),
        partition: record.partition,
        offset: record.offset,
        key: record.key.as_deref().and_then(text),
        timestamp: record.timestamp,
        headers: headers.filter_map(|(name, value)| Some((text(name.as_bytes())?, text(value.as_deref()?)?))).collect(),
        event,
    }
}

impl Decoded {
    fn dispose(&self, definition: &Definition) -> Disposition {
        // The evaluator is foreign code that runs what strangers sent: a panic in it is this record's fault, not the engine's.
        let judged = catch_unwind(AssertUnwindSafe(|| self.start(definition)));
        match judged.unwrap_or_else(|_| Err(Poison::new(PoisonCode::Key, "evaluating `when` or `key` panicked"))) {
            Ok(Some(start)) => Disposition::Start(Box::new(start)),
            Ok(None) => Disposition::Unwanted,
            Err(poison) => Disposition::Poison(poison),
        }
    }

    fn start(&self, definition: &Definition) -> Result<Option<Start>, Poison> {
        let scope = Scope { event: Some(&self.trigger.event), record: Some(&self.shown), ..Scope::default() };
        let what = || looks::like(&self.trigger.event).map(|what| format!("; the event is {what}"));
        let poison =
            |code| move |error: EvaluateError| Poison::new(code, format!("{error}{}", what().unwrap_or_default()));
        let wanted = definition.trigger.when.as_ref().map_or(Ok(true), |when| when.evaluate_bool(&scope));
        if wanted == Ok(false) {
            return Ok(None);
        }
        // What the schema says of the event is nearer to the producer than what an expression made of it.
        if let Some(schema) = &definition.trigger.schema {
            schema.check(&self.trigger.event).map_err(|violations| Poison::new(PoisonCode::Schema, violations))?;
        }
        wanted.map_err(poison(PoisonCode::When))?;
        let text = |template: &Template, name: &str| {
            let value = template.render(&scope).map_err(no_key).map_err(poison(PoisonCode::Key))?;
            key_text(value, name)
        };
        let key = match &definition.trigger.key {
            BusinessKey::One(value) => text(value, "`key`")?,
            BusinessKey::Parts(parts) => {
                let texts = parts.iter().enumerate().map(|(at, part)| text(part, &format!("`key[{at}]`")));
                joined(texts.collect::<Result<Vec<_>, _>>()?.iter().map(String::as_str))
            }
        };
        let key = of_length(key)?;
        Ok(Some(Start { key, trigger: self.kept(definition), traceparent: self.traceparent.clone() }))
    }

    /// What the saga keeps of the record: of its headers what is read, and what tells where it belongs.
    fn kept(&self, definition: &Definition) -> Trigger {
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
fn key_text(value: Value, name: &str) -> Result<String, Poison> {
    let wrong =
        |found: &str| Poison::new(PoisonCode::Key, format!("{name} is {found}, expected a string, integer or boolean"));
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
        return Err(Poison::new(PoisonCode::Key, format!("{name} has 0 bytes, expected 1 to {LONGEST_KEY}")));
    }
    Ok(text)
}

fn of_length(key: String) -> Result<String, Poison> {
    match key.len() {
        1..=LONGEST_KEY => Ok(key),
        length => Err(Poison::new(PoisonCode::Key, format!("`key` has {length} bytes, expected 1 to {LONGEST_KEY}"))),
    }
}

#[cfg(test)]
mod tests;
