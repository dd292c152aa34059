//! Verifies every journal of a store: that it folds, that the read model shows what it folds to, and that the rules of
//! this build decide again what it records. Nothing is sent and nothing is written.

use super::{
    kept_snapshot::{KeptSnapshot, SnapshotDifference},
    page_pipeline,
    read_model::{self, RowDifference},
    scan::{self, SagaScan, ScanMeter, ScanProgress, ScannedSaga},
};
use crate::{
    act_trail,
    journal::{self, JournalError, JournalFault, PlanCache, shown::unreadable},
    row,
};
use futures_util::StreamExt;
use saga_core::{
    event::SagaDecision,
    id::SagaId,
    replay::{self, ReplayedDecision, RowReplay, SagaReplay},
    state::SagaPlan,
    time::Timestamp,
};
use saga_event_store::{JournalReader, StoreError, StoredAct, StreamAct, StreamRow, StreamSummary};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Which journals are verified.
#[derive(Clone, Debug, Default)]
pub struct VerifyRequest {
    /// Sagas that started then or later; `None`: all.
    pub since: Option<Timestamp>,
    /// Sagas of this definition; `None`: of all.
    pub saga: Option<String>,
}

/// What was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// Sagas whose journals were verified.
    pub sagas: u64,
    /// Their rows, which are decisions.
    pub rows: u64,
    /// Their events.
    pub events: u64,
    /// What does not agree.
    pub divergences: u64,
    /// Snapshots of long journals that were compared with their rows.
    pub snapshots: u64,
    /// Sagas that operators have erased: their rows have nothing left to decide again.
    pub erased: u64,
    /// Rows that could not be decided again, by what is not on record.
    pub undecided: BTreeMap<&'static str, u64>,
}

/// What about a saga does not agree with its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DivergenceKind {
    /// The journal cannot be read or does not fold.
    Journal,
    /// The read model shows something else.
    ReadModel,
    /// The rules of this build decide something else than is on record.
    Decision,
    /// The snapshot of a long journal is not the state that its rows fold to.
    Snapshot,
    /// The index of acts has another act than the journal, or none.
    Act,
}

impl DivergenceKind {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            DivergenceKind::Journal => "journal",
            DivergenceKind::ReadModel => "read model",
            DivergenceKind::Decision => "decision",
            DivergenceKind::Snapshot => "snapshot",
            DivergenceKind::Act => "audit",
        }
    }
}

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaDivergence {
    /// The saga's id.
    pub id: String,
    /// The saga's business key; empty where neither the journal nor the read model says it.
    pub key: String,
    /// Version of the row; of the read model the last one, and of a journal without one row at fault.
    pub version: u32,
    /// What does not agree.
    pub kind: DivergenceKind,
    /// The field of the read model, or the event of the row by its place, such as `4.1`; empty for the journal.
    pub place: String,
    /// What is expected: of a decision the event on record, of the read model what the journal folds to.
    pub expected: Value,
    /// What was found instead.
    pub found: Value,
}

/// What a verification tells while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum VerifyEvent {
    /// Something does not agree.
    Diverged(Box<SagaDivergence>),
    /// How far it is.
    Progress(ScanProgress),
}

/// Verifies what is asked for, several pages at once for as many cores as `workers`. `tell` gets every divergence, and
/// after each page how far the verification is.
///
/// # Errors
/// When the store does not answer.
pub async fn verify(
    store: Arc<dyn JournalReader>,
    wanted: &VerifyRequest,
    workers: usize,
    mut tell: impl FnMut(VerifyEvent),
) -> Result<VerifyReport, StoreError> {
    let (plans, wanted) = (Arc::new(PlanCache::default()), Arc::new(wanted.clone()));
    let scan = SagaScan::new(Arc::clone(&store), wanted.since);
    let verifier =
        || PageVerifier { store: Arc::clone(&store), plans: Arc::clone(&plans), wanted: Arc::clone(&wanted) };
    let mut verified = std::pin::pin!(page_pipeline::processed(scan, workers, |page| verifier().verified(page)));
    let mut report = VerifyReport::default();
    let mut meter = ScanMeter::default();
    while let Some(page) = verified.next().await {
        let page = page?;
        report.add(&page);
        page.divergences.into_iter().for_each(|it| tell(VerifyEvent::Diverged(Box::new(it))));
        tell(VerifyEvent::Progress(meter.page(page.sagas, page.events, page.ids)));
    }
    let lost = sagas_without_rows(store.as_ref(), &wanted).await?;
    report.divergences += lost.len() as u64;
    lost.into_iter().for_each(|it| tell(VerifyEvent::Diverged(Box::new(it))));
    Ok(report)
}

