//! Who did what, to which saga or participant, and why: operators' acts as journals and logs record them.

use super::scan::{SagaScan, ScanMeter, ScanProgress, ScannedSaga};
use crate::{
    journal::{self, JournalError, PlanCache, shown::unreadable},
    overrides::{self, RecordedOverride},
};
use memchr::memmem;
use saga_core::{
    event::{SagaDecision, SagaEvent},
    id::SagaId,
    state::SagaPlan,
    time::{Timestamp, from_rfc3339, rfc3339},
    words,
};
use saga_event_store::{EventStore, StoreError, StreamRow};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// Which acts are wanted.
#[derive(Clone, Debug)]
pub struct AuditRequest {
    /// Acts at this time or later; `None`: of all times.
    pub since: Option<Timestamp>,
    /// Acts of this operator.
    pub who: Option<String>,
    /// Acts on the sagas with this id or key, or on the participant of this name.
    pub on: Option<String>,
    /// The newest so many.
    pub limit: usize,
}

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// When it was recorded; RFC 3339, UTC.
    pub at: String,
    /// The operator, as the act names them.
    pub who: String,
    /// What was done: the act, and the step or the limits that it names.
    pub action: String,
    /// The operator's reason.
    pub reason: String,
    /// What it was done to.
    pub on: AuditTarget,
    /// Id of the act.
    pub id: String,
}

/// What an act was done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AuditTarget {
    /// A saga.
    Saga {
        /// Its id.
        id: String,
        /// Its business key.
        key: String,
        /// Version of the row that records the act.
        version: u32,
    },
    /// The guards of a participant.
    Participant {
        /// Its name in participants.yaml.
        name: String,
    },
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// The acts, newest first.
    pub entries: Vec<AuditEntry>,
    /// Acts that were found; more than there are entries, if the limit left some out.
    pub found: u64,
    /// Why journals could not be read, each with its saga: acts on these may be missing.
    pub unreadable: Vec<String>,
}

/// Reads every journal of the store, and the log of acts on guards. `tell` learns how far it is after each page.
///
/// # Errors
/// When the store does not answer.
pub async fn audit(
    store: Arc<dyn EventStore>,
    wanted: &AuditRequest,
    mut tell: impl FnMut(ScanProgress),
) -> Result<AuditReport, StoreError> {
    let mut acts = FoundActs { wanted, entries: BTreeMap::new(), report: AuditReport::default() };
    for act in overrides::on_record(store.as_ref()).await? {
        acts.guard(act);
    }
    let (plans, mut meter) = (PlanCache::default(), ScanMeter::default());
    let mut scan = SagaScan::new(Arc::<dyn EventStore>::clone(&store), None);
    while let Some(page) = scan.next().await? {
        let ids = page.first().zip(page.last()).map(|(first, last)| (first.saga, last.saga));
        let sagas = page.len() as u64;
        for ScannedSaga { saga, rows } in page {
            match acts_on(store.as_ref(), &plans, saga, rows, wanted).await {
                Ok(found) => found.into_iter().for_each(|(at, entry)| acts.add(at, entry)),
                Err(JournalError::Store(error)) if error.is_transient() => return Err(error),
                Err(error) => acts.report.unreadable.push(unreadable(&error)),
            }
        }
        tell(meter.page(sagas, 0, ids));
    }
    Ok(acts.told())
}

/// The acts that are wanted, the newest so many.
struct FoundActs<'a> {
    wanted: &'a AuditRequest,
    /// By time and number, so that the oldest can be left out.
    entries: BTreeMap<(Timestamp, u64), AuditEntry>,
    report: AuditReport,
}

