//! `/api/dead-letters/jobs`: bringing letters back.

use super::{
    super::{
        ApiState,
        acts::{ActStatus, OperatorStatement},
        auth::ApiCaller,
        errors::{ApiError, RequestBodyKind},
        request,
    },
    desk, named_right_if_none,
    query::LetterListQuery,
};
use crate::dead_letters::LetterAddress;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use saga_engine::act_log::ActedPart;
use saga_engine::letters::{
    BringAim, BringOrder, LetterDesk, LetterJobError, LetterJobOrder, LetterJobStatus, LetterJobView, LetterSelection,
    MOST_LETTER_NAMES, MOST_LETTER_PACE, USUAL_LETTER_PACE, letter_place,
};
use saga_event_store::LetterCoordinates;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{num::NonZeroU32, time::Duration};
use uuid::Uuid;

/// Bytes of the text that says in the record which letters a job is for.
const TOLD_BYTES: usize = 2_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LetterJobBody {
    id: Option<Uuid>,
    who: Option<String>,
    reason: String,
    /// Places of letters.
    #[serde(default)]
    letters: Vec<LetterAddress>,
    filter: Option<LetterListQuery>,
    /// Hash of the text of the definition, or its beginning; the text in force without it.
    definition: Option<String>,
    #[serde(default)]
    everybody: bool,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    keep_going: bool,
    canary: Option<NonZeroU32>,
    limit: Option<NonZeroU32>,
    pace: Option<u32>,
}

/// The items of a job to return: those after this position.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct LetterItemsQuery {
    after: Option<usize>,
}

pub(in crate::api) async fn begin(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked: LetterJobBody = request::read(RequestBodyKind::LetterJob, &headers, &body)?;
    if let Some(filter) = &asked.filter {
        named_right_if_none(&backend, filter).await?;
    }
    let statement = OperatorStatement::checked(&caller, asked.who.clone(), asked.reason.clone())?;
    let order = ordered(&backend, asked, &statement)?;
    let job = desk(&backend)?.begin_job(order).await?;
    statement.log("redrive dead letters", &job.targets, job.id, ActStatus::Accepted);
    Ok((StatusCode::ACCEPTED, Json(json!({"job": job}))))
}

fn ordered(backend: &ApiState, asked: LetterJobBody, by: &OperatorStatement) -> Result<LetterJobOrder, ApiError> {
    let (who, reason) = (by.who.clone(), by.reason.clone());
    let aim = match (asked.everybody, asked.definition) {
        (true, Some(_)) => {
            let said = "`everybody` brings each definition its own text: write `everybody` or `definition`, not both";
            return Err(ApiError::BadValue(said.to_owned()));
        }
        (true, None) => BringAim::Everybody,
        (false, Some(hash)) => BringAim::Text(hash),
        (false, None) => BringAim::Failed,
    };
    let (selection, told) = selection(backend, &asked.letters, asked.filter)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    Ok(LetterJobOrder {
        bring: BringOrder {
            id,
            who,
            reason,
            aim,
            again: asked.again,
            dry_run: asked.dry_run,
            origin: by.origin.clone(),
        },
        selection,
        told,
        pace: pace(asked.pace)?,
        canary: asked.canary,
        keep_going: asked.keep_going,
        limit: asked.limit,
    })
}

fn selection(
    backend: &ApiState,
    letters: &[LetterAddress],
    filter: Option<LetterListQuery>,
) -> Result<(LetterSelection, String), ApiError> {
    let bad = |said: String| Err(ApiError::BadValue(said));
    match (letters.is_empty(), filter) {
        (false, Some(_)) => bad("name letters in `letters`, or choose them by a `filter`, not both".to_owned()),
        (true, None) => bad("name letters in `letters`, or choose them by a `filter`".to_owned()),
        (false, None) if letters.len() > MOST_LETTER_NAMES => {
            bad(format!("`letters` names {}: at most {MOST_LETTER_NAMES} can be named, use a `filter`", letters.len()))
        }
        (false, None) => {
            let told = letters.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let places = letters.iter().map(LetterAddress::named).collect();
            Ok((LetterSelection::Named(places), shortened(told)))
        }
        (true, Some(filter)) if filter.is_everything() => {
            bad("`filter` chooses every letter: say at least {\"status\": \"open\"}".to_owned())
        }
        (true, Some(asked)) => {
            let filter = Box::new(asked.filter(backend.query.now())?);
            Ok((LetterSelection::Matching { filter, up_to: 0 }, shortened(asked.told())))
        }
    }
}

fn pace(asked: Option<u32>) -> Result<NonZeroU32, ApiError> {
    let Some(asked) = asked else { return Ok(USUAL_LETTER_PACE) };
    let pace = NonZeroU32::new(asked).filter(|pace| *pace <= MOST_LETTER_PACE);
    pace.ok_or_else(|| {
        ApiError::BadValue(format!("`pace` is {asked}: expected 1 to {MOST_LETTER_PACE} letters a second"))
    })
}

