//! Notes: logs of small texts that several write and everybody follows by number.

use crate::{
    place::{Place, Store},
    streams::STARTED_MS,
};
use anyhow::{Result, ensure};
use saga_event_store::{MAX_NOTE_BYTES, MAX_TOPIC_BYTES, NewNote, NoteNumber, StoreError, StoredNote};
use std::sync::Arc;
use uuid::Uuid;

/// The topic of notes of which nothing else is said.
const TOPIC: &str = "guards";

fn note(body: &str) -> NewNote {
    NewNote { id: Uuid::new_v4(), topic: TOPIC.into(), body: body.into(), at_ms: STARTED_MS }
}

async fn all(store: &Store) -> Result<Vec<StoredNote>> {
    Ok(store.notes(TOPIC, NoteNumber::START, 1_000).await?)
}

fn bodies(notes: &[StoredNote]) -> Vec<&str> {
    notes.iter().map(|note| note.body.as_str()).collect()
}

pub(crate) async fn notes_are_read_in_the_order_they_were_added(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    assert_eq!(all(&store).await?, []);
    let (first, second) = (note("open payments"), NewNote { at_ms: 1, ..note("schließe \"payments\"") });
    assert_eq!(store.add_note(&first).await?, NoteNumber(1));
    assert_eq!(store.add_note(&second).await?, NoteNumber(2));
    // Every topic has an order of its own.
    assert_eq!(store.add_note(&NewNote { topic: "other".into(), ..note("x") }).await?, NoteNumber(1));
    drop(store);
    let store = place.engine().await?;
    assert_eq!(store.add_note(&note("reset payments")).await?, NoteNumber(3));
    let read = all(&store).await?;
    assert_eq!(bodies(&read), ["open payments", "schließe \"payments\"", "reset payments"]);
    assert_eq!(read[1], StoredNote { number: NoteNumber(2), id: second.id, at_ms: 1, body: second.body });
    Ok(())
}

/// Whoever does not know whether a note was added adds it again.
pub(crate) async fn a_note_is_added_once(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let (first, second) = (note("open payments"), note("close payments"));
    store.add_note(&first).await?;
    store.add_note(&second).await?;
    let again = NewNote { body: "what was said stays".into(), ..first.clone() };
    assert_eq!(store.add_note(&again).await?, NoteNumber(1));
    let (one, other) = tokio::try_join!(store.add_note(&second), store.add_note(&second))?;
    assert_eq!((one, other), (NoteNumber(2), NoteNumber(2)));
    assert_eq!(bodies(&all(&store).await?), ["open payments", "close payments"]);
    // An id is one of its topic.
    assert_eq!(store.add_note(&NewNote { topic: "other".into(), ..first }).await?, NoteNumber(1));
    Ok(())
}

pub(crate) async fn notes_have_pages(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    for number in 1..=25 {
        store.add_note(&note(&number.to_string())).await?;
    }
    let mut pages = Vec::new();
    let mut after = NoteNumber::START;
    loop {
        let page = store.notes(TOPIC, after, 10).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        pages.push(page.len());
    }
    assert_eq!((pages, after), (vec![10, 10, 5], NoteNumber(25)));
    assert_eq!(store.notes(TOPIC, NoteNumber(25), 10).await?, []);
    assert_eq!(store.notes(TOPIC, NoteNumber::START, 0).await?, []);
    assert_eq!(store.notes(TOPIC, NoteNumber::START, u32::MAX).await?.len(), 25);
    assert_eq!(store.notes("no\0topic", NoteNumber::START, 10).await?, []);
    Ok(())
}

pub(crate) async fn a_note_has_limits(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let bad = [
        ("no topic", NewNote { topic: String::new(), ..note("x") }),
        ("a long topic", NewNote { topic: "t".repeat(MAX_TOPIC_BYTES + 1), ..note("x") }),
        ("a topic with NUL", NewNote { topic: "\0".into(), ..note("x") }),
        ("a long body", note(&"b".repeat(MAX_NOTE_BYTES + 1))),
        ("a body with NUL", note("\0")),
    ];
    for (what, bad) in bad {
        let answer = store.add_note(&bad).await;
        ensure!(matches!(answer, Err(StoreError::Limit(_))), "{what} is refused, not {answer:?}");
    }
    assert_eq!(place.rows("notes").await?, 0);
    let long = NewNote { topic: "t".repeat(MAX_TOPIC_BYTES), ..note(&"ä".repeat(MAX_NOTE_BYTES / 2)) };
    assert_eq!(store.add_note(&long).await?, NoteNumber(1));
    assert_eq!(store.notes(&long.topic, NoteNumber::START, 1).await?[0].body, long.body);
    Ok(())
}

pub(crate) async fn a_reader_reads_notes_and_adds_none(place: &dyn Place) -> Result<()> {
    let engine = place.engine().await?;
    engine.add_note(&note("open payments")).await?;
    let reader = place.reader().await?;
    assert_eq!(bodies(&all(&reader).await?), ["open payments"]);
    let refused = reader.add_note(&note("close payments")).await;
    ensure!(matches!(&refused, Err(StoreError::Refused(text)) if text.contains("opened to read")), "{refused:?}");
    assert_eq!(place.rows("notes").await?, 1);
    Ok(())
}

/// A number that is given before its note can be seen would let a reader pass by it.
pub(crate) async fn whoever_reads_on_by_number_misses_no_note(place: &dyn Place) -> Result<()> {
    const WRITERS: usize = 4;
    const EACH: usize = 40;
    let store = place.engine().await?;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for _ in 0..EACH {
                store.add_note(&note("x")).await?;
            }
            anyhow::Ok(())
        });
    }
    let mut seen = Vec::new();
    while seen.len() < WRITERS * EACH {
        let after = seen.last().copied().unwrap_or(NoteNumber::START);
        seen.extend(store.notes(TOPIC, after, 7).await?.iter().map(|note| note.number));
        let without_gaps = seen.iter().zip(1..).all(|(number, expected)| *number == NoteNumber(expected));
        ensure!(without_gaps, "a note was missed: {seen:?}");
        tokio::task::yield_now().await;
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok(())
}
