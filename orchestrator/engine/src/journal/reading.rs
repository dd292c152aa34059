//! What operators read: lists from the read model, single sagas from their journals.

pub use super::guard_filter::{GuardFilter, GuardFilterError, guard_words};

use super::{
    JournalError, JournalFault, PORTION_BYTES, PlanCache, RecordedSaga, by_saga, fold,
    shown::{ERASED_UNREAD, unreadable, unreadable_at_end},
};
use saga_core::{
    describe::{OperatorNeedView, StepPhase},
    event::OperatorAction,
    id::{SagaId, ShardId},
    incident::IncidentKind,
    state::SagaStatus,
    time::{Timestamp, rfc3339},
};
use saga_event_store::{EventStore, StreamBatch, StreamFilter, StreamSummary, WaitFilter};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// One line of a list. Step and reason are those of the last change of status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaLine {
    /// The saga's id, as a UUID.
    pub id: String,
    /// Name of its definition.
    pub saga: String,
    /// The business key that the trigger gave.
    pub key: String,
    /// The saga's status, in the words of [`SagaStatus`].
    pub status: String,
    /// The step it is at or waits for.
    pub step: Option<String>,
    /// The reason why it is parked or waits, as text for operators.
    pub reason: Option<String>,
    /// The code of what failed; `None` if nothing failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The time when the saga started, in RFC 3339, UTC.
    pub started_at: String,
    /// The time of the last change, in RFC 3339, UTC.
    pub updated_at: String,
    /// Since when it has been as it is: in its status, held back by the same, with the same failure. RFC 3339, UTC.
    pub since: String,
    /// Hash of the definition that the saga runs by.
    pub definition: String,
    /// When an operator erased what it was given, sent and was answered; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<String>,
    /// The guards that hold it back, as `guard:participant`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_on: Vec<String>,
    /// Something happened that a person should look at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_incidents: bool,
    /// The kinds of the saga's incidents, as words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incident_kinds: Vec<String>,
    /// What it waits for a person for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_person: Vec<OperatorNeedView>,
    /// The steps that are under way, where they are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub under_way: Vec<String>,
}

/// The most steps that one line lists by name.
const MOST_NAMED: usize = 3;

impl SagaLine {
    /// Whether it is where `action` was to lead, or on its way there; `None`: its status is not one that this engine
    /// knows.
    #[must_use]
    pub fn is_wanted_by(&self, action: OperatorAction) -> Option<bool> {
        self.status.parse::<SagaStatus>().ok().map(|status| status.is_wanted_by(action))
    }

    /// Its status, marked if it has incidents or is erased.
    #[must_use]
    pub fn marked_status(&self) -> String {
        let incident = if self.has_incidents { ", incident" } else { "" };
        let erased = if self.erased_at.is_some() { ", erased" } else { "" };
        format!("{}{incident}{erased}", self.status)
    }

    /// The steps that it is at, or for which it needs a person: all of them, or the first and how many more.
    #[must_use]
    pub fn steps(&self) -> String {
        match (self.needs_person.as_slice(), self.under_way.as_slice()) {
            ([], []) => self.step.clone().unwrap_or_default(),
            ([], steps) => named(steps),
            (needs, _) => named(&needs.iter().map(OperatorNeedView::name).collect::<Vec<_>>()),
        }
    }

    /// Why it is where it is, of every step for which it needs a person.
    #[must_use]
    pub fn reasons(&self) -> String {
        let others = self.needs_person.len().saturating_sub(1);
        let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        format!("{}{more}", self.reason.as_deref().unwrap_or_default())
    }
}

impl From<StreamSummary> for SagaLine {
    fn from(row: StreamSummary) -> SagaLine {
        SagaLine {
            id: row.stream.to_string(),
            saga: row.category,
            key: row.key,
            status: row.status,
            step: row.step,
            reason: row.reason,
            started_at: rfc3339(Timestamp(row.started_at_ms)),
            updated_at: rfc3339(Timestamp(row.updated_at_ms)),
            since: rfc3339(Timestamp(row.updated_at_ms)),
            code: row.code,
            definition: row.document,
            erased_at: row.erased_at_ms.map(|at| rfc3339(Timestamp(at))),
            waits_on: row.waits_on.iter().map(ToString::to_string).collect(),
            has_incidents: !row.flags.is_empty(),
            incident_kinds: row.flags,
            needs_person: Vec::new(),
            under_way: Vec::new(),
        }
    }
}