fn shortened(mut told: String) -> String {
    told.truncate(told.floor_char_boundary(TOLD_BYTES));
    told
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RedriveBody {
    id: Option<Uuid>,
    who: Option<String>,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

/// How long a request waits for the end of a job of one letter.
const WAIT: Duration = Duration::from_secs(15);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Brings one letter back, and waits for what becomes of it.
pub(super) async fn redrive_one(
    backend: ApiState,
    place: LetterCoordinates,
    caller: &ApiCaller,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Json<Value>, ApiError> {
    let asked: RedriveBody = request::read(RequestBodyKind::LetterAct, headers, body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let (who, reason, dry_run) = (asked.who, asked.reason, asked.dry_run);
    let letters = vec![LetterAddress::of(&place)];
    let asked = LetterJobBody { id: Some(id), who, reason, letters, dry_run, ..LetterJobBody::default() };
    let statement = OperatorStatement::checked(caller, asked.who.clone(), asked.reason.clone())?;
    let order = ordered(&backend, asked, &statement)?;
    let desk = desk(&backend)?;
    desk.begin_job(order).await?;
    let until = tokio::time::Instant::now() + WAIT;
    let item = loop {
        match desk.job(id, 0) {
            Some((_, items)) if !items.is_empty() => break items.into_iter().next(),
            Some((job, _)) if job.ended_at.is_some() => break None,
            Some(_) | None if tokio::time::Instant::now() > until => break None,
            Some(_) | None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    };
    let status = item.as_ref().map_or("accepted, not yet applied", |item| item.result.as_str());
    statement.log("redrive dead letter", letter_place(&place, desk.topic()), id, ActStatus::Accepted);
    Ok(Json(json!({"status": status, "id": id, "item": item})))
}

pub(in crate::api) async fn list(State(backend): State<ApiState>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({"jobs": desk(&backend)?.jobs().await?})))
}

pub(in crate::api) async fn show(
    State(backend): State<ApiState>,
    Path(id): Path<String>,
    following: Result<Query<LetterItemsQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let after = request::checked(following)?.after.unwrap_or_default();
    let (desk, number) = (desk(&backend)?, named(&id)?);
    let (job, items) = match desk.job(number, after) {
        Some(known) => known,
        None => desk.recorded_job(number, after).await?.ok_or(ApiError::NoJob(id))?,
    };
    let next = job.looked_at;
    Ok(Json(json!({"job": job, "items": items, "next": next})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct LetterJobAct {
    keep_going: bool,
    who: Option<String>,
    reason: Option<String>,
}

pub(in crate::api) async fn act(
    State(backend): State<ApiState>,
    Path((id, action)): Path<(String, String)>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let LetterJobAct { keep_going, who, reason } = request::read(RequestBodyKind::Reload, &headers, &body)?;
    let (desk, number) = (desk(&backend)?, named(&id)?);
    if ["pause", "stop", "resume"].contains(&action.as_str()) {
        let statement = OperatorStatement::short(&caller, who, reason)?;
        recorded(&backend, &statement, number, &action).await?;
    }
    let job = match action.as_str() {
        "pause" => of_this_engine(desk, number, desk.pause_job(number)).await?,
        "stop" => of_this_engine(desk, number, desk.cancel_job(number)).await?,
        "resume" => desk.resume_job(number, keep_going).await?,
        other => return Err(ApiError::NoRoute(format!("…/{other}: expected pause, resume or stop"))),
    };
    Ok(Json(json!({"job": job})))
}

/// Puts an act on a job on record, if the job is known.
async fn recorded(backend: &ApiState, by: &OperatorStatement, id: Uuid, action: &str) -> Result<(), ApiError> {
    let desk = desk(backend)?;
    let known = match desk.job(id, usize::MAX) {
        Some((job, _)) => Some(job),
        None => desk.recorded_job(id, usize::MAX).await?.map(|(job, _)| job),
    };
    let job = known.ok_or_else(|| ApiError::NoJob(id.to_string()))?;
    let (name, before) = (id.to_string(), json!({"status": job.status}));
    let on = (ActedPart::LetterJob, name.as_str());
    by.record(&backend.operator, &format!("{action} job on dead letters"), on, (before, Value::Null)).await
}

/// The job that this engine runs, or one that has ended.
async fn of_this_engine(desk: &LetterDesk, id: Uuid, known: Option<LetterJobView>) -> Result<LetterJobView, ApiError> {
    if let Some(job) = known {
        return Ok(job);
    }
    let (job, _) = desk.recorded_job(id, usize::MAX).await?.ok_or_else(|| ApiError::NoJob(id.to_string()))?;
    if job.status != LetterJobStatus::NoEnd {
        return Ok(job);
    }
    Err(ApiError::LetterRefused(format!(
        "this engine does not run the job {id}: ask the engine that does; if none runs it, its engine has stopped, and \
         the job with it"
    )))
}

fn named(id: &str) -> Result<Uuid, ApiError> {
    id.parse().map_err(|_| ApiError::NoJob(id.to_owned()))
}

impl From<LetterJobError> for ApiError {
    fn from(error: LetterJobError) -> ApiError {
        match error {
            LetterJobError::TooMany | LetterJobError::OtherJob(_) => ApiError::LetterRefused(error.to_string()),
            LetterJobError::Unknown(id) => ApiError::NoJob(id.to_string()),
            LetterJobError::Unreadable(_) => ApiError::Unreadable(error.to_string()),
            LetterJobError::Store(error) => error.into(),
        }
    }
}
