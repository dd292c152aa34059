//! The feed of a real store, read event by event.

use super::{EventCursor, EventFilter, FeedReader, FeedStart, check_event_type};
use crate::seeding::fixture::SeededStore;
use saga_core::time::Timestamp;
use saga_event_store::FeedError;
use std::sync::Arc;

/// More than the store loads at once.
const SAGAS: u32 = 700;
const NOW: Timestamp = Timestamp(1_800_000_000_000);

async fn seeded() -> (FeedReader, SeededStore) {
    let seeded = SeededStore::with(SAGAS).await;
    (FeedReader::new(Arc::clone(&seeded.store)), seeded)
}

/// The names of all events that pass, read in pages of `limit`; each cursor is read from its text.
async fn followed(reader: &FeedReader, limit: u32, filter: &EventFilter) -> Vec<String> {
    let mut at = reader.begin(FeedStart::Oldest).await.expect("a start");
    let mut all = Vec::new();
    loop {
        let page = reader.page(at, limit, filter, NOW).await.expect("a page");
        assert!(page.events.len() <= limit as usize);
        all.extend(page.events.iter().map(|event| format!("{}:{}.{}", event.id, event.version, event.index)));
        at = page.next.to_string().parse().expect("a cursor");
        if !page.more {
            return all;
        }
    }
}

#[tokio::test]
async fn pages_of_any_size_have_every_event_once() {
    let (reader, seeded) = seeded().await;
    let store = &seeded.store;
    let all = followed(&reader, 1_000, &EventFilter::default()).await;
    let distinct: std::collections::HashSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    let rows = store.feed(saga_event_store::FeedPosition::START, 10_000, u64::MAX).await.expect("rows").rows;
    assert!(all.len() > rows.len() && rows.len() > SAGAS as usize, "rows have several events");
    for limit in [7, 333] {
        assert_eq!(followed(&reader, limit, &EventFilter::default()).await, all, "pages of {limit}");
    }
}

#[tokio::test]
async fn a_reader_goes_on_within_a_row() {
    let (reader, _seeded) = seeded().await;
    let start = reader.begin(FeedStart::Oldest).await.expect("a start");
    let first = reader.page(start, 1, &EventFilter::default(), NOW).await.expect("a page");
    let (event, cursor) = (&first.events[0], first.next.to_string());
    assert_eq!((event.kind.as_str(), event.saga.as_deref(), event.index), ("sagaStarted", Some("order"), 0));
    assert!(cursor.split('.').count() == 5, "{cursor} is within a row");
    let second = reader.page(first.next, 1, &EventFilter::default(), NOW).await.expect("a page");
    let event = &second.events[0];
    assert_eq!((event.index, event.kind.as_str(), event.step.as_deref()), (1, "waitStarted", Some("rest")));
    let other =
        format!("{}.1", cursor.rsplit_once('.').expect("parts").0.replace(|it: char| it.is_ascii_hexdigit(), "1"));
    let refused = reader.page(other.parse().expect("a cursor"), 1, &EventFilter::default(), NOW).await;
    assert!(matches!(refused, Err(FeedError::Unknown { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_filter_lets_events_of_a_type_pass_and_the_cursor_goes_on_behind_the_others() {
    let (reader, _seeded) = seeded().await;
    let started = EventFilter { kind: Some("sagaStarted".into()), saga: Some("order".into()) };
    assert_eq!(followed(&reader, 100, &started).await.len(), SAGAS as usize);
    let nothing = EventFilter { saga: Some("refund".into()), kind: None };
    assert!(followed(&reader, 100, &nothing).await.is_empty());
    let newest = reader.begin(FeedStart::Newest).await.expect("a start");
    let page = reader.page(newest, 100, &nothing, NOW).await.expect("a page");
    assert!(page.events.is_empty() && !page.more && page.next == newest && page.behind_ms == 0);
}

#[test]
fn a_type_that_no_event_has_is_refused_with_the_types_that_there_are() {
    for word in ["sagaStarted", "stepSucceeded", "sagaEnded", "sagaOverdue", "gone", "unreadable"] {
        assert_eq!(check_event_type(word), Ok(()), "{word}");
    }
    let said = check_event_type("stepDone").expect_err("no such type").to_string();
    assert!(said.contains("`stepDone`") && said.contains("`stepSucceeded`"), "{said}");
}

#[test]
fn a_cursor_is_read_as_it_was_written() {
    for text in ["1.48213.2.9c0d1e2f", "1.48213.2.9c0d1e2f.3"] {
        assert_eq!(text.parse::<EventCursor>().map(|it| it.to_string()), Ok(text.to_owned()));
    }
    for text in
        ["", "x", "1.48213.2.9c0d1e2f.0", "1.48213.2.9c0d1e2f.03", "1.48213.2.9c0d1e2f.3.1", "1.48213.2.9c0d1e2f."]
    {
        let said = text.parse::<EventCursor>().expect_err("no cursor").to_string();
        assert!(said.contains(text) && said.contains("use the `cursor` of an event"), "{said}");
    }
}
