//! Lists, single sagas and their histories as JSON, with the same keys as on the command line.

use super::{
    ApiState,
    auth::ApiCaller,
    content_reads,
    errors::ApiError,
    request::checked,
    saga_query::{SagaListQuery, wanted},
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use saga_core::{
    describe::{SagaView, StepPhase},
    id::SagaId,
};
use saga_engine::archiving::left::{LeftSagaError, LeftSagaLookup};
use saga_engine::journal::{
    RecordedSaga, counts,
    difference::SagaDifference,
    payloads::PayloadDetail,
    point::{HistoryPoint, HistoryPointError},
    reading::{RefreshScope, SagaLookup, SagaQuery},
    search::FoundSagas,
    shown::SagaDisplay,
};
use saga_resilience::registry::blocking_guard::BlockingGuardView;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The definition, if sagas of several definitions have the key, and how much of payloads is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SagaLookupQuery {
    saga: Option<String>,
    /// The business key, instead of the last part of the path: `.` and `..` cannot be in a path.
    key: Option<String>,
    /// `full`, or `short`, which is the default.
    payloads: Option<String>,
    /// `shown`, or `masked`, which is the default.
    pub(super) sensitive: Option<String>,
    /// A version or a time: the saga as it was then.
    at: Option<String>,
}

/// The two points of a comparison.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SagaDifferenceQuery {
    saga: Option<String>,
    key: Option<String>,
    sensitive: Option<String>,
    from: String,
    to: String,
}

/// Names one saga by its id or its business key.
#[derive(Clone, Copy, Debug)]
pub(super) struct SagaReference<'a> {
    name: &'a str,
    by: SagaReferenceKind,
    saga: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SagaReferenceKind {
    IdOrKey,
    Key,
}

impl SagaLookupQuery {
    /// Of parameters that stand beside others.
    pub(super) fn named(saga: Option<String>, key: Option<String>, payloads: Option<String>) -> SagaLookupQuery {
        SagaLookupQuery { saga, key, payloads, sensitive: None, at: None }
    }

    /// Together with the last part of the path.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> SagaReference<'a> {
        let saga = self.saga.as_deref();
        match self.key.as_deref() {
            Some(key) => SagaReference { name: key, by: SagaReferenceKind::Key, saga },
            None => SagaReference { name, by: SagaReferenceKind::IdOrKey, saga },
        }
    }

    /// The point in the history at which the saga is shown; `None`: as it is.
    pub(super) fn at(&self) -> Result<Option<HistoryPoint>, ApiError> {
        self.at.as_deref().map(|text| point("at", text)).transpose()
    }

    pub(super) fn payloads(&self) -> Result<PayloadDetail, ApiError> {
        match self.payloads.as_deref() {
            None | Some("short") => Ok(PayloadDetail::Short),
            Some("full") => Ok(PayloadDetail::Full),
            Some(other) => Err(ApiError::BadParameter(format!("`payloads` is `{other}`: expected short or full"))),
        }
    }
}

fn point(parameter: &str, text: &str) -> Result<HistoryPoint, ApiError> {
    text.parse().map_err(|error: HistoryPointError| ApiError::BadParameter(format!("`{parameter}`: {error}")))
}

pub(super) async fn list(
    State(backend): State<ApiState>,
    query: Result<Query<SagaListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = checked(query)?;
    let FoundSagas { lines, searched_to } = lines(&backend, &asked).await?;
    if lines.is_empty()
        && searched_to.is_none()
        && let Some(slip) = slip(&backend, &asked).await?
    {
        return Err(ApiError::Misnamed(slip));
    }
    let next = searched_to.map(|saga| saga.to_string()).or_else(|| lines.last().map(|line| line.id.clone()));
    Ok(Json(json!({"sagas": lines, "next": next})))
}

async fn lines(backend: &ApiState, asked: &SagaListQuery) -> Result<FoundSagas, ApiError> {
    let wanted = wanted(asked, backend.query.now())?;
    let _permit = backend.journal_permits.acquire().await?;
    let mut page = backend.query.search(&wanted).await?;
    let scope = RefreshScope::of_list(page.lines.len());
    backend.query.refresh(&mut page.lines, scope).await?;
    Ok(page)
}

/// The steps of sagas, in the order of their definitions.
pub(super) type StepsOfSagas = HashMap<SagaId, Vec<(String, StepPhase)>>;

