//! What becomes of rows when the store fails under them.

mod letters;

use super::{AppendReplies, CommitError, CommitTarget, GroupCommitter, StoreHealth, StoreWriter, commit};
use async_trait::async_trait;
use saga_base::operations::OperationMeter;
use saga_event_store::{
    ActQuery, AppendOutcome, ArchiveContent, ArchiveRecord, ArchiveReplacement, ArchivedErasure, AttendanceRecord,
    ChangeOutcome, DatabaseActivity, DetachOutcome, EventStore, FeedError, FeedExtent, FeedPage, FeedPosition,
    JournalReader, KeySweep, KeySweepOutcome, LeavingRule, MarkOutcome, NewNote, NoteNumber, PendingErasure,
    ProjectedRow, ProjectionChange, ProjectionGeneration, ProjectionStart, RemovedPortion, RepairOutcome, RowPosition,
    SessionUsage, ShardAttendance, ShardEpoch, StartPeriod, StoreArchives, StoreError, StoreIdentity, StoreProjections,
    StoredAct, StoredNote, StreamAppend, StreamBatch, StreamDimension, StreamFilter, StreamFlagCount, StreamGroup,
    StreamKeyHolder, StreamMark, StreamRepair, StreamRow, StreamSnapshot, StreamStanding, StreamStatusCount,
    StreamSummary, WaitTarget,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::sync::oneshot;
use uuid::Uuid;

#[tokio::test]
async fn a_row_outlives_whatever_somebody_has_to_mend() {
    let store = ScriptedStore::that([
        ScriptedAppend::Fails(away),
        ScriptedAppend::Fails(wrong_password),
        ScriptedAppend::Fails(wrong_schema),
    ]);
    let (committer, task) = GroupCommitter::start(store.clone(), Arc::default(), 0);
    let row = row("order-1");
    assert_eq!(committer.write(row.clone(), None).await.expect("it is committed"), AppendOutcome::Committed);
    assert_eq!(store.payloads(), [row.payload]);
    drop(committer);
    task.await.expect("the committer ends in peace");
}

#[tokio::test]
async fn a_row_at_fault_fails_alone() {
    let store = ScriptedStore::that([]);
    let answers = committed_together(&store, [row("order-1"), row(FAULTY), row("order-3")]).await;
    let [Ok(AppendOutcome::Committed), Err(CommitError::Impossible(reason)), Ok(AppendOutcome::Committed)] =
        &answers[..]
    else {
        panic!("{answers:?}");
    };
    assert!(reason.contains("out of range"), "{reason}");
    assert_eq!(store.payloads(), [b"order-1", b"order-3"]);
}

#[tokio::test]
async fn a_row_at_fault_fails_alone_when_the_store_was_away_before() {
    let store = ScriptedStore::that([
        ScriptedAppend::Fails(away),
        ScriptedAppend::Fails(out_of_range),
        ScriptedAppend::Fails(wrong_password),
    ]);
    let answers = committed_together(&store, [row("order-1"), row(FAULTY), row("order-3")]).await;
    let [Ok(AppendOutcome::Committed), Err(CommitError::Impossible(_)), Ok(AppendOutcome::Committed)] = &answers[..]
    else {
        panic!("{answers:?}");
    };
}

#[tokio::test]
async fn a_row_that_was_committed_without_an_answer_is_never_given_up() {
    let store = ScriptedStore::that([
        ScriptedAppend::LosesTheAnswer,
        ScriptedAppend::Fails(out_of_range),
        ScriptedAppend::Fails(out_of_range),
    ]);
    store.reads_fail.lock().expect(UNPOISONED).extend([away as FaultFn, wrong_password]);
    let answers = committed_together(&store, [row("order-1"), row("order-2")]).await;
    let [Ok(AppendOutcome::Committed), Ok(AppendOutcome::Committed)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(store.payloads(), [b"order-1", b"order-2"]);
}

#[tokio::test]
async fn another_writers_row_is_not_taken_for_its_own() {
    let store = ScriptedStore::that([]);
    let refused = row(FAULTY);
    store.rows.lock().expect(UNPOISONED).push(StreamAppend { append_id: Uuid::from_u128(7), ..refused.clone() });
    let answers = committed_together(&store, [refused]).await;
    let [Err(CommitError::Impossible(_))] = &answers[..] else { panic!("{answers:?}") };
}

const UNPOISONED: &str = "no test panics while it holds the lock";
/// A payload that the store takes for faulty.
const FAULTY: &str = "faulty";

type FaultFn = fn() -> StoreError;

fn away() -> StoreError {
    StoreError::Unavailable("connection reset".into())
}

fn wrong_password() -> StoreError {
    StoreError::Unusable("password authentication failed".into())
}

fn wrong_schema() -> StoreError {
    StoreError::Schema("somebody altered it".into())
}

fn out_of_range() -> StoreError {
    StoreError::Refused("value out of range".into())
}

fn row(payload: &str) -> StreamAppend {
    StreamAppend {
        append_id: Uuid::new_v4(),
        shard: 0,
        epoch: ShardEpoch(1),
        stream: Uuid::new_v4(),
        version: 1,
        recorded_at_ms: 0,
        payload: payload.into(),
        outline: None,
        category: "order-fulfillment".into(),
        key: payload.into(),
        new_key: None,
        summary: None,
        act: None,
    }
}

/// What is answered to rows that come in one batch.
async fn committed_together(
    store: &Arc<ScriptedStore>,
    rows: impl IntoIterator<Item = StreamAppend>,
) -> Vec<Result<AppendOutcome, CommitError>> {
    let (mut appends, mut replies, mut waiting): (_, AppendReplies, _) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let (reply, answer) = oneshot::channel();
        appends.push(row);
        replies.push(reply);
        waiting.push(answer);
    }
    let health = Arc::<StoreHealth>::default();
    let way = CommitTarget {
        store: store.clone(),
        health,
        writer: StoreWriter::Committer(0),
        meter: OperationMeter::nothing(),
    };
    commit(&way, appends, replies).await;
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.expect("every row is answered"));
    }
    answers
}

