//! The query about sagas: filters, grouping and page.

use super::{errors::ApiError, request::limit};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use saga_core::{
    definition,
    id::SagaId,
    incident::IncidentKind,
    state::SagaStatus,
    time::{Timestamp, from_rfc3339},
};
use saga_engine::journal::{
    counts::{CountDimension, SagaGroup},
    reading::{GuardFilter, SagaQuery},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// Bytes of a text that is searched for.
const SEARCHED_BYTES: RangeInclusive<usize> = 2..=256;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SagaListQuery {
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
    /// Times, RFC 3339.
    started_after: Option<String>,
    started_before: Option<String>,
    ended_after: Option<String>,
    ended_before: Option<String>,
    /// A part of the reason.
    reason_has: Option<String>,
    /// A part of the key, the name, the step, the code or the reason.
    text: Option<String>,
    /// For counts: the properties of the groups.
    by: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

impl SagaListQuery {
    /// The same for a page of at most `size` lines, and one more line that shows whether another page follows.
    pub(super) fn page(mut self, size: u32) -> Result<SagaListQuery, ApiError> {
        self.limit = Some(limit(Some(self.limit.unwrap_or(size)))?.min(size) + 1);
        Ok(self)
    }

    /// The same without empty values: a form sends its empty fields, too.
    pub(super) fn without_blanks(self) -> SagaListQuery {
        let said = |text: Option<String>| text.filter(|text| !is_blank(text));
        SagaListQuery {
            status: said(self.status),
            saga: said(self.saga),
            key: said(self.key),
            waiting_on: said(self.waiting_on),
            incident: said(self.incident),
            step: said(self.step),
            code: said(self.code),
            definition: said(self.definition),
            older_than: said(self.older_than),
            started_within: said(self.started_within),
            started_after: said(self.started_after),
            started_before: said(self.started_before),
            ended_after: said(self.ended_after),
            ended_before: said(self.ended_before),
            reason_has: said(self.reason_has),
            text: said(self.text),
            by: said(self.by),
            before: said(self.before),
            incidents: self.incidents,
            limit: self.limit,
        }
    }

    /// The name of the definition, if it is given.
    pub(super) fn of_saga(&self) -> Option<String> {
        self.saga.clone().filter(|name| !is_blank(name))
    }

    /// The query for the sagas of a group.
    pub(super) fn of(group: &SagaGroup) -> SagaListQuery {
        SagaListQuery {
            status: group.status.clone(),
            saga: group.saga.clone(),
            step: group.step.clone(),
            code: group.code.clone(),
            waiting_on: group.waiting_on.first().cloned(),
            definition: group.definition.clone(),
            ..SagaListQuery::default()
        }
    }

    /// The properties of the groups.
    pub(super) fn counted_by(&self) -> Result<Vec<CountDimension>, String> {
        self.by.as_deref().unwrap_or("status,step,code").split(',').map(str::parse).collect()
    }

    pub(super) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    pub(super) fn saga(&self) -> &str {
        self.saga.as_deref().unwrap_or_default()
    }

    pub(super) fn step(&self) -> &str {
        self.step.as_deref().unwrap_or_default()
    }

    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    pub(super) fn status(&self) -> &str {
        self.status.as_deref().unwrap_or_default()
    }

    pub(super) fn waiting_on(&self) -> &str {
        self.waiting_on.as_deref().unwrap_or_default()
    }

    pub(super) fn started_after(&self) -> &str {
        self.started_after.as_deref().unwrap_or_default()
    }

    pub(super) fn started_before(&self) -> &str {
        self.started_before.as_deref().unwrap_or_default()
    }

    pub(super) fn ended_after(&self) -> &str {
        self.ended_after.as_deref().unwrap_or_default()
    }

    pub(super) fn ended_before(&self) -> &str {
        self.ended_before.as_deref().unwrap_or_default()
    }

    pub(super) fn reason_has(&self) -> &str {
        self.reason_has.as_deref().unwrap_or_default()
    }

    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    pub(super) fn only_incidents(&self) -> bool {
        self.incidents.unwrap_or_default()
    }

    /// Whether the query chooses all sagas.
    pub(super) fn is_everything(&self) -> bool {
        self.fields().iter().all(|(_, value)| value.is_none_or(|text| text.is_empty() || text == "false"))
    }

    /// Number of lines that are shown.
    pub(super) fn shown(&self) -> usize {
        self.limit.map_or(0, |limit| usize::try_from(limit - 1).unwrap_or(usize::MAX))
    }

    /// The first parameter with an empty value.
    pub(super) fn blank(&self) -> Option<&'static str> {
        self.fields().into_iter().find(|(_, value)| value.is_some_and(is_blank)).map(|(name, _)| name)
    }

    /// The first parameter that is only for lists and counts.
    pub(super) fn of_lists(&self) -> Option<&'static str> {
        let of_lists = [("limit", self.limit.is_some()), ("by", self.by.is_some())];
        of_lists.into_iter().find(|(_, is_there)| *is_there).map(|(name, _)| name)
    }

    /// The filter as text for the record of a job.
    pub(super) fn told(&self) -> String {
        let pairs = self.fields().into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        pairs.collect::<Vec<_>>().join(" ")
    }

    fn fields(&self) -> [(&'static str, Option<&str>); 17] {
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
            ("startedAfter", self.started_after.as_deref()),
            ("startedBefore", self.started_before.as_deref()),
            ("endedAfter", self.ended_after.as_deref()),
            ("endedBefore", self.ended_before.as_deref()),
            ("reasonHas", self.reason_has.as_deref()),
            ("text", self.text.as_deref()),
        ]
    }

    /// The same as the `filter` of a job.
    pub(super) fn filter(&self) -> Map<String, Value> {
        let pairs = self.fields().into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        pairs.collect()
    }

    /// The same as the query of a URL.
    pub(super) fn query(&self) -> String {
        query(self.fields())
    }

    /// The query of the page after the saga `last`.
    pub(super) fn next(&self, last: &str) -> String {
        let limit = self.shown().to_string();
        let more = [("limit", Some(limit.as_str())), ("before", Some(last))];
        query(self.fields().into_iter().chain(more))
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// The pairs as a query; those without a value are left out.
pub(super) fn query<'a>(pairs: impl IntoIterator<Item = (&'static str, Option<&'a str>)>) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
    pairs.collect::<Vec<_>>().join("&")
}

/// The query for the store; spans of time end at `now`.
pub(super) fn wanted(asked: &SagaListQuery, now: Timestamp) -> Result<SagaQuery, ApiError> {
    let statuses = asked.status.iter().flat_map(|list| list.split(',')).map(str::parse::<SagaStatus>);
    let statuses: Result<Vec<SagaStatus>, _> = statuses.collect();
    let waiting_on = asked.waiting_on.as_deref().map(str::parse::<GuardFilter>).transpose();
    let incident = asked.incident.as_deref().map(incident).transpose()?;
    let before = asked.before.as_deref().map(str::parse::<SagaId>).transpose();
    let ago = |span: &Option<String>| span.as_deref().map(|span| ago(span, now)).transpose();
    let started_after = time("startedAfter", asked.started_after.as_deref())?;
    Ok(SagaQuery {
        statuses: statuses.map_err(|error| ApiError::BadParameter(error.to_string()))?,
        saga: asked.saga.clone(),
        key: asked.key.clone(),
        waiting_on: waiting_on.map_err(|error| ApiError::BadParameter(error.to_string()))?,
        incidents: asked.incidents.unwrap_or_default(),
        incident,
        step: asked.step.clone(),
        code: asked.code.clone(),
        definition: asked.definition.clone(),
        since_before: ago(&asked.older_than)?,
        started_from: ago(&asked.started_within)?.max(started_after),
        started_before: time("startedBefore", asked.started_before.as_deref())?,
        ended_from: time("endedAfter", asked.ended_after.as_deref())?,
        ended_before: time("endedBefore", asked.ended_before.as_deref())?,
        reason: part("reasonHas", asked.reason_has.as_deref())?,
        text: part("text", asked.text.as_deref())?,
        only_open: false,
        before: before.map_err(|error| ApiError::BadParameter(error.to_string()))?,
        limit: limit(asked.limit)?,
    })
}

fn time(parameter: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let bad = |text: &str| {
        ApiError::BadParameter(format!("`{parameter}` is `{text}`: expected a time like 2026-01-31T12:00:00Z"))
    };
    text.map(|text| from_rfc3339(text).ok_or_else(|| bad(text))).transpose()
}

/// A text that is searched for. Short ones are in nearly every saga.
fn part(parameter: &str, text: Option<&str>) -> Result<Option<String>, ApiError> {
    match text {
        Some(text) if !SEARCHED_BYTES.contains(&text.len()) => {
            let (least, most) = (SEARCHED_BYTES.start(), SEARCHED_BYTES.end());
            Err(ApiError::BadParameter(format!("`{parameter}` has {} bytes: expected {least} to {most}", text.len())))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn ago(span: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let span = definition::span(span).map_err(ApiError::BadParameter)?;
    Ok(now.minus(span))
}

fn incident(word: &str) -> Result<IncidentKind, ApiError> {
    let known = || IncidentKind::ALL.map(IncidentKind::as_str).join(", ");
    let guess = definition::or_did_you_mean(word, IncidentKind::ALL.map(IncidentKind::as_str));
    let unknown =
        || ApiError::BadParameter(format!("`{word}` is not a kind of incident: expected one of {}{guess}", known()));
    IncidentKind::parse(word).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_asks_for_the_same_from_the_last_line_on() {
        let asked =
            SagaListQuery { status: Some("parked".into()), key: Some("a&b".into()), ..SagaListQuery::default() };
        let page = asked.page(50).expect("a page");
        assert_eq!((page.limit, page.shown()), (Some(51), 50));
        assert_eq!(page.next("7"), "status=parked&key=a%26b&limit=50&before=7");
    }

    #[test]
    fn a_time_and_a_text_that_cannot_be_searched_for_are_told() {
        let now = Timestamp(2_000_000_000_000);
        let said = |asked: SagaListQuery| match wanted(&asked, now) {
            Err(ApiError::BadParameter(message)) => message,
            other => panic!("{other:?}"),
        };
        let of = |time: &str| SagaListQuery { ended_after: Some(time.into()), ..SagaListQuery::default() };
        assert!(said(of("yesterday")).starts_with("`endedAfter` is `yesterday`: expected a time"));
        let text = |text: &str| SagaListQuery { text: Some(text.into()), ..SagaListQuery::default() };
        assert_eq!(said(text("a")), "`text` has 1 bytes: expected 2 to 256");
        let both = SagaListQuery {
            started_within: Some("1h".into()),
            started_after: Some("2001-01-01T00:00:00Z".into()),
            ..SagaListQuery::default()
        };
        assert_eq!(wanted(&both, now).expect("a query").started_from, Some(Timestamp(2_000_000_000_000 - 3_600_000)));
    }
}
