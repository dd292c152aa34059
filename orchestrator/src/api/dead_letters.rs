//! `/api/dead-letters`: the table of dead letters, and what people decide about them.

mod importing;
mod jobs;
mod query;
mod shown;

pub(super) use importing::import;
pub(super) use jobs::{act as act_on_job, begin as begin_job, list as jobs, show as show_job};
pub(super) use query::LetterListQuery;
pub(crate) use shown::LetterLineView;
pub(super) use shown::{masked_text, told_of_avro};

use super::{
    ApiState,
    acts::{ActStatus, OperatorStatement, to_its_end},
    auth::ApiCaller,
    content_reads,
    errors::{ApiError, RequestBodyKind},
    request,
};
use crate::dead_letters::{DAY_MS, LetterAddress, unknown_code};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::HeaderMap,
};
use saga_core::definition::SensitivePaths;
use saga_core::{definition::or_did_you_mean, time::Timestamp};
use saga_engine::journal::{payloads::PayloadDetail, sensitive::SensitiveDetail};
use saga_engine::letters::{
    EditedValue, LetterDesk, LetterDetail, LetterError, LetterMove, MendError, RecordEdit, letter_place,
};
use saga_event_store::{LetterCoordinates, LetterOrder, StoredLetterFilter};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use uuid::Uuid;

/// The largest body: a record of 1 MiB in base64, with room for its headers.
pub(super) const BODY_BYTES: usize = 2 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LetterActBody {
    id: Option<Uuid>,
    who: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LetterEditBody {
    id: Option<Uuid>,
    who: Option<String>,
    reason: String,
    /// `null`: the edit that is kept is removed.
    record: Option<EditedRecordBody>,
}

/// A record with its value as bytes in base64, or as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditedRecordBody {
    key: Option<String>,
    value: Option<String>,
    #[serde(default, deserialize_with = "given")]
    json: Option<Value>,
    headers: Vec<(String, Option<String>)>,
}

/// Also `null` is a value that is given.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl EditedRecordBody {
    fn checked(self) -> Result<RecordEdit, ApiError> {
        let EditedRecordBody { key, value, json, headers } = self;
        let value = match (value, json) {
            (Some(_), Some(_)) => {
                let said =
                    "`record` has `value` and `json`: write the bytes in `value`, or the value in `json`, not both";
                return Err(ApiError::BadValue(said.to_owned()));
            }
            (value, None) => EditedValue::Bytes(value),
            (None, Some(json)) => EditedValue::Json(json),
        };
        Ok(RecordEdit { key, value, headers })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LetterPurgeBody {
    id: Option<Uuid>,
    who: Option<String>,
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
        named_right(&backend, &asked).await?;
    }
    let has_more = letters.len() > size;
    letters.truncate(size);
    let next = letters.last().filter(|_| has_more).map(|letter| letter.number);
    let lines: Vec<LetterLineView> =
        letters.into_iter().map(|letter| LetterLineView::of(letter, desk.topic())).collect();
    Ok(Json(json!({"letters": lines, "next": next})))
}

/// A mistyped name is an error, instead of an empty answer.
async fn named_right(backend: &ApiState, asked: &LetterListQuery) -> Result<(), ApiError> {
    match slip(backend, asked).await? {
        Some(slip) => Err(ApiError::MisnamedLetter(slip)),
        None => Ok(()),
    }
}

/// The same for a job that chooses letters.
async fn named_right_if_none(backend: &ApiState, asked: &LetterListQuery) -> Result<(), ApiError> {
    let desk = desk(backend)?;
    let one = StoredLetterFilter { limit: 1, ..asked.filter(backend.query.now())? };
    match desk.list(one, LetterOrder::Newest).await?.as_slice() {
        [] => named_right(backend, asked).await,
        _ => Ok(()),
    }
}

