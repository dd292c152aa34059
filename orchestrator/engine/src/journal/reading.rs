//! What operators read: lists from the read model, single sagas from their journals.

use super::{Error, PORTION_BYTES, Plans, Recorded, by_saga, fold, shown::unreadable};
use saga_core::{
    command::Guard,
    event::OperatorAction,
    id::{SagaId, Shard},
    incident::IncidentKind,
    state::{
        Status,
        view::{NeedView, StepPhase},
    },
    time::{Timestamp, rfc3339},
};
use saga_event_store::{EventStore, Filter, Portion, StreamSummary, Waiting};
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    str::FromStr,
};
use uuid::Uuid;

/// One line of a list. Step and reason are those of the last change of status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaLine {
    /// Its identity.
    pub id: String,
    /// Name of its definition.
    pub saga: String,
    /// The business key.
    pub key: String,
    /// Its status.
    pub status: String,
    /// The step it is at or waits for.
    pub step: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The code of what failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
    /// Since when it has been as it is: in its status, held back by the same, with the same failure. RFC 3339, UTC.
    pub since: String,
    /// Hash of its definition.
    pub definition: String,
    /// The guards that hold it back, as `guard:participant`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_on: Vec<String>,
    /// Something happened that a person should look at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_incidents: bool,
    /// The kinds of its incidents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incident_kinds: Vec<String>,
    /// What it waits for a person for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_person: Vec<NeedView>,
    /// The steps that are under way, where they are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub under_way: Vec<String>,
}

/// Steps of a line that are told by name.
const MOST_NAMED: usize = 3;

impl SagaLine {
    /// Whether it is where `action` was to lead, or on its way there; `None`: its status is not one that this engine knows.
    #[must_use]
    pub fn is_wanted_by(&self, action: OperatorAction) -> Option<bool> {
        self.status.parse::<Status>().ok().map(|status| status.is_wanted_by(action))
    }

    /// Its status, marked if it has incidents.
    #[must_use]
    pub fn marked_status(&self) -> String {
        format!("{}{}", self.status, if self.has_incidents { ", incident" } else { "" })
    }

    /// The steps that it is at, or for which it needs a person: all of them, or the first and how many more.
    #[must_use]
    pub fn steps(&self) -> String {
        match (self.needs_person.as_slice(), self.under_way.as_slice()) {
            ([], []) => self.step.clone().unwrap_or_default(),
            ([], steps) => named(steps),
            (needs, _) => named(&needs.iter().map(NeedView::name).collect::<Vec<_>>()),
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

/// Which sagas to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One of these; empty: any.
    pub statuses: Vec<Status>,
    /// Of this definition.
    pub saga: Option<String>,
    /// With this business key.
    pub key: Option<String>,
    /// Held back by this.
    pub waiting_on: Option<WaitingOn>,
    /// With incidents.
    pub incidents: bool,
    /// With an incident of this kind.
    pub incident: Option<IncidentKind>,
    /// Waiting at this step, parked for it, or gone back for it.
    pub step: Option<String>,
    /// With this code of what failed.
    pub code: Option<String>,
    /// Going by a definition whose hash begins so.
    pub definition: Option<String>,
    /// As they are since before this time.
    pub since_before: Option<Timestamp>,
    /// Started at this time or later.
    pub started_from: Option<Timestamp>,
    /// Only those that go on.
    pub only_open: bool,
    /// Older than this one.
    pub before: Option<SagaId>,
    /// How many.
    pub limit: u32,
}

/// Which guards sagas wait on: those of a kind, of a participant, of both, or any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingOn {
    /// Of this kind.
    pub guard: Option<Guard>,
    /// Of this participant; of what is published, the topic.
    pub participant: Option<String>,
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let participant = self.participant.as_deref().unwrap_or_default();
        match self.guard {
            Some(guard) => write!(f, "{}:{participant}", guard.as_str()),
            None => f.write_str(participant),
        }
    }
}

