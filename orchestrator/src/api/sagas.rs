//! Lists, single sagas and their histories, as JSON with the same keys as the command line's.

use super::{Backend, errors::Error};
use crate::guarded::Holding;
use crate::journal::{
    self, Recorded, counts,
    payloads::Payloads,
    reading::{self, Found, Looked, SagaLine, WaitingOn, Wanted},
    shown::{self, Shown},
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use saga_core::{
    definition,
    id::SagaId,
    incident::IncidentKind,
    state::{
        Status,
        view::{SagaView, StepPhase},
    },
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Lines of a list unless asked otherwise.
pub(super) const USUAL_LINES: u32 = 100;
/// The most lines of one answer.
pub(super) const MOST_LINES: u32 = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Asked {
    status: Option<String>,
    saga: Option<String>,
    key: Option<String>,
    waiting_on: Option<String>,
    incidents: Option<bool>,
    incident: Option<String>,
    step: Option<String>,
    code: Option<String>,
    definition: Option<String>,
    older_than: Option<String>,
    started_within: Option<String>,
    /// Of counts.
    by: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

impl Asked {
    /// The same for a page of at most `size` lines and one more, by which it is seen that there are more.
    pub(super) fn page(mut self, size: u32) -> Result<Asked, Error> {
        self.limit = Some(limit(Some(self.limit.unwrap_or(size)))?.min(size) + 1);
        Ok(self)
    }

    /// The same without what says nothing: a form sends its empty fields, too.
    pub(super) fn without_blanks(self) -> Asked {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Asked {
            status: said(self.status),
            saga: said(self.saga),
            key: said(self.key),
            waiting_on: said(self.waiting_on),
            incident: said(self.incident),
            before: said(self.before),
            ..self
        }
    }

    pub(super) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    pub(super) fn saga(&self) -> &str {
        self.saga.as_deref().unwrap_or_default()
    }

    pub(super) fn status(&self) -> &str {
        self.status.as_deref().unwrap_or_default()
    }

    pub(super) fn waiting_on(&self) -> &str {
        self.waiting_on.as_deref().unwrap_or_default()
    }

    pub(super) fn only_incidents(&self) -> bool {
        self.incidents.unwrap_or_default()
    }

    /// Whether it leaves no saga out, but for the length of a page.
    pub(super) fn is_everything(&self) -> bool {
        let texts = [self.key(), self.saga(), self.status(), self.waiting_on()];
        texts.iter().all(|text| text.is_empty()) && !self.only_incidents() && self.incident.is_none()
    }

    /// How many lines of it are shown.
    pub(super) fn shown(&self) -> usize {
        self.limit.map_or(0, |limit| usize::try_from(limit - 1).unwrap_or(usize::MAX))
    }

    /// What it chooses by, in words.
    pub(super) fn told(&self) -> String {
        let pairs = self.fields().into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        pairs.collect::<Vec<_>>().join(" ")
    }

    fn fields(&self) -> [(&'static str, Option<&str>); 11] {
        [
            ("status", self.status.as_deref()),
            ("saga", self.saga.as_deref()),
            ("key", self.key.as_deref()),
            ("waitingOn", self.waiting_on.as_deref()),
            ("incidents", self.incidents.map(|only| if only { "true" } else { "false" })),
            ("incident", self.incident.as_deref()),
            ("step", self.step.as_deref()),
            ("code", self.code.as_deref()),
            ("definition", self.definition.as_deref()),
            ("olderThan", self.older_than.as_deref()),
            ("startedWithin", self.started_within.as_deref()),
        ]
    }

    /// The query of the page after `last`.
    pub(super) fn next(&self, last: &str) -> String {
        let limit = self.shown().to_string();
        let more = [("limit", Some(limit.as_str())), ("before", Some(last))];
        let encoded =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let fields = self.fields().into_iter().chain(more);
        let pairs = fields.filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// Which definition is meant, where several have sagas with one key, and how much is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    saga: Option<String>,
    /// The business key that is meant, in place of the path's last part: `.` and `..` cannot stand in a path.
    key: Option<String>,
    /// `full`, or `short`, which is the default.
    payloads: Option<String>,
}

/// Which saga is meant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose<'a> {
    name: &'a str,
    by: By,
    saga: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    IdOrKey,
    Key,
}

impl Named {
    /// With what the path says.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> Whose<'a> {
        let saga = self.saga.as_deref();
        match self.key.as_deref() {
            Some(key) => Whose { name: key, by: By::Key, saga },
            None => Whose { name, by: By::IdOrKey, saga },
        }
    }

    pub(super) fn payloads(&self) -> Result<Payloads, Error> {
        match self.payloads.as_deref() {
            None | Some("short") => Ok(Payloads::Short),
            Some("full") => Ok(Payloads::Full),
            Some(other) => Err(Error::BadParameter(format!("`payloads` is `{other}`: expected short or full"))),
        }
    }
}

/// What a query says, or an error in the API's own form.
pub(super) fn checked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Error> {
    query.map(|Query(asked)| asked).map_err(|rejection| Error::BadParameter(rejection.body_text()))
}

pub(super) async fn list(
    State(backend): State<Backend>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let asked = checked(query)?;
    let lines = lines(&backend, &asked).await?;
    if lines.is_empty() {
        named_right(&backend, &wanted(&asked, backend.parts.clock.now())?).await?;
    }
    let next = lines.last().map(|line| line.id.clone());
    Ok(Json(json!({"sagas": lines, "next": next})))
}

async fn lines(backend: &Backend, asked: &Asked) -> Result<Vec<SagaLine>, Error> {
    Ok(lines_and_steps(backend, asked, Looked::Open).await?.0)
}

/// A page of the list, and the steps of the sagas that were looked at.
pub(super) async fn lines_and_steps(
    backend: &Backend,
    asked: &Asked,
    looked: Looked,
) -> Result<(Vec<SagaLine>, HashMap<SagaId, Vec<(String, StepPhase)>>), Error> {
    let wanted = wanted(asked, backend.parts.clock.now())?;
    let _place = backend.looking.place().await?;
    let mut lines = reading::list(backend.parts.store.as_ref(), &wanted).await?;
    let steps = reading::refresh(backend.parts.store.as_ref(), &backend.parts.plans, &mut lines, looked).await?;
    Ok((lines, steps))
}

/// A slip is an error, in place of nothing being done.
pub(super) async fn named_right_if_none(backend: &Backend, wanted: &Wanted) -> Result<(), Error> {
    let one = Wanted { limit: 1, ..wanted.clone() };
    if reading::list(backend.parts.store.as_ref(), &one).await?.is_empty() {
        named_right(backend, wanted).await?;
    }
    Ok(())
}

/// A slip is an error, in place of an empty answer.
async fn named_right(backend: &Backend, wanted: &Wanted) -> Result<(), Error> {
    let (store, names) = (backend.parts.store.as_ref(), backend.parts.guarded.names());
    match journal::misnamed(store, &backend.parts.plans, wanted, &names).await? {
        Some(misnamed) => Err(Error::BadParameter(misnamed.to_string())),
        None => Ok(()),
    }
}

pub(super) async fn counts(
    State(backend): State<Backend>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let asked = checked(query)?;
    let bad = |message: String| Error::BadParameter(message);
    let by = asked.by.as_deref().unwrap_or("status,step,code").split(',').map(str::parse::<counts::By>);
    let by = by.collect::<Result<Vec<counts::By>, String>>().map_err(bad)?;
    let wanted = counts::countable(wanted(&asked, backend.parts.clock.now())?)
        .map_err(|unbounded| bad(format!("{unbounded}: startedWithin=1d")))?;
    let _place = backend.looking.place().await?;
    let groups = counts::count(backend.parts.store.as_ref(), &wanted, &by).await?;
    if groups.is_empty() {
        named_right(&backend, &wanted).await?;
    }
    Ok(Json(json!({"counts": groups})))
}

/// What a filter asks of the store at this time.
pub(super) fn wanted(asked: &Asked, now: Timestamp) -> Result<Wanted, Error> {
    let statuses = asked.status.iter().flat_map(|list| list.split(',')).map(str::parse::<Status>);
    let statuses: Result<Vec<Status>, _> = statuses.collect();
    let waiting_on = asked.waiting_on.as_deref().map(str::parse::<WaitingOn>).transpose();
    let incident = asked.incident.as_deref().map(incident).transpose()?;
    let before = asked.before.as_deref().map(str::parse::<SagaId>).transpose();
    let ago = |span: &Option<String>| span.as_deref().map(|span| ago(span, now)).transpose();
    Ok(Wanted {
        statuses: statuses.map_err(|error| Error::BadParameter(error.to_string()))?,
        saga: asked.saga.clone(),
        key: asked.key.clone(),
        waiting_on: waiting_on.map_err(|error| Error::BadParameter(error.to_string()))?,
        incidents: asked.incidents.unwrap_or_default(),
        incident,
        step: asked.step.clone(),
        code: asked.code.clone(),
        definition: asked.definition.clone(),
        since_before: ago(&asked.older_than)?,
        started_from: ago(&asked.started_within)?,
        only_open: false,
        before: before.map_err(|error| Error::BadParameter(error.to_string()))?,
        limit: limit(asked.limit)?,
    })
}

fn ago(span: &str, now: Timestamp) -> Result<Timestamp, Error> {
    let span = definition::span(span).map_err(Error::BadParameter)?;
    Ok(Timestamp(now.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))))
}

fn incident(word: &str) -> Result<IncidentKind, Error> {
    let known = || IncidentKind::ALL.map(IncidentKind::as_str).join(", ");
    let guess = definition::did_you_mean(word, IncidentKind::ALL.map(IncidentKind::as_str));
    let guess = guess.map(|guess| format!("; {guess}")).unwrap_or_default();
    let unknown =
        || Error::BadParameter(format!("`{word}` is no kind of incident: expected one of {}{guess}", known()));
    IncidentKind::parse(word).ok_or_else(unknown)
}

/// How many lines are asked for.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Error> {
    match asked.unwrap_or(USUAL_LINES) {
        limit @ 1..=MOST_LINES => Ok(limit),
        limit => Err(Error::BadParameter(format!("`limit` is {limit}: expected 1 to {MOST_LINES}"))),
    }
}