/// The message about a name in the query that nothing has, with a guess at the right name.
pub(super) async fn slip(backend: &ApiState, asked: &LetterListQuery) -> Result<Option<String>, ApiError> {
    if let Some(unknown) = unknown_topic(backend, asked.dlq()).await? {
        return Ok(Some(unknown));
    }
    if let Some(unknown) = asked.codes().iter().find_map(|code| unknown_code(code)) {
        return Ok(Some(unknown));
    }
    let unknown = backend.query.misnamed_letters(asked.dlq(), &asked.names()).await?;
    Ok(unknown.map(|unknown| unknown.to_string()))
}

/// The message about a topic that is none of dead letters: neither one of the configuration, nor one of which the table
/// has a letter.
async fn unknown_topic(backend: &ApiState, dlq: Option<&str>) -> Result<Option<String>, ApiError> {
    let desk = desk(backend)?;
    let known = desk.topics();
    let Some(name) = dlq.filter(|name| known.iter().all(|topic| **topic != **name)) else { return Ok(None) };
    let one = StoredLetterFilter { topic: Some(name.to_owned()), limit: 1, ..StoredLetterFilter::default() };
    if !desk.list(one, LetterOrder::Newest).await?.is_empty() {
        return Ok(None);
    }
    let guess = or_did_you_mean(name, known.iter().map(AsRef::as_ref));
    let known = known.join(", ");
    Ok(Some(format!("`dlq`: no topic of dead letters is called `{name}`: expected one of {known}{guess}")))
}

pub(super) async fn show(
    State(backend): State<ApiState>,
    Path(parts): Path<Vec<String>>,
    caller: ApiCaller,
    asked: Result<Query<LetterShowQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let detail_asked = caller.sensitive(request::checked(asked)?.sensitive.as_deref())?;
    let desk = desk(&backend)?;
    let detail = desk.show(&place(&parts, desk.topic())?).await?;
    let sensitive = match detail_asked {
        SensitiveDetail::Shown => SensitivePaths::default(),
        SensitiveDetail::Masked => sensitive_in(&backend, &detail),
    };
    let payloads = caller.payloads(PayloadDetail::Full);
    content_reads::seen(&backend, &caller, (payloads, detail_asked), &detail.letter.letter.id).await?;
    Ok(Json(shown::detail(detail, desk.topic(), payloads, &sensitive)))
}