/// Not a guard or a participant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not something that sagas wait on: expected a participant, a guard and a colon, or `guard:participant`, with one of the guards {guards}", guards = guard_words())]
pub struct NotWaitedOn(String);

/// `payments`, `breaker:`, or `breaker:payments`.
impl FromStr for WaitingOn {
    type Err = NotWaitedOn;

    fn from_str(text: &str) -> Result<WaitingOn, NotWaitedOn> {
        let not = || NotWaitedOn(text.to_owned());
        let (guard, participant) = match text.split_once(':') {
            None => (None, text),
            Some((guard, participant)) => (Some(Guard::parse(guard).ok_or_else(not)?), participant),
        };
        if guard.is_none() && participant.is_empty() {
            return Err(not());
        }
        Ok(WaitingOn { guard, participant: (!participant.is_empty()).then(|| participant.to_owned()) })
    }
}

/// The words of all guards, for messages.
#[must_use]
pub fn guard_words() -> String {
    Guard::ALL.map(Guard::as_str).join(", ")
}

/// Of which lines of a list the journals are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// Of sagas that go on: what the read model says of the others stays true.
    Open,
    /// Of all, for their steps.
    All,
}

/// What an id or a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This one.
    One {
        /// The only one, or the newest of its key.
        id: SagaId,
        /// Those that had the key before it, newest first: a key is free again some time after its saga ended (`trigger.keepKeys`).
        earlier: Vec<SagaId>,
    },
    /// None.
    None,
    /// Of different definitions: name the definition or the id. The newest of each.
    Several(Vec<SagaLine>),
}

/// Sagas, newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn list(store: &dyn EventStore, wanted: &Wanted) -> Result<Vec<SagaLine>, saga_event_store::Error> {
    Ok(store.list(&filter(wanted)).await?.into_iter().map(SagaLine::from).collect())
}

/// As the store takes it.
pub(super) fn filter(wanted: &Wanted) -> Filter {
    Filter {
        only_open: wanted.only_open(),
        step: wanted.step.clone(),
        code: wanted.code.clone(),
        document: wanted.definition.clone(),
        unchanged_since_ms: wanted.since_before.map(|at| at.0),
        from: wanted.started_from.map(|at| SagaId::new(at, Shard(0), 0).uuid()),
        flag: wanted.incident.map(|kind| kind.as_str().to_owned()),
        statuses: wanted.statuses.iter().map(ToString::to_string).collect(),
        category: wanted.saga.clone(),
        key: wanted.key.clone(),
        waiting: wanted.waiting_on.as_ref().map(|waiting| Waiting {
            kind: waiting.guard.map(|guard| guard.as_str().to_owned()),
            name: waiting.participant.clone(),
        }),
        flagged: wanted.incidents,
        before: wanted.before.map(SagaId::uuid),
        limit: wanted.limit,
    }
}