/// A saga, and how the guards stand that hold it back, as this engine sees them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Held {
    #[serde(flatten)]
    saga: SagaView,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held_by: Vec<Holding>,
    /// Sagas that had the key before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<String>,
}

pub(super) async fn show(
    State(backend): State<Backend>,
    Path(id): Path<String>,
    named: Result<Query<Named>, QueryRejection>,
) -> Result<Json<Held>, Error> {
    let named = checked(named)?;
    let (shown, earlier) = shown(&backend, named.of(&id)).await?;
    let saga = named.payloads()?.of_saga(shown.view());
    let earlier = earlier.iter().map(ToString::to_string).collect();
    Ok(Json(Held { held_by: backend.parts.guarded.holdings(&saga.waits_on), saga, earlier }))
}

pub(super) async fn history(
    State(backend): State<Backend>,
    Path(id): Path<String>,
    named: Result<Query<Named>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let named = checked(named)?;
    let (shown, _) = shown(&backend, named.of(&id)).await?;
    Ok(Json(json!({"events": named.payloads()?.of_history(shown.history())})))
}

/// The saga as it can be shown, also where its journal cannot be read; and those that had its key before.
pub(super) async fn shown(backend: &Backend, whose: Whose<'_>) -> Result<(Shown, Vec<SagaId>), Error> {
    let _place = backend.looking.place().await?;
    let (id, earlier) = found(backend, whose).await?;
    let shown = shown::show(backend.parts.store.as_ref(), &backend.parts.plans, id).await?;
    Ok((shown.ok_or_else(|| Error::NoSaga(whose.name.to_owned()))?, earlier))
}

