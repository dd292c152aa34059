//! What becomes of rows when the store fails under them.

use super::{Committer, NotCommitted, Replies, StoreHealth, Way, Writer, commit};
use async_trait::async_trait;
use saga_event_store::{
    Activity, Append, Appended, Attendance, Attended, Dimension, Epoch, Error, EventStore, Filter, Flagged, Identity,
    Mark, Marked, NewNote, Note, NoteNumber, Portion, Row, Sessions, Standing, StreamSummary, Sweep, Swept, Tally,
    WaitsOn,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::sync::oneshot;
use uuid::Uuid;

#[tokio::test]
async fn a_row_outlives_whatever_somebody_has_to_mend() {
    let store = Fake::that([Try::Fails(away), Try::Fails(wrong_password), Try::Fails(wrong_schema)]);
    let (committer, task) = Committer::start(store.clone(), Arc::default(), 0);
    let row = row("order-1");
    assert_eq!(committer.append(row.clone()).await.expect("it is committed"), Appended::Committed);
    assert_eq!(store.payloads(), [row.payload]);
    drop(committer);
    task.await.expect("the committer ends in peace");
}

#[tokio::test]
async fn a_row_at_fault_fails_alone() {
    let store = Fake::that([]);
    let answers = committed_together(&store, [row("order-1"), row(FAULTY), row("order-3")]).await;
    let [Ok(Appended::Committed), Err(NotCommitted::Impossible(reason)), Ok(Appended::Committed)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(reason.contains("out of range"), "{reason}");
    assert_eq!(store.payloads(), [b"order-1", b"order-3"]);
}

#[tokio::test]
async fn a_row_at_fault_fails_alone_when_the_store_was_away_before() {
    let store = Fake::that([Try::Fails(away), Try::Fails(out_of_range), Try::Fails(wrong_password)]);
    let answers = committed_together(&store, [row("order-1"), row(FAULTY), row("order-3")]).await;
    let [Ok(Appended::Committed), Err(NotCommitted::Impossible(_)), Ok(Appended::Committed)] = &answers[..] else {
        panic!("{answers:?}");
    };
}

#[tokio::test]
async fn a_row_that_was_committed_without_an_answer_is_never_given_up() {
    let store = Fake::that([Try::LosesTheAnswer, Try::Fails(out_of_range), Try::Fails(out_of_range)]);
    store.reads_fail.lock().expect(UNPOISONED).extend([away as Fault, wrong_password]);
    let answers = committed_together(&store, [row("order-1"), row("order-2")]).await;
    let [Ok(Appended::Committed), Ok(Appended::Committed)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(store.payloads(), [b"order-1", b"order-2"]);
}

#[tokio::test]
async fn another_writers_row_is_not_taken_for_its_own() {
    let store = Fake::that([]);
    let refused = row(FAULTY);
    store.rows.lock().expect(UNPOISONED).push(Append { append_id: Uuid::from_u128(7), ..refused.clone() });
    let answers = committed_together(&store, [refused]).await;
    let [Err(NotCommitted::Impossible(_))] = &answers[..] else { panic!("{answers:?}") };
}

const UNPOISONED: &str = "no test panics while it holds the lock";
/// A payload that the store takes for faulty.
const FAULTY: &str = "faulty";

type Fault = fn() -> Error;

fn away() -> Error {
    Error::Unavailable("connection reset".into())
}

fn wrong_password() -> Error {
    Error::Unusable("password authentication failed".into())
}

fn wrong_schema() -> Error {
    Error::Schema("somebody altered it".into())
}

fn out_of_range() -> Error {
    Error::Refused("value out of range".into())
}

fn row(payload: &str) -> Append {
    Append {
        append_id: Uuid::new_v4(),
        shard: 0,
        epoch: Epoch(1),
        stream: Uuid::new_v4(),
        version: 1,
        recorded_at_ms: 0,
        payload: payload.into(),
        outline: None,
        category: "order-fulfillment".into(),
        key: payload.into(),
        new_key: None,
        summary: None,
    }
}

/// What is answered to rows that come in one batch.
async fn committed_together(
    store: &Arc<Fake>,
    rows: impl IntoIterator<Item = Append>,
) -> Vec<Result<Appended, NotCommitted>> {
    let (mut appends, mut replies, mut waiting): (_, Replies, _) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let (reply, answer) = oneshot::channel();
        appends.push(row);
        replies.push(reply);
        waiting.push(answer);
    }
    let health = Arc::<StoreHealth>::default();
    let way = Way { store: store.clone(), health, writer: Writer::Committer(0) };
    commit(&way, appends, replies).await;
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.expect("every row is answered"));
    }
    answers
}

/// What happens to one call of `append`, instead of what the store would do.
#[derive(Clone, Copy, Debug)]
enum Try {
    /// Nothing is written.
    Fails(Fault),
    /// All is written, and nobody hears of it.
    LosesTheAnswer,
}

/// A store that first fails as it is told, and then keeps its promises.
#[derive(Debug)]
struct Fake {
    tries: Mutex<VecDeque<Try>>,
    reads_fail: Mutex<VecDeque<Fault>>,
    rows: Mutex<Vec<Append>>,
}

impl Fake {
    fn that(tries: impl IntoIterator<Item = Try>) -> Arc<Fake> {
        let tries = Mutex::new(tries.into_iter().collect());
        Arc::new(Fake { tries, reads_fail: Mutex::default(), rows: Mutex::default() })
    }