impl Wanted {
    /// Whether it says which sagas: an act on many asks for that. A blank says nothing, nor does the length or the start of a page.
    #[must_use]
    pub fn chooses(&self) -> bool {
        let Wanted { statuses, saga, key, waiting_on, incidents, incident, step, code, definition, .. } = self;
        let texts = [saga, key, step, code, definition];
        let says = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        let since = [self.since_before, self.started_from];
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

/// Brings the step and reason of the lines up to date by folding the outlines of their journals: the read model changes with the status only.
/// Payloads are not loaded. Returns the steps of the sagas that were looked at, without results.
///
/// # Errors
/// When the store does not answer. A saga that cannot be read is shown as parked for that reason.
pub async fn refresh(
    store: &dyn EventStore,
    plans: &Plans,
    lines: &mut [SagaLine],
    looked: Looked,
) -> Result<HashMap<SagaId, Vec<(String, StepPhase)>>, saga_event_store::Error> {
    let mut lines: HashMap<SagaId, &mut SagaLine> = lines
        .iter_mut()
        .filter(|line| is_looked_at(line, looked))
        .filter_map(|line| Some((line.id.parse().ok()?, line)))
        .collect();
    let mut steps = HashMap::with_capacity(lines.len());
    let mut left: Vec<Uuid> = lines.keys().map(|id| id.uuid()).collect();
    while !left.is_empty() {
        let portion = match store.outlines_within(&left, PORTION_BYTES).await {
            Err(error) if error.is_damage() => one_by_one(store, &left).await?,
            portion => portion?,
        };
        left = portion.left;
        for (id, rows) in by_saga(portion.rows) {
            let Some(line) = lines.get_mut(&id) else { continue };
            match fold(store, plans, id, rows).await {
                Ok(recorded) if is_left_out(line, &recorded) => {}
                Ok(recorded) => drop(steps.insert(id, show_now(line, &recorded))),
                Err(Error::Store(error)) => return Err(error),
                Err(error) if error.is_transient() || is_over(line) => {}
                Err(error) => show_unread(line, &error),
            }
        }
    }
    Ok(steps)
}

fn is_looked_at(line: &SagaLine, looked: Looked) -> bool {
    match looked {
        Looked::Open => !is_over(line),
        Looked::All => true,
    }
}

/// What this build does not know may go on, but its journal says nothing that this build could show.
fn is_over(line: &SagaLine) -> bool {
    line.status.parse::<Status>().map_or(true, |status| status.is_terminal())
}

/// Those that can be read, of sagas that cannot be read together.
async fn one_by_one(store: &dyn EventStore, streams: &[Uuid]) -> Result<Portion, saga_event_store::Error> {
    let mut portion = Portion::default();
    for stream in streams {
        match store.outlines_within(&[*stream], PORTION_BYTES).await {
            Ok(one) => portion.rows.extend(one.rows),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(portion)
}

/// The read model changes with every change of status; where it says parked and the journal does not, the owner marked a saga that it cannot
/// read, though its outline can be read.
fn is_left_out(line: &SagaLine, recorded: &Recorded) -> bool {
    line.status == Status::Parked.as_str() && recorded.state.status() != Status::Parked
}

fn show_now(line: &mut SagaLine, recorded: &Recorded) -> Vec<(String, StepPhase)> {
    let (step, reason) = recorded.state.focus(&recorded.plan);
    line.status = recorded.state.status().to_string();
    line.step = step.map(|step| recorded.plan.definition.step(step).name.clone());
    line.reason = reason;
    line.updated_at = rfc3339(recorded.state.last_at);
    line.code = recorded.state.stands(&recorded.plan).code;
    let held_by = recorded.state.held_by(&recorded.plan);
    line.waits_on = held_by.iter().map(ToString::to_string).collect();
    line.has_incidents = !recorded.state.incidents.is_empty();
    line.needs_person = recorded.state.needs_view(&recorded.plan);
    line.under_way = under_way(recorded);
    line.incident_kinds = recorded.state.incident_kinds().into_iter().map(|kind| kind.as_str().to_owned()).collect();
    recorded.state.phases(&recorded.plan)
}

fn under_way(recorded: &Recorded) -> Vec<String> {
    let steps = recorded.state.under_way();
    let several = if steps.len() > 1 { steps } else { Vec::new() };
    several.into_iter().map(|step| recorded.plan.definition.step(step).name.clone()).collect()
}

fn show_unread(line: &mut SagaLine, error: &Error) {
    line.status = Status::Parked.to_string();
    line.reason = Some(unreadable(error));
    line.waits_on = Vec::new();
}

/// The saga that `name` means: the one with this id, else the newest with this business key, of the definition `saga` if given. A key may read
/// as an id: one in sixteen of all keys of 32 hexadecimal digits does.
///
/// # Errors
/// When the store does not answer.
pub async fn find(store: &dyn EventStore, name: &str, saga: Option<&str>) -> Result<Found, saga_event_store::Error> {
    if let Ok(id) = name.parse::<SagaId>()
        && store.summary(id.uuid()).await?.is_some()
    {
        return Ok(Found::One { id, earlier: Vec::new() });
    }
    find_key(store, name, saga).await
}

/// The newest saga with this business key, of the definition `saga` if given.
///
/// # Errors
/// When the store does not answer.
pub async fn find_key(store: &dyn EventStore, key: &str, saga: Option<&str>) -> Result<Found, saga_event_store::Error> {
    /// More than one person can read at a glance, and enough to meet every definition that has the key.
    const MOST: u32 = 200;
    let wanted = Wanted { key: Some(key.to_owned()), saga: saga.map(str::to_owned), limit: MOST, ..Wanted::default() };
    Ok(meant(list(store, &wanted).await?))
}

/// Of lines of one key, newest first.
fn meant(mut lines: Vec<SagaLine>) -> Found {
    let Some(newest) = lines.first() else { return Found::None };
    if lines.iter().all(|line| line.saga == newest.saga) {
        let mut ids = lines.iter().filter_map(|line| line.id.parse().ok());
        return ids.next().map_or(Found::None, |id| Found::One { id, earlier: ids.collect() });
    }
    let mut seen = HashSet::new();
    lines.retain(|line| seen.insert(line.saga.clone()));
    Found::Several(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(saga: &str, number: u64) -> SagaLine {
        let id = SagaId::new(Timestamp(1000), saga_core::id::Shard(1), number).to_string();
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
        assert_eq!(meant(vec![newest, older]), Found::One { id, earlier: vec![other] });
        assert_eq!(meant(Vec::new()), Found::None);
    }

    #[test]
    fn of_several_definitions_the_newest_of_each_is_told() {
        let (order, older, invoice) = (line("order", 3), line("order", 1), line("invoice", 2));
        let found = meant(vec![order.clone(), invoice.clone(), older]);
        assert_eq!(found, Found::Several(vec![order, invoice]));
    }

    #[test]
    fn a_filter_chooses_by_what_sagas_have_in_common_and_not_by_blanks_and_pages() {
        let all = Wanted::default();
        let said = |text: &str| Some(text.to_owned());
        for nothing in [
            all.clone(),
            Wanted { limit: 5, before: "01a1fd79-2b8e-7002-908c-c8bc2b40dbf8".parse().ok(), ..all.clone() },
            Wanted { saga: said(""), definition: said(""), ..all.clone() },
            Wanted { code: said(" "), step: said("\t"), key: said(""), only_open: true, ..all.clone() },
        ] {
            assert!(!nothing.chooses(), "{nothing:?}");
        }
        for something in [
            Wanted { statuses: vec![Status::Parked], ..all.clone() },
            Wanted { saga: said("order"), ..all.clone() },
            Wanted { key: said("4711"), ..all.clone() },
            Wanted { waiting_on: "breaker:".parse().ok(), ..all.clone() },
            Wanted { incidents: true, ..all.clone() },
            Wanted { incident: IncidentKind::parse("overdue"), ..all.clone() },
            Wanted { step: said("charge"), ..all.clone() },
            Wanted { code: said("http.422"), ..all.clone() },
            Wanted { definition: said("53ac"), ..all.clone() },
            Wanted { since_before: Some(Timestamp(1)), ..all.clone() },
            Wanted { started_from: Some(Timestamp(1)), ..all },
        ] {
            assert!(something.chooses(), "{something:?}");
        }
    }

    #[test]
    fn what_is_waited_on_is_read_by_guard_and_by_participant() {
        let read = |text: &str| text.parse::<WaitingOn>().map(|it| (it.guard, it.participant));
        assert_eq!(read("payments"), Ok((None, Some("payments".into()))));
        assert_eq!(read("breaker:payments"), Ok((Some(Guard::Breaker), Some("payments".into()))));
        assert_eq!(read("rateLimit:"), Ok((Some(Guard::RateLimit), None)));
        for bad in ["", ":payments", "braker:payments"] {
            let error = read(bad).expect_err(bad).to_string();
            assert!(error.contains("breaker, bulkhead, rateLimit"), "{error}");
        }
    }
}