/// What happens to one call of `append`, instead of what the store would do.
#[derive(Clone, Copy, Debug)]
enum ScriptedAppend {
    /// Nothing is written.
    Fails(FaultFn),
    /// The store writes all rows, and the committer gets no answer.
    LosesTheAnswer,
}

/// A store that first fails according to the script, and then keeps its promises.
#[derive(Debug)]
struct ScriptedStore {
    tries: Mutex<VecDeque<ScriptedAppend>>,
    reads_fail: Mutex<VecDeque<FaultFn>>,
    rows: Mutex<Vec<StreamAppend>>,
}

impl ScriptedStore {
    fn that(tries: impl IntoIterator<Item = ScriptedAppend>) -> Arc<ScriptedStore> {
        let tries = Mutex::new(tries.into_iter().collect());
        Arc::new(ScriptedStore { tries, reads_fail: Mutex::default(), rows: Mutex::default() })
    }

    fn payloads(&self) -> Vec<Vec<u8>> {
        self.rows.lock().expect(UNPOISONED).iter().map(|row| row.payload.clone()).collect()
    }

    fn write(&self, batch: &[StreamAppend]) -> Vec<AppendOutcome> {
        let mut rows = self.rows.lock().expect(UNPOISONED);
        for append in batch {
            if rows.iter().all(|row| row.append_id != append.append_id) {
                rows.push(append.clone());
            }
        }
        vec![AppendOutcome::Committed; batch.len()]
    }
}

#[async_trait]
impl StoreProjections for ScriptedStore {
    async fn projections(&self) -> Result<Vec<ProjectionGeneration>, StoreError> {
        Err(unasked())
    }

    async fn begin_projection(&self, _: &ProjectionStart) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn projected(&self, _: &str, _: i64, _: &[String]) -> Result<Vec<ProjectedRow>, StoreError> {
        Err(unasked())
    }

    async fn projection_page(
        &self,
        _: &str,
        _: i64,
        _: &str,
        _: &str,
        _: u32,
    ) -> Result<Vec<ProjectedRow>, StoreError> {
        Err(unasked())
    }

    async fn apply_projection(&self, _: &ProjectionChange) -> Result<ChangeOutcome, StoreError> {
        Err(unasked())
    }

    async fn switch_projection(&self, _: &str, _: i64) -> Result<bool, StoreError> {
        Err(unasked())
    }

    async fn fail_projection(&self, _: &str, _: i64, _: &str) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn drop_projection(&self, _: &str, _: i64, _: u32) -> Result<u64, StoreError> {
        Err(unasked())
    }
}

#[async_trait]
impl StoreArchives for ScriptedStore {
    async fn add_partitions(&self, _: i64, _: i64) -> Result<u32, StoreError> {
        Err(unasked())
    }

    async fn partitions(&self) -> Result<Vec<StartPeriod>, StoreError> {
        Err(unasked())
    }

    async fn lease_archiving(&self, _: Uuid) -> Result<bool, StoreError> {
        Err(unasked())
    }

    async fn release_archiving(&self, _: Uuid) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn archives(&self) -> Result<Vec<ArchiveRecord>, StoreError> {
        Err(unasked())
    }

    async fn begin_archive(&self, _: StartPeriod, _: i64) -> Result<i64, StoreError> {
        Err(unasked())
    }

    async fn withdraw_archive(&self, _: i64) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn record_archive(&self, _: i64, _: &ArchiveContent) -> Result<bool, StoreError> {
        Err(unasked())
    }