fn named(steps: &[String]) -> String {
    if steps.len() <= MOST_NAMED {
        return steps.join(", ");
    }
    let (first, others) = steps.split_at(MOST_NAMED - 1);
    format!("{} and {} more", first.join(", "), others.len())
}

/// Selects the sagas of a list. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SagaQuery {
    /// Only sagas in one of these statuses; empty: any status.
    pub statuses: Vec<SagaStatus>,
    /// Only sagas of the definition with this name; `None`: any definition.
    pub saga: Option<String>,
    /// Only sagas with this business key; `None`: any key.
    pub key: Option<String>,
    /// Only sagas that this guard holds back; `None`: all sagas.
    pub waiting_on: Option<GuardFilter>,
    /// If true, only sagas that have incidents.
    pub incidents: bool,
    /// Only sagas with an incident of this kind; `None`: no condition.
    pub incident: Option<IncidentKind>,
    /// Only sagas that wait at this step, are parked for it, or went back for it.
    pub step: Option<String>,
    /// Only sagas whose failure has this code; `None`: no condition.
    pub code: Option<String>,
    /// Only sagas that run by a definition whose hash begins so.
    pub definition: Option<String>,
    /// Only sagas that have been as they are since before this time.
    pub since_before: Option<Timestamp>,
    /// Only sagas that started at this time or later.
    pub started_from: Option<Timestamp>,
    /// Only sagas that started before this time.
    pub started_before: Option<Timestamp>,
    /// Only sagas that ended at this time or later.
    pub ended_from: Option<Timestamp>,
    /// Only sagas that ended before this time.
    pub ended_before: Option<Timestamp>,
    /// Only sagas whose reason has this text in it.
    pub reason: Option<String>,
    /// Only sagas that have this text in their key, name, step, code or reason.
    pub text: Option<String>,
    /// If true, only sagas that have not ended.
    pub only_open: bool,
    /// Only sagas older than this one: where the next page begins.
    pub before: Option<SagaId>,
    /// The most sagas that the store returns.
    pub limit: u32,
}

/// The most lines of a list for which the journals of ended sagas are read, too: what a person looks at.
const LINES_PROVED: usize = 100;

/// The lines of a list whose journals are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshScope {
    /// The lines of open sagas: what the read model says of the others stays true.
    Open,
    /// The same, and the lines of ended sagas say if their journals cannot be read.
    OpenAndFaults,
    /// All lines, for their steps.
    All,
}

impl RefreshScope {
    /// For a list of so many lines.
    #[must_use]
    pub fn of_list(lines: usize) -> RefreshScope {
        if lines <= LINES_PROVED { RefreshScope::OpenAndFaults } else { RefreshScope::Open }
    }
}

/// What an id or a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SagaLookup {
    /// The name stands for one saga.
    One {
        /// The only one, or the newest of its key.
        id: SagaId,
        /// Those that had the key before it, newest first: a key is free again some time after its saga ended
        /// (`trigger.keepKeys`).
        earlier: Vec<SagaId>,
    },
    /// No saga has this id or key.
    None,
    /// Of different definitions: name the definition or the id. The newest of each.
    Several(Vec<SagaLine>),
}

/// Sagas, newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn list(store: &dyn EventStore, wanted: &SagaQuery) -> Result<Vec<SagaLine>, saga_event_store::StoreError> {
    Ok(store.list(&filter(wanted)).await?.into_iter().map(SagaLine::from).collect())
}

/// The query as the store's filter.
pub(super) fn filter(wanted: &SagaQuery) -> StreamFilter {
    StreamFilter {
        only_open: wanted.only_open(),
        step: wanted.step.clone(),
        code: wanted.code.clone(),
        document: wanted.definition.clone(),
        unchanged_since_ms: wanted.since_before.map(|at| at.0),
        from: wanted.started_from.map(first_at),
        ended_from_ms: wanted.ended_from.map(|at| at.0),
        ended_before_ms: wanted.ended_before.map(|at| at.0),
        reason: wanted.reason.clone(),
        text: wanted.text.clone(),
        flag: wanted.incident.map(|kind| kind.as_str().to_owned()),
        statuses: wanted.statuses.iter().map(ToString::to_string).collect(),
        category: wanted.saga.clone(),
        key: wanted.key.clone(),
        waiting: wanted.waiting_on.as_ref().map(|waiting| WaitFilter {
            kind: waiting.guard.map(|guard| guard.as_str().to_owned()),
            name: waiting.participant.clone(),
        }),
        flagged: wanted.incidents,
        // What ended before a time started before it, too.
        before: [
            wanted.before.map(SagaId::uuid),
            wanted.started_before.map(first_at),
            wanted.ended_before.map(first_at),
        ]
        .into_iter()
        .flatten()
        .min(),
        limit: wanted.limit,
    }
}