/// A page of the list, and the steps of the sagas whose journals were read.
pub(super) async fn lines_and_steps(
    backend: &ApiState,
    asked: &SagaListQuery,
) -> Result<(FoundSagas, StepsOfSagas), ApiError> {
    let wanted = wanted(asked, backend.query.now())?;
    let _permit = backend.journal_permits.acquire().await?;
    let mut page = backend.query.search(&wanted).await?;
    let steps = backend.query.refresh(&mut page.lines, RefreshScope::All).await?;
    Ok((page, steps))
}

/// A mistyped name is an error, instead of an act on no saga.
pub(super) async fn named_right_if_none(backend: &ApiState, wanted: &SagaQuery) -> Result<(), ApiError> {
    let one = SagaQuery { limit: 1, ..wanted.clone() };
    if backend.query.list(&one).await?.is_empty() {
        named_right(backend, wanted).await?;
    }
    Ok(())
}

/// A mistyped name is an error, instead of an empty answer.
pub(super) async fn named_right(backend: &ApiState, wanted: &SagaQuery) -> Result<(), ApiError> {
    match misnamed(backend, wanted).await? {
        Some(slip) => Err(ApiError::Misnamed(slip)),
        None => Ok(()),
    }
}

/// The message about a name in the query that nothing has, with a guess at the right name.
pub(super) async fn slip(backend: &ApiState, asked: &SagaListQuery) -> Result<Option<String>, ApiError> {
    misnamed(backend, &wanted(asked, backend.query.now())?).await
}

async fn misnamed(backend: &ApiState, wanted: &SagaQuery) -> Result<Option<String>, ApiError> {
    Ok(backend.query.misnamed(wanted).await?.map(|slip| slip.to_string()))
}

pub(super) async fn counts(
    State(backend): State<ApiState>,
    query: Result<Query<SagaListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = checked(query)?;
    let bad = |message: String| ApiError::BadParameter(message);
    let by = asked.counted_by().map_err(bad)?;
    let wanted = counts::countable(wanted(&asked, backend.query.now())?)
        .map_err(|unbounded| bad(format!("{unbounded}: startedWithin=1d")))?;
    let _permit = backend.journal_permits.acquire().await?;
    let groups = backend.query.count(&wanted, &by).await?;
    if groups.is_empty() {
        named_right(&backend, &wanted).await?;
    }
    Ok(Json(json!({"counts": groups})))
}

/// A saga, and the state of the guards that hold it back on this engine.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SagaResponse {
    #[serde(flatten)]
    saga: SagaView,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held_by: Vec<BlockingGuardView>,
    /// Ids of older sagas with the same key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<String>,
}

pub(super) async fn show(
    State(backend): State<ApiState>,
    Path(id): Path<String>,
    caller: ApiCaller,
    named: Result<Query<SagaLookupQuery>, QueryRejection>,
) -> Result<Json<SagaResponse>, ApiError> {
    let named = checked(named)?;
    let (shown, earlier) = shown(&backend, named.of(&id), named.at()?).await?;
    let payloads = caller.payloads(named.payloads()?);
    let sensitive = caller.sensitive(named.sensitive.as_deref())?;
    let view = backend.query.with_rerun(shown.view(sensitive)).await?;
    content_reads::seen(&backend, &caller, (payloads, sensitive), &view.id).await?;
    let saga = payloads.of_saga(view);
    let earlier = earlier.iter().map(ToString::to_string).collect();
    Ok(Json(SagaResponse { held_by: backend.query.blocking_guards(&saga.waits_on), saga, earlier }))
}

pub(super) async fn history(
    State(backend): State<ApiState>,
    Path(id): Path<String>,
    caller: ApiCaller,
    named: Result<Query<SagaLookupQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let named = checked(named)?;
    let (shown, _) = shown(&backend, named.of(&id), named.at()?).await?;
    let sensitive = caller.sensitive(named.sensitive.as_deref())?;
    let payloads = caller.payloads(named.payloads()?);
    content_reads::seen(&backend, &caller, (payloads, sensitive), &shown.view(sensitive).id).await?;
    Ok(Json(json!({"events": payloads.of_history(shown.history(sensitive))})))
}

