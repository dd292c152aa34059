//! Which letters a request is about.

use super::super::{errors::ApiError, request};
use crate::{dead_letters::LetterState, time_range::time_range};
use saga_core::{
    definition,
    id::SagaId,
    time::{Timestamp, from_rfc3339},
};
use saga_engine::journal::LetterNames;
use saga_event_store::StoredLetterFilter;
use serde::Deserialize;
use uuid::Uuid;

/// Filters of letters, and the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::api) struct LetterListQuery {
    pub(in crate::api) status: Option<String>,
    pub(in crate::api) code: Option<String>,
    pub(in crate::api) topic: Option<String>,
    /// The topic of dead letters; all without it.
    dlq: Option<String>,
    pub(in crate::api) saga: Option<String>,
    pub(in crate::api) key: Option<String>,
    id: Option<String>,
    fingerprint: Option<String>,
    saga_id: Option<String>,
    since: Option<String>,
    until: Option<String>,
    pub(in crate::api) text: Option<String>,
    before: Option<i64>,
    limit: Option<u32>,
}

impl LetterListQuery {
    /// The filter of a page, with room for one more line, and the lines of the page.
    pub(in crate::api) fn page(&self, now: Timestamp) -> Result<(StoredLetterFilter, usize), ApiError> {
        let limit = request::limit(self.limit)?;
        let filter = StoredLetterFilter { limit: limit + 1, before: self.before, ..self.filter(now)? };
        Ok((filter, usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    /// The filter without a page.
    pub(in crate::api) fn filter(&self, now: Timestamp) -> Result<StoredLetterFilter, ApiError> {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let at = |name: &str, text: &Option<String>| {
            said(text).map(|text| time(name, &text, now)).transpose().map(|time| time.map(|time| time.0))
        };
        let stamp = |ms: Option<i64>| ms.map(Timestamp);
        let (since_ms, until_ms) = (at("since", &self.since)?, at("until", &self.until)?);
        time_range(stamp(since_ms), stamp(until_ms)).map_err(|empty| ApiError::BadParameter(empty.to_string()))?;
        let states = said(&self.status).map(|text| LetterState::all_of(&text)).transpose();
        Ok(StoredLetterFilter {
            topic: said(&self.dlq),
            statuses: states.map_err(ApiError::BadParameter)?.unwrap_or_default(),
            codes: self.codes(),
            origin_topic: said(&self.topic),
            definition: said(&self.saga),
            key: said(&self.key),
            id: said(&self.id),
            fingerprint: said(&self.fingerprint),
            stream: said(&self.saga_id).map(|id| saga_id(&id)).transpose()?,
            since_ms,
            until_ms,
            text: said(&self.text),
            ..StoredLetterFilter::default()
        })
    }

    /// The codes that it names.
    pub(in crate::api) fn codes(&self) -> Vec<String> {
        let codes = named(&self.code).map(|text| text.split(',').map(|code| code.trim().to_owned()).collect());
        codes.unwrap_or_default()
    }

    /// The topic of dead letters that it names.
    pub(in crate::api) fn dlq(&self) -> Option<&str> {
        named(&self.dlq)
    }

    /// The names in it.
    pub(in crate::api) fn names(&self) -> LetterNames<'_> {
        LetterNames { saga: named(&self.saga), topic: named(&self.topic), cause: named(&self.fingerprint) }
    }

    /// Whether it chooses all letters.
    pub(in crate::api) fn is_everything(&self) -> bool {
        let said = |text: Option<&str>| text.is_some_and(|text| !text.trim().is_empty());
        !self.fields().into_iter().any(|(_, text)| said(text)) && self.before.is_none() && self.limit.is_none()
    }

    /// The filter in words, for the record of a job.
    pub(in crate::api) fn told(&self) -> String {
        let said = self.fields().into_iter().filter_map(|(name, text)| Some(format!("{name}={}", text?)));
        said.collect::<Vec<_>>().join(" ")
    }

    /// What is said, by the names of the query.
    pub(in crate::api) fn fields(&self) -> [(&'static str, Option<&str>); 12] {
        let LetterListQuery {
            status,
            code,
            topic,
            dlq,
            saga,
            key,
            id,
            fingerprint,
            saga_id,
            since,
            until,
            text,
            before: _,
            limit: _,
        } = self;
        [
            ("status", status.as_deref()),
            ("code", code.as_deref()),
            ("topic", topic.as_deref()),
            ("dlq", dlq.as_deref()),
            ("saga", saga.as_deref()),
            ("key", key.as_deref()),
            ("id", id.as_deref()),
            ("fingerprint", fingerprint.as_deref()),
            ("sagaId", saga_id.as_deref()),
            ("since", since.as_deref()),
            ("until", until.as_deref()),
            ("text", text.as_deref()),
        ]
    }
}

fn saga_id(text: &str) -> Result<Uuid, ApiError> {
    let id = text.trim().parse::<SagaId>();
    id.map(SagaId::uuid).map_err(|error| ApiError::BadParameter(format!("`sagaId`: {error}")))
}

fn named(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

/// A time, or how long ago.
pub(super) fn time(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let ago = |text: &str| {
        let span = definition::span(text).ok()?;
        Some(Timestamp(now.0.saturating_sub(i64::try_from(span.as_millis()).ok()?)))
    };
    from_rfc3339(text).or_else(|| ago(text)).ok_or_else(|| {
        ApiError::BadParameter(format!("`{name}` is `{text}`: expected a time (RFC 3339), or how long ago, like 7d"))
    })
}