/// The least id of a saga that started at this time.
fn first_at(at: Timestamp) -> Uuid {
    SagaId::new(at, ShardId(0), 0).uuid()
}

impl SagaQuery {
    /// Whether it says which sagas: an act on many asks for that. A blank says nothing, nor does the length or the
    /// start of a page.
    #[must_use]
    pub fn chooses(&self) -> bool {
        let SagaQuery {
            statuses,
            saga,
            key,
            waiting_on,
            incidents,
            incident,
            step,
            code,
            definition,
            reason,
            text,
            ..
        } = self;
        let texts = [saga, key, step, code, definition, reason, text];
        let says = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        let since = [self.since_before, self.started_from, self.started_before, self.ended_from, self.ended_before];
        !statuses.is_empty()
            || waiting_on.is_some()
            || *incidents
            || incident.is_some()
            || texts.into_iter().any(says)
            || since.iter().any(Option::is_some)
    }

    /// Whether none of them can have ended.
    #[must_use]
    pub fn only_open(&self) -> bool {
        let statuses = &self.statuses;
        self.only_open || !statuses.is_empty() && statuses.iter().all(|status| !status.is_terminal())
    }
}

/// Brings the step and reason of the lines up to date by folding the outlines of their journals: the read model changes
/// with the status only. Payloads are not loaded. Returns the steps of the sagas that were looked at, without results.
///
/// # Errors
/// When the store does not answer. A saga that cannot be read is shown as parked for that reason.
pub async fn refresh(
    store: &dyn EventStore,
    plans: &PlanCache,
    lines: &mut [SagaLine],
    looked: RefreshScope,
) -> Result<HashMap<SagaId, Vec<(String, StepPhase)>>, saga_event_store::StoreError> {
    let mut lines: HashMap<SagaId, &mut SagaLine> = lines
        .iter_mut()
        .filter(|line| is_looked_at(line, looked))
        .filter_map(|line| Some((line.id.parse().ok()?, line)))
        .collect();
    let mut steps = HashMap::with_capacity(lines.len());
    let mut left: Vec<Uuid> = lines.keys().map(|id| id.uuid()).collect();
    while !left.is_empty() {
        let portion = match store.outlines_within(&left, PORTION_BYTES).await {
            Err(error) if error.is_damage() => one_by_one(store, &left, &mut lines).await?,
            portion => portion?,
        };
        let is_reached = |id: &&Uuid| !portion.left.contains(id);
        let mut without_rows: HashSet<Uuid> = left.iter().filter(is_reached).copied().collect();
        for (id, rows) in by_saga(portion.rows) {
            without_rows.remove(&id.uuid());
            let Some(line) = lines.get_mut(&id) else { continue };
            match fold(store, plans, id, rows).await {
                Ok(recorded) if is_left_out(line, &recorded) => {}
                Ok(_) if looked == RefreshScope::OpenAndFaults && is_over(line) => {}
                Ok(recorded) => drop(steps.insert(id, show_now(line, &recorded))),
                Err(error) if error.is_transient() => {}
                Err(error) => show_unread(line, &error),
            }
        }
        for id in without_rows.into_iter().filter_map(SagaId::from_uuid) {
            let Some(line) = lines.get_mut(&id).filter(|line| !is_unread(line)) else { continue };
            show_unread(line, &JournalFault::no_rows(id).into());
        }
        left = portion.left;
    }
    Ok(steps)
}

fn is_looked_at(line: &SagaLine, looked: RefreshScope) -> bool {
    match looked {
        RefreshScope::Open => !is_over(line),
        RefreshScope::OpenAndFaults | RefreshScope::All => true,
    }
}