    fn payloads(&self) -> Vec<Vec<u8>> {
        self.rows.lock().expect(UNPOISONED).iter().map(|row| row.payload.clone()).collect()
    }

    fn write(&self, batch: &[Append]) -> Vec<Appended> {
        let mut rows = self.rows.lock().expect(UNPOISONED);
        for append in batch {
            if rows.iter().all(|row| row.append_id != append.append_id) {
                rows.push(append.clone());
            }
        }
        vec![Appended::Committed; batch.len()]
    }
}

#[async_trait]
impl EventStore for Fake {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>, Error> {
        let next = self.tries.lock().expect(UNPOISONED).pop_front();
        match next {
            Some(Try::Fails(fault)) => Err(fault()),
            Some(Try::LosesTheAnswer) => {
                self.write(batch);
                Err(away())
            }
            None if batch.iter().any(|append| append.payload == FAULTY.as_bytes()) => Err(out_of_range()),
            None => Ok(self.write(batch)),
        }
    }

    async fn read(&self, stream: Uuid) -> Result<Vec<Row>, Error> {
        if let Some(fault) = self.reads_fail.lock().expect(UNPOISONED).pop_front() {
            return Err(fault());
        }
        let rows = self.rows.lock().expect(UNPOISONED);
        let of_stream = rows.iter().filter(|row| row.stream == stream).cloned().map(|row| Row {
            version: row.version,
            recorded_at_ms: row.recorded_at_ms,
            append_id: row.append_id,
            payload: row.payload,
        });
        Ok(of_stream.collect())
    }

    fn identity(&self) -> Identity {
        Identity { installation: Uuid::nil(), shards: 1 }
    }

    async fn claim(&self, _: u16, _: &str) -> Result<Epoch, Error> {
        Err(unasked())
    }

    async fn attend(&self, _: &[Attended]) -> Result<(), Error> {
        Err(unasked())
    }

    async fn attendance(&self, _: u16) -> Result<Attendance, Error> {
        Err(unasked())
    }

    async fn clock_ms(&self) -> Result<i64, Error> {
        Err(unasked())
    }

    async fn mark(&self, _: &Mark) -> Result<Marked, Error> {
        Err(unasked())
    }

    async fn read_many(&self, _: &[Uuid]) -> Result<Vec<(Uuid, Row)>, Error> {
        Err(unasked())
    }

    async fn read_within(&self, _: &[Uuid], _: u64) -> Result<Portion, Error> {
        Err(unasked())
    }

    async fn outlines_within(&self, _: &[Uuid], _: u64) -> Result<Portion, Error> {
        Err(unasked())
    }

    async fn open_streams(&self, _: u16, _: Option<Uuid>, _: u32) -> Result<Vec<Uuid>, Error> {
        Err(unasked())
    }

    async fn last_version(&self, _: Uuid) -> Result<Option<u32>, Error> {
        Err(unasked())
    }

    async fn summary(&self, _: Uuid) -> Result<Option<StreamSummary>, Error> {
        Err(unasked())
    }

    async fn list(&self, _: &Filter) -> Result<Vec<StreamSummary>, Error> {
        Err(unasked())
    }

    async fn tally(&self, _: &Filter, _: &[Dimension]) -> Result<Vec<Tally>, Error> {
        Err(unasked())
    }

    async fn counts(&self) -> Result<Vec<(String, String, i64)>, Error> {
        Err(unasked())
    }

    async fn standing(&self) -> Result<Vec<Standing>, Error> {
        Err(unasked())
    }

    async fn flagged(&self) -> Result<Vec<Flagged>, Error> {
        Err(unasked())
    }

    fn sessions(&self) -> Sessions {
        Sessions::default()
    }

    async fn waiting_counts(&self) -> Result<Vec<(WaitsOn, i64)>, Error> {
        Err(unasked())
    }

    async fn forget_keys(&self, _: &Sweep) -> Result<Swept, Error> {
        Err(unasked())
    }

    async fn put_document(&self, _: &str, _: &str, _: &str) -> Result<(), Error> {
        Err(unasked())
    }

    async fn get_document(&self, _: &str, _: &str) -> Result<Option<String>, Error> {
        Err(unasked())
    }

    async fn add_note(&self, _: &NewNote) -> Result<NoteNumber, Error> {
        Err(unasked())
    }

    async fn notes(&self, _: &str, _: NoteNumber, _: u32) -> Result<Vec<Note>, Error> {
        Err(unasked())
    }

    async fn heartbeat(&self, _: &str, _: i64) -> Result<(), Error> {
        Err(unasked())
    }

    fn steps_back(&self) -> tokio::sync::watch::Receiver<Option<Arc<saga_event_store::StepBack>>> {
        tokio::sync::watch::Sender::new(None).subscribe()
    }

    fn confirmed(&self) -> Option<saga_event_store::Confirmed> {
        None
    }

    async fn compare(&self, _: &[saga_event_store::Confirmed]) -> Result<Vec<usize>, Error> {
        Ok(Vec::new())
    }

    async fn activity(&self) -> Result<Activity, Error> {
        Err(unasked())
    }
}

/// A committer appends and reads, and nothing else.
fn unasked() -> Error {
    Error::Limit("a committer does not ask for this".into())
}
