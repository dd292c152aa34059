//! What stands in place of a trigger's record when somebody asks the engine itself for a saga. It is judged, forwarded
//! and dead-lettered like a record of the definition's topic.

use super::record::{KafkaRecord, RecordHeader, text_header};
use bytes::Bytes;
use saga_contract::headers;
use saga_core::{
    definition::TriggerDefinition,
    direct_start::{DirectStart, NO_PARTITION, OWN_HEADERS},
    time::Timestamp,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// A structured CloudEvent has its type in its value.
const STRUCTURED: &str = "application/cloudevents";
const CONTENT_TYPE: &str = "content-type";

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectTrigger {
    /// The record's key.
    pub key: Option<String>,
    /// The payload.
    pub event: Value,
    /// Headers of the record.
    pub headers: BTreeMap<String, String>,
    /// Who asks, and why.
    pub start: DirectStart,
}

impl DirectTrigger {
    /// The name of a header that only the engine writes; `None`: there is none.
    #[must_use]
    pub fn own_header(&self) -> Option<&str> {
        self.headers.keys().map(String::as_str).find(|name| name.to_ascii_lowercase().starts_with(OWN_HEADERS))
    }

    /// The record, as if a producer had written it to the topic of `trigger`: in JSON, of the type that the trigger
    /// wants, unless the headers say otherwise. `offset` is what it is told from others by.
    #[must_use]
    pub fn record(&self, trigger: &TriggerDefinition, offset: i64, now: Timestamp) -> KafkaRecord {
        let given = |name: &str| self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        let is_structured = given(CONTENT_TYPE).is_some_and(|(_, kind)| kind.starts_with(STRUCTURED));
        let content = given(CONTENT_TYPE).is_none().then(|| text_header(CONTENT_TYPE, "application/json"));
        let kind = trigger.event_type.as_deref().filter(|_| !is_structured && given(headers::CE_TYPE).is_none());
        // Records have it in small letters; callers of an API are used to others.
        let name = |name: &str| {
            if name.eq_ignore_ascii_case(CONTENT_TYPE) { CONTENT_TYPE.to_owned() } else { name.to_owned() }
        };
        let others = self.headers.iter().map(|(own, value)| text_header(&name(own), value.as_str()));
        let headers: Vec<RecordHeader> = others
            .chain(content)
            .chain(kind.map(|kind| text_header(headers::CE_TYPE, kind)))
            .chain(self.start.headers().map(|(name, value)| text_header(name, value)))
            .collect();
        KafkaRecord {
            topic: trigger.topic.as_str().into(),
            partition: NO_PARTITION,
            offset,
            timestamp: now,
            key: self.key.clone().map(Bytes::from),
            value: Some(Bytes::from(self.event.to_string())),
            headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payload_schema::PayloadSchema,
        poison::PoisonCode,
        trigger::{TriggerOutcome, evaluate},
    };
    use saga_core::definition::{SagaDefinition, parse};
    use serde_json::json;
    use std::sync::Arc;

    fn definition() -> Arc<SagaDefinition> {
        let text = "saga: order\ntrigger: {topic: shop.orders, type: OrderPlaced, when: event.cents > 0, key: \"${ event.id }\"}\n\
                    steps:\n  - step: tell\n    do: p.Tell\n    readOnly: true\n";
        Arc::new(parse("order.saga.yaml", text, None, None).expect("a definition").definition)
    }

    fn asked(event: Value, headers: &[(&str, &str)]) -> DirectTrigger {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let start = DirectStart { id: "7".into(), who: "ada".into(), reason: "by hand".into() };
        DirectTrigger { key: Some("k".into()), event, headers: headers.collect(), start }
    }

    fn judged(trigger: &DirectTrigger) -> TriggerOutcome {
        let definition = definition();
        let record = trigger.record(&definition.trigger, 4, Timestamp(9));
        let mut judged = evaluate(&record, &PayloadSchema::Unneeded, std::slice::from_ref(&definition));
        assert_eq!(judged.len(), 1);
        judged.remove(0).disposition
    }

    #[test]
    fn the_rules_are_those_of_a_record() {
        let TriggerOutcome::Start(start) = judged(&asked(json!({"id": "o-1", "cents": 5}), &[])) else {
            panic!("it starts")
        };
        assert_eq!((start.key.as_str(), start.trigger.key.as_deref()), ("o-1", Some("k")));
        let by = DirectStart::of(&start.trigger).expect("a direct start");
        assert_eq!((by.who.as_str(), by.id.as_str(), by.reason.as_str()), ("ada", "7", "by hand"));
        assert_eq!(judged(&asked(json!({"id": "o-1", "cents": 0}), &[])), TriggerOutcome::Unwanted);
        let other = asked(json!({"id": "o-1", "cents": 5}), &[("ce_type", "OrderPaid")]);
        assert_eq!(judged(&other), TriggerOutcome::Unwanted);
        let TriggerOutcome::Poison(poison) = judged(&asked(json!({"cents": 5}), &[])) else { panic!("it has no key") };
        assert_eq!(poison.code, PoisonCode::Key);
    }

    #[test]
    fn a_structured_event_says_its_type_itself() {
        let content = [("Content-Type", "application/cloudevents+json")];
        let event = |kind: &str| json!({"specversion": "1.0", "id": "1", "source": "/s", "type": kind, "data": {"id": "o-1", "cents": 5}});
        assert!(matches!(judged(&asked(event("OrderPlaced"), &content)), TriggerOutcome::Start(_)));
        assert_eq!(judged(&asked(event("OrderPaid"), &content)), TriggerOutcome::Unwanted);
    }

    #[test]
    fn headers_of_the_engine_are_told() {
        assert_eq!(asked(json!({}), &[("Saga_start_who", "eve")]).own_header(), Some("Saga_start_who"));
        assert_eq!(asked(json!({}), &[("tenant", "a")]).own_header(), None);
    }
}