    async fn remove_archived(&self, _: &RemovedPortion) -> Result<u64, StoreError> {
        Err(unasked())
    }

    async fn end_archive(&self, _: i64, _: i64) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn leaving(
        &self,
        _: StartPeriod,
        _: &[LeavingRule],
        _: Uuid,
        _: u32,
    ) -> Result<Vec<StreamStanding>, StoreError> {
        Err(unasked())
    }

    async fn standings(&self, _: &[Uuid]) -> Result<Vec<StreamStanding>, StoreError> {
        Err(unasked())
    }

    async fn staying(&self, _: StartPeriod, _: &[LeavingRule], _: u32) -> Result<u64, StoreError> {
        Err(unasked())
    }

    async fn forget_feed(&self, _: u32) -> Result<u64, StoreError> {
        Err(unasked())
    }

    async fn scan_stored(&self, _: RowPosition, _: u32, _: u64) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        Err(unasked())
    }

    async fn read_stored_within(&self, _: &[Uuid], _: u64) -> Result<StreamBatch, StoreError> {
        Err(unasked())
    }

    async fn open_archived(&self, _: Vec<(Uuid, StreamRow)>) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        Err(unasked())
    }

    async fn erase_archived(&self, _: &ArchivedErasure) -> Result<bool, StoreError> {
        Err(unasked())
    }

    async fn pending_erasures(&self, _: Uuid, _: u32) -> Result<Vec<PendingErasure>, StoreError> {
        Err(unasked())
    }

    async fn pending_erasure(&self, _: Uuid) -> Result<Option<PendingErasure>, StoreError> {
        Err(unasked())
    }

    async fn end_erasures(&self, _: &[Uuid]) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn replace_archive(&self, _: &ArchiveReplacement) -> Result<bool, StoreError> {
        Err(unasked())
    }

    async fn forget_replaced(&self, _: i64, _: &str) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn watch_partition(&self, _: StartPeriod) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn detach_partition(
        &self,
        _: i64,
        _: StartPeriod,
        _: &[Uuid],
        _: &ArchiveContent,
        _: i64,
    ) -> Result<DetachOutcome, StoreError> {
        Err(unasked())
    }
}

#[async_trait]
impl JournalReader for ScriptedStore {
    async fn read(&self, stream: Uuid) -> Result<Vec<StreamRow>, StoreError> {
        if let Some(fault) = self.reads_fail.lock().expect(UNPOISONED).pop_front() {
            return Err(fault());
        }
        let rows = self.rows.lock().expect(UNPOISONED);
        let of_stream = rows.iter().filter(|row| row.stream == stream).cloned().map(|row| StreamRow {
            version: row.version,
            recorded_at_ms: row.recorded_at_ms,
            append_id: row.append_id,
            payload: row.payload,
        });
        Ok(of_stream.collect())
    }

    async fn scan(&self, _: RowPosition, _: u32, _: u64) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        Err(unasked())
    }

    async fn next_stream(&self, _: Uuid) -> Result<Option<Uuid>, StoreError> {
        Err(unasked())
    }

    async fn snapshot_versions(&self, _: &[Uuid]) -> Result<Vec<(Uuid, u32)>, StoreError> {
        Err(unasked())
    }

    async fn snapshots(&self, _: &[Uuid]) -> Result<Vec<StreamSnapshot>, StoreError> {
        Err(unasked())
    }

    async fn acts_between(&self, _: Uuid, _: Uuid) -> Result<Option<Vec<StoredAct>>, StoreError> {
        Err(unasked())
    }

    async fn journaled(&self, _: Uuid, _: u32) -> Result<Vec<(Uuid, bool)>, StoreError> {
        Err(unasked())
    }

    async fn summaries(&self, _: &[Uuid]) -> Result<Vec<StreamSummary>, StoreError> {
        Err(unasked())
    }

    async fn last_version(&self, _: Uuid) -> Result<Option<u32>, StoreError> {
        Err(unasked())
    }

    async fn summary(&self, _: Uuid) -> Result<Option<StreamSummary>, StoreError> {
        Err(unasked())
    }

    async fn get_document(&self, _: &str, _: &str) -> Result<Option<String>, StoreError> {
        Err(unasked())
    }
}

#[async_trait]
impl EventStore for ScriptedStore {
    async fn acts(&self, _: &ActQuery) -> Result<Vec<StoredAct>, StoreError> {
        Err(unasked())
    }

    async fn erase(&self, _: &saga_event_store::StreamErasure) -> Result<AppendOutcome, StoreError> {
        Err(unasked())
    }

    async fn read_from(&self, _: Uuid, _: u32) -> Result<Vec<StreamRow>, StoreError> {
        Err(unasked())
    }

