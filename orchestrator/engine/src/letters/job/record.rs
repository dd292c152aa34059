//! Jobs on dead letters on record in the event store: their orders, so that any engine can go on with one, and how they
//! ended.

use super::{LetterJobError, LetterJobOrder, LetterJobStatus, LetterJobView};
use crate::{letters::bringing::LetterCourier, notes::whole_log};
use saga_core::time::{Timestamp, rfc3339};
use saga_event_store::{LetterStatus, NewNote, StoreError, StoredLetterFilter, StoredNote};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

/// The log of orders. An order has the id of its job.
const ORDERS: &str = "letter-jobs";
/// The log of ends.
const ENDS: &str = "letter-job-ends";
/// Jobs that a list has, the latest ones.
const LISTED: usize = 200;

/// Keeps the order before its first letter; the same order again changes nothing.
pub(super) async fn keep(courier: &LetterCourier, order: &LetterJobOrder) -> Result<(), StoreError> {
    let body = serde_json::to_string(order).map_err(|error| StoreError::Unusable(error.to_string()))?;
    add(courier, ORDERS, order.bring.id, body).await
}

pub(super) async fn keep_end(courier: &LetterCourier, job: &LetterJobView) -> Result<(), StoreError> {
    let body = serde_json::to_string(job).map_err(|error| StoreError::Unusable(error.to_string()))?;
    add(courier, ENDS, Uuid::new_v4(), body).await
}

async fn add(courier: &LetterCourier, topic: &str, id: Uuid, body: String) -> Result<(), StoreError> {
    let note = NewNote { id, topic: topic.to_owned(), body, at_ms: courier.clock.now().0 };
    courier.store.add_note(&note).await.map(drop)
}

/// The order of a job and when it was given, if it is on record.
pub(super) async fn find(
    courier: &LetterCourier,
    id: Uuid,
) -> Result<Option<(LetterJobOrder, Timestamp)>, LetterJobError> {
    let note = whole_log::first(courier.store.as_ref(), ORDERS, |note| (note.id == id).then_some(note)).await?;
    let read = |note: StoredNote| Ok((serde_json::from_str(&note.body)?, Timestamp(note.at_ms)));
    let order: Result<_, serde_json::Error> = note.map(read).transpose();
    order.map_err(|error| LetterJobError::Unreadable(error.to_string()))
}

/// The latest jobs on record, in the order in which they were ordered, each with its last end.
pub(super) async fn latest(courier: &LetterCourier) -> Result<Vec<LetterJobView>, StoreError> {
    let mut jobs = VecDeque::new();
    whole_log::each(courier.store.as_ref(), ORDERS, |note| {
        if jobs.len() == LISTED {
            jobs.pop_front();
        }
        jobs.push_back(ordered(&note));
    })
    .await?;
    whole_log::each(courier.store.as_ref(), ENDS, |note| {
        let Ok(end) = serde_json::from_str::<LetterJobView>(&note.body) else { return };
        if let Some(job) = jobs.iter_mut().find(|job| job.id == end.id) {
            *job = end;
        }
    })
    .await?;
    Ok(jobs.into())
}

/// A job of which no end is known.
fn ordered(note: &StoredNote) -> LetterJobView {
    let order = serde_json::from_str::<LetterJobOrder>(&note.body);
    let failure = order.as_ref().err().map(|error| format!("its record cannot be read: {error}"));
    let (who, reason, targets) = order.map(|it| (it.bring.who, it.bring.reason, it.told)).unwrap_or_default();
    LetterJobView {
        id: note.id,
        who,
        reason,
        targets,
        dry_run: false,
        started_at: rfc3339(Timestamp(note.at_ms)),
        ended_at: None,
        status: LetterJobStatus::NoEnd,
        failure,
        looked_at: 0,
        counts: BTreeMap::new(),
    }
}

/// A filter as it is on record.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FilterText {
    topic: Option<String>,
    statuses: Vec<String>,
    codes: Vec<String>,
    origin_topic: Option<String>,
    definition: Option<String>,
    key: Option<String>,
    id: Option<String>,
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Uuid>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
    text: Option<String>,
}

