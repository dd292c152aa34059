//! `/api/dead-letters`: the table of dead letters, and what people decide about them.

mod jobs;
mod query;
mod shown;

pub(super) use jobs::{act as act_on_job, begin as begin_job, list as jobs, show as show_job};
pub(super) use query::LetterListQuery;
pub(crate) use shown::LetterLineView;

use super::{
    ApiState,
    acts::{ActStatus, OperatorStatement, to_its_end},
    errors::{ApiError, RequestBodyKind},
    request,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::HeaderMap,
};
use saga_core::time::Timestamp;
use saga_engine::letters::{EditedRecord, LetterDesk, LetterError, LetterMove, MendError};
use saga_event_store::{LetterOrder, StoredLetterFilter};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The largest body: a record of 1 MiB in base64, with room for its headers.
pub(super) const BODY_BYTES: usize = 2 * 1024 * 1024;
/// The period that counts as recent in the statistics.
const DAY_MS: i64 = 24 * 3600 * 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LetterActBody {
    id: Option<Uuid>,
    who: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LetterEditBody {
    id: Option<Uuid>,
    who: String,
    reason: String,
    /// `null`: the edit that is kept is removed.
    record: Option<EditedRecord>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LetterPurgeBody {
    id: Option<Uuid>,
    who: String,
    reason: String,
    ended_before: String,
}

/// The handle for letters.
pub(super) fn desk(backend: &ApiState) -> Result<&LetterDesk, ApiError> {
    let missing = || {
        ApiError::NoLetters(
            "this engine follows no topic of dead letters: `saga dlq list` and `show` read a topic without an engine"
                .to_owned(),
        )
    };
    backend.letters.as_ref().ok_or_else(missing)
}

pub(super) async fn list(
    State(backend): State<ApiState>,
    asked: Result<Query<LetterListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = request::checked(asked)?;
    let (filter, size) = asked.page(backend.query.now())?;
    let desk = desk(&backend)?;
    let mut letters = desk.list(filter, LetterOrder::Newest).await?;
    if letters.is_empty() {
        named_right(&backend, desk, &asked).await?;
    }
    let has_more = letters.len() > size;
    letters.truncate(size);
    let next = letters.last().filter(|_| has_more).map(|letter| letter.number);
    let lines: Vec<LetterLineView> = letters.into_iter().map(LetterLineView::of).collect();
    Ok(Json(json!({"letters": lines, "next": next})))
}

/// A mistyped name is an error, instead of an empty answer.
async fn named_right(backend: &ApiState, desk: &LetterDesk, asked: &LetterListQuery) -> Result<(), ApiError> {
    match slip(backend, desk, asked).await? {
        Some(slip) => Err(ApiError::MisnamedLetter(slip)),
        None => Ok(()),
    }
}

/// The same for a job that chooses letters.
async fn named_right_if_none(backend: &ApiState, asked: &LetterListQuery) -> Result<(), ApiError> {
    let desk = desk(backend)?;
    let one = StoredLetterFilter { limit: 1, ..asked.filter(backend.query.now())? };
    match desk.list(one, LetterOrder::Newest).await?.as_slice() {
        [] => named_right(backend, desk, asked).await,
        _ => Ok(()),
    }
}

/// The message about a name in the query that nothing has, with a guess at the right name.
pub(super) async fn slip(
    backend: &ApiState,
    desk: &LetterDesk,
    asked: &LetterListQuery,
) -> Result<Option<String>, ApiError> {
    let unknown = backend.query.misnamed_letters(desk.topic(), &asked.names()).await?;
    Ok(unknown.map(|unknown| unknown.to_string()))
}

pub(super) async fn show(
    State(backend): State<ApiState>,
    Path((partition, offset)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (partition, offset) = place(&partition, &offset)?;
    let detail = desk(&backend)?.show(partition, offset).await?;
    Ok(Json(shown::detail(detail)))
}

pub(super) async fn stats(State(backend): State<ApiState>) -> Result<Json<Value>, ApiError> {
    let now = backend.query.now().0;
    let groups = desk(&backend)?.groups((now - DAY_MS, now - 2 * DAY_MS)).await?;
    Ok(Json(shown::groups(&groups)))
}

pub(super) async fn act(
    State(backend): State<ApiState>,
    Path((partition, offset, action)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let place = place(&partition, &offset)?;
    let what = match action.as_str() {
        "review" => LetterMove::Review,
        "discard" => LetterMove::Discard,
        "reopen" => LetterMove::Reopen,
        "edit" => return edit(backend, place, &headers, &body).await,
        "redrive" => return jobs::redrive_one(backend, place, &headers, &body).await,
        other => {
            let expected = "expected review, discard, reopen, edit or redrive";
            return Err(ApiError::NoRoute(format!("…/{other}: {expected}")));
        }
    };
    let asked: LetterActBody = request::read(RequestBodyKind::LetterAct, &headers, &body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let statement = OperatorStatement::checked(asked.who, asked.reason)?;
    let (desk, by) = (desk(&backend)?.clone(), statement.clone());
    let done = to_its_end(async move { desk.act(place, what, &id.to_string(), (&by.who, &by.reason)).await });
    let letter = done.await.map_err(|error| ApiError::StoreAway(error.to_string()))??;
    statement.log(what.as_str(), format_args!("{}/{}", place.0, place.1), id, ActStatus::Applied);
    Ok(Json(json!({"status": ActStatus::Applied, "id": id, "letter": LetterLineView::of(letter)})))
}

async fn edit(backend: ApiState, place: (i32, i64), headers: &HeaderMap, body: &[u8]) -> Result<Json<Value>, ApiError> {
    let asked: LetterEditBody = request::read(RequestBodyKind::LetterEdit, headers, body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let statement = OperatorStatement::checked(asked.who, asked.reason)?;
    let (desk, by) = (desk(&backend)?.clone(), statement.clone());
    let done = to_its_end(async move { desk.edit(place, asked.record, &id.to_string(), (&by.who, &by.reason)).await });
    let (letter, leads_to) = done.await.map_err(|error| ApiError::StoreAway(error.to_string()))??;
    statement.log("edit dead letter", format_args!("{}/{}", place.0, place.1), id, ActStatus::Applied);
    let letter = LetterLineView::of(letter);
    Ok(Json(json!({"status": ActStatus::Applied, "id": id, "letter": letter, "leadsTo": leads_to})))
}

pub(super) async fn purge(
    State(backend): State<ApiState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let asked: LetterPurgeBody = request::read(RequestBodyKind::LetterPurge, &headers, &body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let before = query::time("endedBefore", &asked.ended_before, backend.query.now())
        .map_err(|error| ApiError::BadValue(error.to_string()))?;
    let statement = OperatorStatement::checked(asked.who, asked.reason)?;
    let (desk, by) = (desk(&backend)?.clone(), statement.clone());
    let Timestamp(before) = before;
    let done = to_its_end(async move { desk.purge(before, id, (&by.who, &by.reason)).await });
    let removed = done.await.map_err(|error| ApiError::StoreAway(error.to_string()))??;
    statement.log("purge dead letters", format_args!("{removed} rows"), id, ActStatus::Applied);
    Ok(Json(json!({"status": ActStatus::Applied, "id": id, "removed": removed})))
}

/// A place from a path.
pub(super) fn place(partition: &str, offset: &str) -> Result<(i32, i64), ApiError> {
    let place = partition.parse().ok().zip(offset.parse().ok());
    place.filter(|(partition, offset)| *partition >= 0 && *offset >= 0).ok_or_else(|| {
        ApiError::BadPath(format!("`{partition}/{offset}` is no place: expected partition and offset, like 0/17"))
    })
}

impl From<LetterError> for ApiError {
    fn from(error: LetterError) -> ApiError {
        match error {
            LetterError::Unknown(_) => ApiError::NoLetters(error.to_string()),
            LetterError::Refused(..) | LetterError::Gone(_) => ApiError::LetterRefused(error.to_string()),
            LetterError::Mend(MendError::Unfit(_) | MendError::Poison { .. }) => {
                ApiError::LetterRefused(error.to_string())
            }
            LetterError::Store(error) => error.into(),
        }
    }
}