/// What this build does not know may go on, but its journal says nothing that this build could show.
fn is_over(line: &SagaLine) -> bool {
    line.status.parse::<SagaStatus>().map_or(true, |status| status.is_terminal())
}

/// Those that can be read, of sagas that cannot be read together. The lines of the others say so.
async fn one_by_one(
    store: &dyn EventStore,
    streams: &[Uuid],
    lines: &mut HashMap<SagaId, &mut SagaLine>,
) -> Result<StreamBatch, saga_event_store::StoreError> {
    let mut portion = StreamBatch::default();
    for stream in streams {
        match store.outlines_within(&[*stream], PORTION_BYTES).await {
            Ok(one) => portion.rows.extend(one.rows),
            Err(error) if error.is_damage() => {
                let line = SagaId::from_uuid(*stream).and_then(|id| Some((id, lines.get_mut(&id)?)));
                if let Some((id, line)) = line {
                    show_unread(line, &JournalError::of(id, error));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(portion)
}

/// The read model changes with every change of status; where it says parked and the journal does not, the owner marked
/// a saga that it cannot read, though its outline can be read.
fn is_left_out(line: &SagaLine, recorded: &RecordedSaga) -> bool {
    line.status == SagaStatus::Parked.as_str() && recorded.state.status() != SagaStatus::Parked
}

fn show_now(line: &mut SagaLine, recorded: &RecordedSaga) -> Vec<(String, StepPhase)> {
    let (step, reason) = recorded.state.focus(&recorded.plan);
    line.status = recorded.state.status().to_string();
    line.step = step.map(|step| recorded.plan.definition.step(step).name.clone());
    line.reason = reason;
    line.updated_at = rfc3339(recorded.state.last_at);
    line.code = recorded.state.stands().code;
    let held_by = recorded.state.held_by(&recorded.plan);
    line.waits_on = held_by.iter().map(ToString::to_string).collect();
    line.has_incidents = !recorded.state.incidents.is_empty();
    line.needs_person = recorded.state.needs_view(&recorded.plan);
    line.under_way = under_way(recorded);
    line.incident_kinds = recorded.state.incident_kinds().into_iter().map(|kind| kind.as_str().to_owned()).collect();
    recorded.state.phases(&recorded.plan)
}

fn under_way(recorded: &RecordedSaga) -> Vec<String> {
    let steps = recorded.state.under_way();
    let several = if steps.len() > 1 { steps } else { Vec::new() };
    several.into_iter().map(|step| recorded.plan.definition.step(step).name.clone()).collect()
}

/// A saga that has ended stays as it ended.
fn show_unread(line: &mut SagaLine, error: &JournalError) {
    line.reason = Some(match (is_over(line), &line.erased_at) {
        (true, Some(_)) => ERASED_UNREAD.to_owned(),
        (true, None) => unreadable_at_end(error),
        (false, _) => unreadable(error),
    });
    if !is_over(line) {
        line.status = SagaStatus::Parked.to_string();
    }
    line.code = Some(IncidentKind::Unreadable.as_str().to_owned());
    line.waits_on = Vec::new();
}

fn is_unread(line: &SagaLine) -> bool {
    line.code.as_deref() == Some(IncidentKind::Unreadable.as_str())
}

/// The saga that `name` means: the one with this id, else the newest with this business key, of the definition `saga`
/// if given. A key may read as an id: one in sixteen of all keys of 32 hexadecimal digits does.
///
/// # Errors
/// When the store does not answer.
pub async fn find(
    store: &dyn EventStore,
    name: &str,
    saga: Option<&str>,
) -> Result<SagaLookup, saga_event_store::StoreError> {
    if let Ok(id) = name.parse::<SagaId>()
        && is_there(store, id).await?
    {
        return Ok(SagaLookup::One { id, earlier: Vec::new() });
    }
    find_key(store, name, saga).await
}

/// A saga that only one of the journal and the read model has is there, too, so that an operator can look at it.
async fn is_there(store: &dyn EventStore, id: SagaId) -> Result<bool, saga_event_store::StoreError> {
    Ok(store.summary(id.uuid()).await?.is_some() || store.last_version(id.uuid()).await?.is_some())
}

/// The newest saga with this business key, of the definition `saga` if given.
///
/// # Errors
/// When the store does not answer.
pub async fn find_key(
    store: &dyn EventStore,
    key: &str,
    saga: Option<&str>,
) -> Result<SagaLookup, saga_event_store::StoreError> {
    /// More than one person can read at a glance, and enough to meet every definition that has the key.
    const MOST: u32 = 200;
    let wanted =
        SagaQuery { key: Some(key.to_owned()), saga: saga.map(str::to_owned), limit: MOST, ..SagaQuery::default() };
    Ok(meant(list(store, &wanted).await?))
}

/// What a key stands for, from the lines of the key, newest first.
fn meant(mut lines: Vec<SagaLine>) -> SagaLookup {
    let Some(newest) = lines.first() else { return SagaLookup::None };
    if lines.iter().all(|line| line.saga == newest.saga) {
        let mut ids = lines.iter().filter_map(|line| line.id.parse().ok());
        return ids.next().map_or(SagaLookup::None, |id| SagaLookup::One { id, earlier: ids.collect() });
    }
    let mut seen = HashSet::new();
    lines.retain(|line| seen.insert(line.saga.clone()));
    SagaLookup::Several(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(saga: &str, number: u64) -> SagaLine {
        let id = SagaId::new(Timestamp(1000), saga_core::id::ShardId(1), number).to_string();
        SagaLine { id, saga: saga.to_owned(), ..SagaLine::default() }
    }

    #[test]
    fn steps_that_are_under_way_are_told_and_many_of_them_by_number() {
        let steps = |names: &[&str]| {
            let under_way = names.iter().map(|name| (*name).to_owned()).collect();
            SagaLine { step: Some("a".into()), under_way, ..SagaLine::default() }.steps()
        };
        assert_eq!([steps(&[]), steps(&["a", "b"]), steps(&["a", "b", "c"])], ["a", "a, b", "a, b, c"]);
        assert_eq!(steps(&["a", "b", "c", "d", "e"]), "a, b and 3 more");
    }

    #[test]
    fn of_one_definition_the_newest_is_meant_and_the_others_are_told() {
        let (newest, older) = (line("order", 2), line("order", 1));
        let [id, other] = [&newest, &older].map(|line| line.id.parse::<SagaId>().expect("an id"));
        assert_eq!(meant(vec![newest, older]), SagaLookup::One { id, earlier: vec![other] });
        assert_eq!(meant(Vec::new()), SagaLookup::None);
    }

    #[test]
    fn of_several_definitions_the_newest_of_each_is_told() {
        let (order, older, invoice) = (line("order", 3), line("order", 1), line("invoice", 2));
        let found = meant(vec![order.clone(), invoice.clone(), older]);
        assert_eq!(found, SagaLookup::Several(vec![order, invoice]));
    }

    #[test]
    fn a_filter_chooses_by_what_sagas_have_in_common_and_not_by_blanks_and_pages() {
        let all = SagaQuery::default();
        let said = |text: &str| Some(text.to_owned());
        for nothing in [
            all.clone(),
            SagaQuery { limit: 5, before: "01a1fd79-2b8e-7002-908c-c8bc2b40dbf8".parse().ok(), ..all.clone() },
            SagaQuery { saga: said(""), definition: said(""), ..all.clone() },
            SagaQuery { code: said(" "), step: said("\t"), key: said(""), only_open: true, ..all.clone() },
        ] {
            assert!(!nothing.chooses(), "{nothing:?}");
        }
        for something in [
            SagaQuery { statuses: vec![SagaStatus::Parked], ..all.clone() },
            SagaQuery { saga: said("order"), ..all.clone() },
            SagaQuery { key: said("4711"), ..all.clone() },
            SagaQuery { waiting_on: "breaker:".parse().ok(), ..all.clone() },
            SagaQuery { incidents: true, ..all.clone() },
            SagaQuery { incident: IncidentKind::parse("overdue"), ..all.clone() },
            SagaQuery { step: said("charge"), ..all.clone() },
            SagaQuery { code: said("http.422"), ..all.clone() },
            SagaQuery { definition: said("53ac"), ..all.clone() },
            SagaQuery { since_before: Some(Timestamp(1)), ..all.clone() },
            SagaQuery { started_from: Some(Timestamp(1)), ..all },
        ] {
            assert!(something.chooses(), "{something:?}");
        }
    }
}