impl FilterText {
    pub(super) fn serialize<S: Serializer>(filter: &StoredLetterFilter, serializer: S) -> Result<S::Ok, S::Error> {
        let filter = filter.clone();
        let text = FilterText {
            topic: filter.topic,
            statuses: filter.statuses.iter().map(|status| status.as_str().to_owned()).collect(),
            codes: filter.codes,
            origin_topic: filter.origin_topic,
            definition: filter.definition,
            key: filter.key,
            id: filter.id,
            fingerprint: filter.fingerprint,
            stream: filter.stream,
            since_ms: filter.since_ms,
            until_ms: filter.until_ms,
            text: filter.text,
        };
        Serialize::serialize(&text, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<StoredLetterFilter>, D::Error> {
        let text = <FilterText as Deserialize>::deserialize(deserializer)?;
        Ok(Box::new(StoredLetterFilter {
            topic: text.topic,
            statuses: text.statuses.iter().filter_map(|word| LetterStatus::parse(word)).collect(),
            codes: text.codes,
            origin_topic: text.origin_topic,
            definition: text.definition,
            key: text.key,
            id: text.id,
            fingerprint: text.fingerprint,
            stream: text.stream,
            since_ms: text.since_ms,
            until_ms: text.until_ms,
            text: text.text,
            ..StoredLetterFilter::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::{BringAim, BringOrder, LetterSelection, NamedPlace, USUAL_LETTER_PACE};
    use saga_core::act_author::ActOrigin;
    use saga_event_store::NoteNumber;

    /// The record of an end is read by engines of later builds.
    #[test]
    fn an_end_reads_back_as_it_was() {
        let end = LetterJobView {
            status: LetterJobStatus::StoppedAtFailure,
            ended_at: Some("2026-12-01T00:00:00.000Z".to_owned()),
            counts: [("poison again".into(), 2)].into(),
            ..ordered(&StoredNote { number: NoteNumber::START, id: Uuid::nil(), body: "{".to_owned(), at_ms: 1 })
        };
        assert!(end.failure.as_ref().is_some_and(|said| said.contains("cannot be read")));
        let body = serde_json::to_string(&end).expect("JSON");
        assert_eq!(serde_json::from_str::<LetterJobView>(&body).expect("an end"), end, "{body}");
    }

    /// Another engine goes on with a job by what is on record.
    #[test]
    fn an_order_reads_back_as_it_was_given() {
        let filter = StoredLetterFilter {
            topic: Some("shop.dlq".into()),
            statuses: vec![LetterStatus::New],
            codes: vec!["key".into(), "when".into()],
            definition: Some("order".into()),
            since_ms: Some(7),
            ..StoredLetterFilter::default()
        };
        let bring = BringOrder {
            id: Uuid::nil(),
            who: "ada".into(),
            reason: "mended".into(),
            aim: BringAim::Text("53ac".into()),
            again: true,
            dry_run: false,
            origin: ActOrigin::default(),
        };
        let named = LetterJobOrder {
            bring,
            selection: LetterSelection::Named(vec![NamedPlace::Usual(0, 17), NamedPlace::Of("shop.dlq".into(), 3, 4)]),
            told: "0/17 3/4".into(),
            pace: USUAL_LETTER_PACE,
            canary: None,
            keep_going: true,
            limit: None,
        };
        let chosen = LetterJobOrder {
            selection: LetterSelection::Matching { filter: Box::new(filter), up_to: 9 },
            ..named.clone()
        };
        for order in [named, chosen] {
            let body = serde_json::to_string(&order).expect("JSON");
            assert_eq!(serde_json::from_str::<LetterJobOrder>(&body).expect("an order"), order, "{body}");
        }
        let former = serde_json::from_str::<LetterSelection>(r#"{"named": [[0, 17]]}"#).expect("as it was on record");
        assert_eq!(former, LetterSelection::Named(vec![NamedPlace::Usual(0, 17)]));
    }
}
