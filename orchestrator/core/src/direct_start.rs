//! Starts that come in no record of a topic: somebody asks the engine itself for a saga.

use crate::event::TriggerRecord;
use serde::Serialize;
use std::collections::BTreeMap;

/// The partition of what stands in place of a record. No topic has it, so no record of a topic looks like a start.
pub const NO_PARTITION: i32 = -1;

/// How the names of headers begin that only the engine writes.
pub const OWN_HEADERS: &str = "saga_";

/// These are kept with the saga, whatever its definition reads.
pub(crate) const START_HEADERS: &str = "saga_start_";
const ID: &str = "saga_start_id";
const WHO: &str = "saga_start_who";
const REASON: &str = "saga_start_reason";

/// Who started a saga without a record, as it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectStart {
    /// Identity of the request: a repeat has the same.
    pub id: String,
    /// Who asked for the saga.
    pub who: String,
    /// Why.
    pub reason: String,
}

impl DirectStart {
    /// The headers that keep it in place of those of a record.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, &str); 3] {
        [(ID, &self.id), (WHO, &self.who), (REASON, &self.reason)]
    }

    /// `None`: a record of a topic started the saga. What an erasure or an outline leaves out is `?`.
    #[must_use]
    pub fn of(trigger: &TriggerRecord) -> Option<DirectStart> {
        let text = |headers: &BTreeMap<String, String>, name| headers.get(name).map_or("?", String::as_str).to_owned();
        (trigger.partition == NO_PARTITION).then(|| DirectStart {
            id: text(&trigger.headers, ID),
            who: text(&trigger.headers, WHO),
            reason: text(&trigger.headers, REASON),
        })
    }
}

/// Where the trigger came from: `shop.orders/0/17`, or who asked for the saga.
#[must_use]
pub fn origin(trigger: &TriggerRecord) -> String {
    match DirectStart::of(trigger) {
        Some(start) => format!("{} over the API", start.who),
        None => format!("{}/{}/{}", trigger.topic, trigger.partition, trigger.offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use serde_json::json;

    fn trigger(partition: i32, headers: &[(&str, &str)]) -> TriggerRecord {
        TriggerRecord {
            topic: "shop.orders".into(),
            partition,
            offset: 17,
            key: None,
            timestamp: Timestamp(0),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            event: json!({}),
        }
    }

    #[test]
    fn who_started_a_saga_is_read_as_it_was_kept() {
        let start = DirectStart { id: "7".into(), who: "ada".into(), reason: "by hand".into() };
        let kept = trigger(NO_PARTITION, &start.headers());
        assert_eq!(DirectStart::of(&kept), Some(start));
        assert_eq!(origin(&kept), "ada over the API");
        assert_eq!(origin(&trigger(NO_PARTITION, &[])), "? over the API");
    }

    #[test]
    fn a_record_of_a_topic_is_no_direct_start_whatever_its_headers_say() {
        let forged = trigger(0, &[(WHO, "ada"), (ID, "7")]);
        assert_eq!(DirectStart::of(&forged), None);
        assert_eq!(origin(&forged), "shop.orders/0/17");
    }
}