impl FoundActs<'_> {
    fn guard(&mut self, act: RecordedOverride) {
        let name = act.act.participant.clone();
        let is_on = self.wanted.on.as_ref().is_none_or(|on| *on == name);
        let at = from_rfc3339(&act.at).unwrap_or_default();
        if is_on {
            self.add(
                at,
                AuditEntry {
                    at: act.at,
                    who: act.act.who.clone(),
                    action: format!("guard {}", act.act.action.as_str()),
                    reason: act.act.reason.clone(),
                    on: AuditTarget::Participant { name },
                    id: act.id.to_string(),
                },
            );
        }
    }

    fn add(&mut self, at: Timestamp, entry: AuditEntry) {
        let AuditRequest { since, who, limit, .. } = self.wanted;
        if since.is_some_and(|since| at < since) || who.as_ref().is_some_and(|who| *who != entry.who) {
            return;
        }
        self.report.found += 1;
        self.entries.insert((at, self.report.found), entry);
        if self.entries.len() > *limit {
            self.entries.pop_first();
        }
    }

    fn told(self) -> AuditReport {
        AuditReport { entries: self.entries.into_values().rev().collect(), ..self.report }
    }
}

/// The acts on one saga. A journal without any is not decoded.
async fn acts_on(
    store: &dyn EventStore,
    plans: &PlanCache,
    saga: SagaId,
    rows: Result<Vec<StreamRow>, StoreError>,
    wanted: &AuditRequest,
) -> Result<Vec<(Timestamp, AuditEntry)>, JournalError> {
    let rows = rows.map_err(|error| JournalError::of(saga, error))?;
    if has_no_act(&rows) {
        return Ok(Vec::new());
    }
    let decisions = journal::decode(saga, &rows)?;
    let plan = plans.of(store, saga, &decisions).await?;
    let key = key(&decisions);
    if wanted.on.as_ref().is_some_and(|on| *on != key && *on != saga.to_string()) {
        return Ok(Vec::new());
    }
    let entries = decisions.iter().flat_map(|decision| {
        let key = &key;
        let plan = &plan;
        decision.events.iter().filter_map(move |event| entry(plan, saga, key, decision, event))
    });
    Ok(entries.collect())
}

/// A row that is missing or cut off may have had one.
fn has_no_act(rows: &[StreamRow]) -> bool {
    let finders = ["operatorActed", "forked_from"].map(memmem::Finder::new);
    let has_act = |row: &StreamRow| finders.iter().any(|finder| finder.find(&row.payload).is_some());
    let is_whole = |row: &StreamRow| row.payload.ends_with(b"}");
    (1_u32..).zip(rows).all(|(version, row)| row.version == version && is_whole(row) && !has_act(row))
}

fn key(decisions: &[SagaDecision]) -> String {
    match decisions.first().and_then(|decision| decision.events.first()) {
        Some(SagaEvent::SagaStarted { key, .. }) => key.clone(),
        Some(_) | None => String::new(),
    }
}

fn entry(
    plan: &SagaPlan,
    saga: SagaId,
    key: &str,
    decision: &SagaDecision,
    event: &SagaEvent,
) -> Option<(Timestamp, AuditEntry)> {
    let on = AuditTarget::Saga { id: saga.to_string(), key: key.to_owned(), version: decision.version };
    if let SagaEvent::SagaStarted { forked_from: Some(origin), .. } = event {
        let from = origin.from.as_ref().map(|step| format!(" from {step}")).unwrap_or_default();
        let action = format!("rerun of {}{from}{}", origin.saga, if origin.forced { ", forced" } else { "" });
        let (who, reason, id) = (origin.who.clone(), origin.reason.clone(), origin.act.clone());
        return Some((decision.at, AuditEntry { at: rfc3339(decision.at), who, action, reason, on, id }));
    }
    let SagaEvent::OperatorActed { id, who, reason, action, command } = event else { return None };
    let mended = decision.events.iter().find_map(|event| {
        let SagaEvent::DefinitionChanged { definition, .. } = event else { return None };
        Some(format!(" by definition {definition}"))
    });
    let action = format!("{}{}", words::acted(plan, *action, *command), mended.unwrap_or_default());
    let (who, reason, id) = (who.clone(), reason.clone(), id.clone());
    Some((decision.at, AuditEntry { at: rfc3339(decision.at), who, action, reason, on, id }))
}