    async fn put_snapshot(&self, _: &StreamSnapshot) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn remove_snapshots(&self, _: &[Uuid]) -> Result<u64, StoreError> {
        Err(unasked())
    }

    async fn append(&self, batch: &[StreamAppend]) -> Result<Vec<AppendOutcome>, StoreError> {
        let next = self.tries.lock().expect(UNPOISONED).pop_front();
        match next {
            Some(ScriptedAppend::Fails(fault)) => Err(fault()),
            Some(ScriptedAppend::LosesTheAnswer) => {
                self.write(batch);
                Err(away())
            }
            None if batch.iter().any(|append| append.payload == FAULTY.as_bytes()) => Err(out_of_range()),
            None => Ok(self.write(batch)),
        }
    }

    async fn feed(&self, _: FeedPosition, _: u32, _: u64) -> Result<FeedPage, FeedError> {
        Err(unasked().into())
    }

    async fn feed_extent(&self) -> Result<FeedExtent, StoreError> {
        Err(unasked())
    }

    fn identity(&self) -> StoreIdentity {
        StoreIdentity { installation: Uuid::nil(), shards: 1 }
    }

    async fn claim(&self, _: u16, _: &str) -> Result<ShardEpoch, StoreError> {
        Err(unasked())
    }

    async fn attend(&self, _: &[AttendanceRecord]) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn attendance(&self, _: u16) -> Result<ShardAttendance, StoreError> {
        Err(unasked())
    }

    async fn clock_ms(&self) -> Result<i64, StoreError> {
        Err(unasked())
    }

    async fn repair(&self, _: &StreamRepair) -> Result<RepairOutcome, StoreError> {
        Err(unasked())
    }

    async fn mark(&self, _: &StreamMark) -> Result<MarkOutcome, StoreError> {
        Err(unasked())
    }

    async fn read_many(&self, _: &[Uuid]) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        Err(unasked())
    }

    async fn read_within(&self, _: &[Uuid], _: u64) -> Result<StreamBatch, StoreError> {
        Err(unasked())
    }

    async fn outlines_within(&self, _: &[Uuid], _: u64) -> Result<StreamBatch, StoreError> {
        Err(unasked())
    }

    async fn open_streams(&self, _: u16, _: Option<Uuid>, _: u32) -> Result<Vec<Uuid>, StoreError> {
        Err(unasked())
    }

    async fn key_holder(&self, _: &str, _: &str) -> Result<Option<StreamKeyHolder>, StoreError> {
        Err(unasked())
    }

    async fn list(&self, _: &StreamFilter) -> Result<Vec<StreamSummary>, StoreError> {
        Err(unasked())
    }

    async fn stream_below(&self, _: Option<Uuid>, _: u32) -> Result<Option<Uuid>, StoreError> {
        Err(unasked())
    }

    async fn tally(&self, _: &StreamFilter, _: &[StreamDimension]) -> Result<Vec<StreamGroup>, StoreError> {
        Err(unasked())
    }

    async fn counts(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        Err(unasked())
    }

    async fn standing(&self) -> Result<Vec<StreamStatusCount>, StoreError> {
        Err(unasked())
    }

    async fn flagged(&self) -> Result<Vec<StreamFlagCount>, StoreError> {
        Err(unasked())
    }

    fn sessions(&self) -> SessionUsage {
        SessionUsage::default()
    }

    async fn waiting_counts(&self) -> Result<Vec<(WaitTarget, i64)>, StoreError> {
        Err(unasked())
    }

    async fn forget_keys(&self, _: &KeySweep) -> Result<KeySweepOutcome, StoreError> {
        Err(unasked())
    }

    async fn put_document(&self, _: &str, _: &str, _: &str) -> Result<(), StoreError> {
        Err(unasked())
    }

    async fn add_note(&self, _: &NewNote) -> Result<NoteNumber, StoreError> {
        Err(unasked())
    }

    async fn notes(&self, _: &str, _: NoteNumber, _: u32) -> Result<Vec<StoredNote>, StoreError> {
        Err(unasked())
    }

    async fn heartbeat(&self, _: &str, _: i64) -> Result<(), StoreError> {
        Err(unasked())
    }

    fn steps_back(&self) -> tokio::sync::watch::Receiver<Option<Arc<saga_event_store::StepBack>>> {
        tokio::sync::watch::Sender::new(None).subscribe()
    }

    fn confirmed(&self) -> Option<saga_event_store::CommitConfirmation> {
        None
    }

    async fn compare(&self, _: &[saga_event_store::CommitConfirmation]) -> Result<Vec<usize>, StoreError> {
        Ok(Vec::new())
    }

    async fn activity(&self) -> Result<DatabaseActivity, StoreError> {
        Err(unasked())
    }
}

/// A committer appends and reads, and nothing else.
fn unasked() -> StoreError {
    StoreError::Limit("a committer does not ask for this".into())
}