/// Streams of the read model that are looked up at once.
const LOOKED_UP: u32 = 5_000;

/// The sagas that the read model has and the journal does not. They are few, or the whole journal is lost.
async fn sagas_without_rows(
    store: &dyn JournalReader,
    wanted: &VerifyRequest,
) -> Result<Vec<SagaDivergence>, StoreError> {
    let (mut lost, mut after) = (Vec::new(), scan::first_stream(wanted.since));
    loop {
        let page = store.journaled(after, LOOKED_UP).await?;
        let Some((last, _)) = page.last() else { return Ok(lost) };
        after = *last;
        let missing: Vec<Uuid> = page.iter().filter(|(_, has_rows)| !has_rows).map(|(stream, _)| *stream).collect();
        let shown = if missing.is_empty() { Vec::new() } else { store.summaries(&missing).await? };
        let wanted = shown.iter().filter(|shown| wanted.saga.as_ref().is_none_or(|name| shown.category == *name));
        lost.extend(wanted.filter_map(|shown| {
            let error = JournalFault::no_rows(SagaId::from_uuid(shown.stream)?);
            Some(SagaDivergence { key: shown.key.clone(), ..unread(error.saga, 0, &error.into()) })
        }));
    }
}

/// What came out of one page.
#[derive(Debug, Default)]
struct VerifiedPage {
    sagas: u64,
    rows: u64,
    events: u64,
    /// The first and the last saga of the page.
    ids: Option<(SagaId, SagaId)>,
    snapshots: u64,
    divergences: Vec<SagaDivergence>,
    erased: u64,
    undecided: Vec<&'static str>,
}

impl VerifyReport {
    fn add(&mut self, page: &VerifiedPage) {
        self.sagas += page.sagas;
        self.rows += page.rows;
        self.events += page.events;
        self.snapshots += page.snapshots;
        self.divergences += page.divergences.len() as u64;
        self.erased += page.erased;
        page.undecided.iter().for_each(|reason| *self.undecided.entry(reason).or_default() += 1);
    }
}

/// What the store says of a saga beside its journal.
struct IndexedSaga<'a> {
    shown: Option<&'a StreamSummary>,
    snapshot: Option<KeptSnapshot>,
    /// `None`: there is no index of acts, as in an archive.
    acts: Option<BTreeMap<u32, StreamAct>>,
}

/// The acts on the sagas of a page, by stream and version; `None`: there is no index of them.
async fn acts_of(
    store: &dyn JournalReader,
    ids: Option<(SagaId, SagaId)>,
) -> Result<Option<HashMap<Uuid, BTreeMap<u32, StreamAct>>>, StoreError> {
    let Some((first, last)) = ids else { return Ok(None) };
    let Some(indexed) = store.acts_between(first.uuid(), last.uuid()).await? else { return Ok(None) };
    let mut acts: HashMap<Uuid, BTreeMap<u32, StreamAct>> = HashMap::new();
    for StoredAct { position, act, .. } in indexed {
        acts.entry(position.stream).or_default().insert(position.version, act);
    }
    Ok(Some(acts))
}

struct PageVerifier {
    store: Arc<dyn JournalReader>,
    plans: Arc<PlanCache>,
    wanted: Arc<VerifyRequest>,
}

impl PageVerifier {
    async fn verified(self, page: Vec<ScannedSaga>) -> Result<VerifiedPage, StoreError> {
        let streams: Vec<Uuid> = page.iter().map(|it| it.saga.uuid()).collect();
        let shown = self.store.summaries(&streams).await?;
        let shown: HashMap<Uuid, StreamSummary> = shown.into_iter().map(|it| (it.stream, it)).collect();
        let long: Vec<Uuid> = page.iter().filter(|it| it.is_long()).map(|it| it.saga.uuid()).collect();
        let kept = if long.is_empty() { Vec::new() } else { self.store.snapshot_versions(&long).await? };
        let kept: HashSet<Uuid> = kept.into_iter().map(|(stream, _)| stream).collect();
        let ids = page.first().zip(page.last()).map(|(first, last)| (first.saga, last.saga));
        // After the rows were read: each act is there as soon as its row is.
        let mut acts = acts_of(self.store.as_ref(), ids).await?;
        let mut verified = VerifiedPage { ids, ..VerifiedPage::default() };
        for ScannedSaga { saga, rows } in page {
            let snapshot = if kept.contains(&saga.uuid()) { self.snapshot(saga, &rows).await? } else { None };
            let acts = acts.as_mut().map(|acts| acts.remove(&saga.uuid()).unwrap_or_default());
            let shown = shown.get(&saga.uuid());
            self.saga(saga, rows, IndexedSaga { shown, snapshot, acts }, &mut verified).await?;
        }
        Ok(verified)
    }