pub(super) async fn difference(
    State(backend): State<ApiState>,
    Path(id): Path<String>,
    caller: ApiCaller,
    query: Result<Query<SagaDifferenceQuery>, QueryRejection>,
) -> Result<Json<SagaDifference>, ApiError> {
    let SagaDifferenceQuery { saga, key, sensitive, from, to } = checked(query)?;
    let sensitive = caller.sensitive(sensitive.as_deref())?;
    let named = SagaLookupQuery { saga, key, ..SagaLookupQuery::default() };
    let points = [point("from", &from)?, point("to", &to)?];
    let _permit = backend.journal_permits.acquire().await?;
    let (id, _) = found(&backend, named.of(&id)).await?;
    match backend.query.difference(id, points, sensitive).await? {
        Some(difference) => {
            let payloads = caller.payloads(PayloadDetail::Full);
            content_reads::seen(&backend, &caller, (payloads, sensitive), &id.to_string()).await?;
            Ok(Json(payloads.of_difference(difference)))
        }
        None => Err(not_in_store(&backend, &id.to_string(), None).await),
    }
}

/// The saga as it can be shown, even if its journal cannot be read, and older sagas with the same key.
pub(super) async fn shown(
    backend: &ApiState,
    whose: SagaReference<'_>,
    at: Option<HistoryPoint>,
) -> Result<(SagaDisplay, Vec<SagaId>), ApiError> {
    let _permit = backend.journal_permits.acquire().await?;
    let (id, earlier) = found(backend, whose).await?;
    match backend.query.show(id, at).await? {
        Some(shown) => Ok((shown, earlier)),
        None => Err(not_in_store(backend, whose.name, whose.saga).await),
    }
}

/// The version of the last row of the saga that was shown.
pub(super) async fn last_version(backend: &ApiState, id: &str) -> Result<u32, ApiError> {
    let id: SagaId = id.parse().map_err(|_| ApiError::NoSaga(id.to_owned()))?;
    Ok(backend.query.last_version(id).await?.unwrap_or_default())
}

pub(super) async fn recorded(backend: &ApiState, id: SagaId) -> Result<RecordedSaga, ApiError> {
    match backend.query.read(id).await? {
        Some(recorded) => Ok(recorded),
        None => Err(not_in_store(backend, &id.to_string(), None).await),
    }
}

pub(super) async fn resolve(backend: &ApiState, whose: SagaReference<'_>) -> Result<SagaId, ApiError> {
    found(backend, whose).await.map(|(id, _)| id)
}

async fn found(
    backend: &ApiState,
    SagaReference { name, by, saga }: SagaReference<'_>,
) -> Result<(SagaId, Vec<SagaId>), ApiError> {
    let found = match by {
        SagaReferenceKind::IdOrKey => backend.query.find(name, saga).await?,
        SagaReferenceKind::Key => backend.query.find_key(name, saga).await?,
    };
    match found {
        SagaLookup::One { id, earlier } => Ok((id, earlier)),
        SagaLookup::None => Err(not_in_store(backend, name, saga).await),
        SagaLookup::Several(lines) => {
            let ids = lines.into_iter().map(|line| format!("{} ({})", line.id, line.saga)).collect();
            Err(ApiError::SeveralSagas(name.to_owned(), ids))
        }
    }
}

/// A mistyped name of a definition is an error.
pub(super) async fn known_saga(backend: &ApiState, name: &str) -> Result<(), ApiError> {
    match backend.query.unknown_saga(name).await? {
        Some(slip) => Err(ApiError::Misnamed(slip.to_string())),
        None => Ok(()),
    }
}

/// The error for a saga that the store does not have: it went to an archive, or it was never there.
pub(super) async fn not_in_store(backend: &ApiState, name: &str, saga: Option<&str>) -> ApiError {
    if let Some(saga) = saga
        && let Err(error) = known_saga(backend, saga).await
    {
        return error;
    }
    match backend.operator.find_left(name, saga).await {
        Ok(LeftSagaLookup::One(left)) => ApiError::Archived(left),
        Ok(LeftSagaLookup::None) => ApiError::NoSaga(name.to_owned()),
        Ok(LeftSagaLookup::Several(sagas)) => {
            let ids = sagas.into_iter().map(|(id, saga)| format!("{id} ({saga})")).collect();
            ApiError::SeveralSagas(name.to_owned(), ids)
        }
        Err(LeftSagaError::Store(error)) => error.into(),
        Err(error @ (LeftSagaError::Archive { .. } | LeftSagaError::NoFolder { .. })) => {
            ApiError::ArchiveUnread(error.to_string())
        }
    }
}