pub(super) async fn recorded(backend: &Backend, id: SagaId) -> Result<Recorded, Error> {
    let recorded = journal::read(backend.parts.store.as_ref(), &backend.parts.plans, id).await?;
    recorded.ok_or_else(|| Error::NoSaga(id.to_string()))
}

pub(super) async fn resolve(backend: &Backend, whose: Whose<'_>) -> Result<SagaId, Error> {
    found(backend, whose).await.map(|(id, _)| id)
}

async fn found(backend: &Backend, Whose { name, by, saga }: Whose<'_>) -> Result<(SagaId, Vec<SagaId>), Error> {
    let store = backend.parts.store.as_ref();
    let found = match by {
        By::IdOrKey => reading::find(store, name, saga).await?,
        By::Key => reading::find_key(store, name, saga).await?,
    };
    match found {
        Found::One { id, earlier } => Ok((id, earlier)),
        Found::None => Err(Error::NoSaga(name.to_owned())),
        Found::Several(lines) => {
            let ids = lines.into_iter().map(|line| format!("{} ({})", line.id, line.saga)).collect();
            Err(Error::SeveralSagas(name.to_owned(), ids))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_cannot_be_is_told_and_not_bent() {
        assert!(matches!(limit(None), Ok(USUAL_LINES)));
        assert!(matches!(limit(Some(MOST_LINES)), Ok(MOST_LINES)));
        for wrong in [0, MOST_LINES + 1] {
            assert!(matches!(limit(Some(wrong)), Err(Error::BadParameter(message)) if message.contains("1 to 1000")));
        }
    }

    #[test]
    fn the_next_page_asks_for_the_same_from_the_last_line_on() {
        let asked = Asked { status: Some("parked".into()), key: Some("a&b".into()), ..Asked::default() };
        let page = asked.page(50).expect("a page");
        assert_eq!((page.limit, page.shown()), (Some(51), 50));
        assert_eq!(page.next("7"), "status=parked&key=a%26b&limit=50&before=7");
    }
}