    async fn saga(
        &self,
        saga: SagaId,
        rows: Result<Vec<StreamRow>, StoreError>,
        IndexedSaga { shown, snapshot, acts }: IndexedSaga<'_>,
        verified: &mut VerifiedPage,
    ) -> Result<(), StoreError> {
        if self.wanted.saga.as_ref().is_some_and(|name| shown.is_some_and(|shown| shown.category != *name)) {
            return Ok(());
        }
        let (count, version) =
            rows.as_ref().map_or((0, 0), |rows| (rows.len(), rows.last().map_or(0, |row| row.version)));
        verified.sagas += 1;
        verified.rows += count as u64;
        let replayed = match rows {
            Ok(rows) => self.replayed(saga, rows).await,
            Err(error) => Err(JournalError::of(saga, error)),
        };
        match replayed {
            Ok((plan, decisions, replayed)) => {
                verified.events += decisions.iter().map(|decision| decision.events.len() as u64).sum::<u64>();
                self.compare_model((&plan, &replayed, &decisions), shown.cloned(), verified).await?;
                if replayed.state.erased.is_some() {
                    verified.erased += 1;
                    return Ok(());
                }
                if let Some(snapshot) = snapshot {
                    verified.snapshot(&replayed, &snapshot, snapshot.differences(&plan, &decisions));
                }
                replayed.rows.iter().for_each(|(version, row)| verified.row(&replayed, *version, row));
                let differing = acts.map(|acts| differing_acts(&plan, &replayed, &decisions, &acts));
                verified.divergences.extend(differing.into_iter().flatten());
                Ok(())
            }
            Err(JournalError::Store(error)) if error.is_transient() => Err(error),
            // It could not be read before that, either: there is nothing left to mend.
            Err(_) if shown.is_some_and(|shown| shown.erased_at_ms.is_some()) => {
                verified.erased += 1;
                Ok(())
            }
            Err(error) => {
                let key = shown.map_or_else(String::new, |shown| shown.key.clone());
                verified.divergences.push(SagaDivergence { key, ..unread(saga, version, &error) });
                Ok(())
            }
        }
    }

    async fn replayed(
        &self,
        saga: SagaId,
        rows: Vec<StreamRow>,
    ) -> Result<(Arc<SagaPlan>, Vec<SagaDecision>, SagaReplay), JournalError> {
        let decisions = journal::decode(saga, &rows)?;
        let plan = self.plans.of(self.store.as_ref(), saga, &decisions).await?;
        let replayed = journal::guarded(saga, || replay::replay(&plan, saga, &decisions))?;
        Ok((plan, decisions, replayed))
    }

    /// The snapshot of a saga, unless it is of a row that came after the rows were read.
    async fn snapshot(
        &self,
        saga: SagaId,
        rows: &Result<Vec<StreamRow>, StoreError>,
    ) -> Result<Option<KeptSnapshot>, StoreError> {
        let Some(snapshot) = self.store.snapshots(&[saga.uuid()]).await?.pop() else { return Ok(None) };
        let Ok(rows) = rows else { return Ok(None) };
        let row = rows.iter().find(|row| row.version == snapshot.version);
        let is_later = row.is_none() && self.store.last_version(saga.uuid()).await? >= Some(snapshot.version);
        let of_row = row.is_some_and(|row| row.append_id == snapshot.append_id);
        Ok((!is_later).then_some(KeptSnapshot { snapshot, of_row }))
    }

    /// A saga that goes on while it is verified is read again: its row in the read model may be younger than its
    /// journal was.
    async fn compare_model(
        &self,
        (plan, replayed, decisions): (&SagaPlan, &SagaReplay, &[SagaDecision]),
        shown: Option<StreamSummary>,
        verified: &mut VerifiedPage,
    ) -> Result<(), StoreError> {
        let differing = differences(plan, replayed, decisions, shown.as_ref());
        if differing.is_empty() {
            return Ok(());
        }
        let stream = replayed.state.id.uuid();
        let went_on = self.store.last_version(stream).await?.unwrap_or_default() > replayed.state.version;
        let differing = if went_on { Vec::new() } else { differing };
        let again = if differing.is_empty() { None } else { self.store.summary(stream).await? };
        if again == shown {
            verified.divergences.extend(differing);
        }
        Ok(())
    }
}