/// What is sensitive in the record of a letter.
pub(super) fn sensitive_in(backend: &ApiState, detail: &LetterDetail) -> SensitivePaths {
    let letter = &detail.letter.letter;
    let topic = letter.origin.as_ref().map(|origin| origin.topic.as_str());
    backend.query.sensitive_in(topic, letter.definition.as_deref())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LetterShowQuery {
    /// `shown`, or `masked`, which is the default.
    sensitive: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LetterStatsQuery {
    /// Only of this topic of dead letters.
    dlq: Option<String>,
}

pub(super) async fn stats(
    State(backend): State<ApiState>,
    asked: Result<Query<LetterStatsQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = request::checked(asked)?;
    if let Some(unknown) = unknown_topic(&backend, asked.dlq.as_deref()).await? {
        return Err(ApiError::MisnamedLetter(unknown));
    }
    let now = backend.query.now().0;
    let groups = desk(&backend)?.groups(asked.dlq.as_deref(), (now - DAY_MS, now - 2 * DAY_MS)).await?;
    Ok(Json(shown::groups(&groups)))
}

pub(super) async fn act(
    State(backend): State<ApiState>,
    Path(mut parts): Path<Vec<String>>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let action = parts.pop().unwrap_or_default();
    let place = place(&parts, desk(&backend)?.topic())?;
    let what = match action.as_str() {
        "review" => LetterMove::Review,
        "discard" => LetterMove::Discard,
        "reopen" => LetterMove::Reopen,
        "edit" => return edit(backend, place, &caller, &headers, &body).await,
        "redrive" => return jobs::redrive_one(backend, place, &caller, &headers, &body).await,
        other => {
            let expected = "expected review, discard, reopen, edit or redrive";
            return Err(ApiError::NoRoute(format!("…/{other}: {expected}")));
        }
    };
    let asked: LetterActBody = request::read(RequestBodyKind::LetterAct, &headers, &body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let statement = OperatorStatement::checked(&caller, asked.who, asked.reason)?;
    let (desk, by) = (desk(&backend)?.clone(), statement.clone());
    let usual = desk.topic().to_owned();
    let acted = place.clone();
    let done = to_its_end(async move { desk.act(&acted, what, &id.to_string(), &by.author()).await });
    let letter = done.await.map_err(|error| ApiError::StoreAway(error.to_string()))??;
    statement.log(what.as_str(), letter_place(&place, &usual), id, ActStatus::Applied);
    let letter = LetterLineView::of(letter, &usual);
    Ok(Json(json!({"status": ActStatus::Applied, "id": id, "letter": letter})))
}

async fn edit(
    backend: ApiState,
    place: LetterCoordinates,
    caller: &ApiCaller,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Json<Value>, ApiError> {
    let asked: LetterEditBody = request::read(RequestBodyKind::LetterEdit, headers, body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let statement = OperatorStatement::checked(caller, asked.who, asked.reason)?;
    let (desk, by) = (desk(&backend)?.clone(), statement.clone());
    let (usual, edited) = (desk.topic().to_owned(), place.clone());
    let record = asked.record.map(EditedRecordBody::checked).transpose()?;
    let done = to_its_end(async move { desk.edit(&edited, record, &id.to_string(), &by.author()).await });
    let (letter, leads_to) = done.await.map_err(|error| ApiError::StoreAway(error.to_string()))??;
    statement.log("edit dead letter", letter_place(&place, &usual), id, ActStatus::Applied);
    let letter = LetterLineView::of(letter, &usual);
    Ok(Json(json!({"status": ActStatus::Applied, "id": id, "letter": letter, "leadsTo": leads_to})))
}

pub(super) async fn purge(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let asked: LetterPurgeBody = request::read(RequestBodyKind::LetterPurge, &headers, &body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let before = query::time("endedBefore", &asked.ended_before, backend.query.now())
        .map_err(|error| ApiError::BadValue(error.to_string()))?;
    if before > backend.query.now() {
        let said =
            format!("`endedBefore` is `{}`, which is yet to come: expected a time that is over", asked.ended_before);
        return Err(ApiError::BadValue(said));
    }
    let statement = OperatorStatement::checked(&caller, asked.who, asked.reason)?;
    let (desk, by) = (desk(&backend)?.clone(), statement.clone());
    let Timestamp(before) = before;
    let done = to_its_end(async move { desk.purge(before, id, &by.author()).await });
    let removed = done.await.map_err(|error| ApiError::StoreAway(error.to_string()))??;
    statement.log("purge dead letters", format_args!("{removed} rows"), id, ActStatus::Applied);
    Ok(Json(json!({"status": ActStatus::Applied, "id": id, "removed": removed})))
}

/// A place from the parts of a path: partition and offset, with the topic before where it is not the usual one.
pub(super) fn place(parts: &[String], usual: &str) -> Result<LetterCoordinates, ApiError> {
    let named: Result<LetterAddress, _> = parts.join("/").parse();
    named.map(|address| address.within(usual)).map_err(ApiError::BadPath)
}

impl From<LetterError> for ApiError {
    fn from(error: LetterError) -> ApiError {
        match error {
            LetterError::Unknown(_) => ApiError::NoLetters(error.to_string()),
            LetterError::Refused(..) | LetterError::Gone(_) => ApiError::LetterRefused(error.to_string()),
            LetterError::Mend(MendError::Unfit(_) | MendError::Poison { .. } | MendError::NotJudged(_)) => {
                ApiError::LetterRefused(error.to_string())
            }
            LetterError::Store(error) => error.into(),
        }
    }
}