impl VerifiedPage {
    fn snapshot(&mut self, replayed: &SagaReplay, kept: &KeptSnapshot, differing: Vec<SnapshotDifference>) {
        self.snapshots += 1;
        self.divergences.extend(differing.into_iter().map(|(place, expected, found)| SagaDivergence {
            id: replayed.state.id.to_string(),
            key: replayed.state.key.clone(),
            version: kept.snapshot.version,
            kind: DivergenceKind::Snapshot,
            place,
            expected,
            found,
        }));
    }

    fn row(&mut self, replayed: &SagaReplay, version: u32, row: &RowReplay) {
        match row {
            RowReplay::Undecided { reason } => self.undecided.push(reason),
            RowReplay::Diverged { recorded, found } => {
                let found: Vec<Value> = match found {
                    ReplayedDecision::Events(events) => events.iter().map(|event| json!(event)).collect(),
                    ReplayedDecision::Nothing(reason) => vec![json!(format!("no row: {reason}"))],
                };
                let recorded: Vec<Value> = recorded.iter().map(|event| json!(event)).collect();
                let at = recorded.iter().zip(&found).take_while(|(one, other)| one == other).count();
                let event = |events: &[Value]| events.get(at).cloned().unwrap_or(Value::Null);
                self.divergences.push(SagaDivergence {
                    id: replayed.state.id.to_string(),
                    key: replayed.state.key.clone(),
                    version,
                    kind: DivergenceKind::Decision,
                    place: format!("{version}.{at}"),
                    expected: event(&recorded),
                    found: event(&found),
                });
            }
        }
    }
}

/// `last` is the version of the last row; the row at fault is named where there is one.
fn unread(saga: SagaId, last: u32, error: &JournalError) -> SagaDivergence {
    let at_fault = match error {
        JournalError::Fault(fault) => fault.version,
        JournalError::Store(_) => None,
    };
    SagaDivergence {
        id: saga.to_string(),
        key: String::new(),
        version: at_fault.unwrap_or(last),
        kind: DivergenceKind::Journal,
        place: String::new(),
        expected: json!("a journal that folds"),
        found: json!(unreadable(error)),
    }
}

/// What the read model shows otherwise than the journal folds to.
fn differences(
    plan: &SagaPlan,
    replayed: &SagaReplay,
    decisions: &[SagaDecision],
    shown: Option<&StreamSummary>,
) -> Vec<SagaDivergence> {
    let state = &replayed.state;
    let expected = read_model::folded(plan, state, decisions);
    let differing = match shown {
        None => {
            let all: BTreeMap<_, _> = read_model::fields(&expected).into_iter().collect();
            vec![("row", json!(all), json!(NOT_LISTED))]
        }
        Some(found) => read_model::differences(&expected, found),
    };
    let diverged = |(place, expected, found): RowDifference| SagaDivergence {
        id: state.id.to_string(),
        key: state.key.clone(),
        version: state.version,
        kind: DivergenceKind::ReadModel,
        place: place.to_owned(),
        expected,
        found,
    };
    differing.into_iter().map(diverged).collect()
}

/// What is found of a saga that the read model does not have.
const NOT_LISTED: &str = "no row: the saga is in no list, and no engine goes on with it. `saga replay rebuild sagas` \
                          writes its row";

/// What the index of acts says otherwise than the rows; of rows that were written since they were read it says more.
fn differing_acts(
    plan: &SagaPlan,
    replayed: &SagaReplay,
    decisions: &[SagaDecision],
    indexed: &BTreeMap<u32, StreamAct>,
) -> Vec<SagaDivergence> {
    let told = |act: Option<&StreamAct>| {
        act.map_or(Value::Null, |act| json!({"id": act.id, "who": act.who, "action": act.action, "reason": act.reason}))
    };
    let differing = decisions.iter().filter_map(|decision| {
        // From where an act came and how the saga stood is not in its journal.
        let found = indexed.get(&decision.version).map(act_trail::as_in_journal);
        let (expected, found) = (row::act(plan, decision), found.as_ref());
        (expected.as_ref() != found).then(|| SagaDivergence {
            id: replayed.state.id.to_string(),
            key: replayed.state.key.clone(),
            version: decision.version,
            kind: DivergenceKind::Act,
            place: String::new(),
            expected: told(expected.as_ref()),
            found: told(found),
        })
    });
    differing.collect()
}
