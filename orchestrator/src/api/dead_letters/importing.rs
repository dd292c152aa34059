//! `/api/dead-letters/import`: decisions that come back from an export.

use super::{
    super::{
        ApiState,
        acts::{ActStatus, OperatorStatement, to_its_end},
        auth::ApiCaller,
        errors::{ApiError, RequestBodyKind},
        request,
    },
    desk,
};
use crate::dead_letters::{LetterAddress, LetterState};
use axum::{Json, body::Bytes, extract::State, http::HeaderMap};
use saga_core::time::from_rfc3339;
use saga_engine::letters::{ImportOutcome, LetterDecision};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Most decisions of one request: each is a commit of some milliseconds.
const MOST_DECISIONS: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ImportBody {
    who: Option<String>,
    reason: String,
    #[serde(default)]
    dry_run: bool,
    decisions: Vec<DecisionBody>,
}

/// What of a line of an export is a decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DecisionBody {
    place: LetterAddress,
    letter: String,
    status: String,
    changed_at: String,
    who: String,
    #[serde(default)]
    why: String,
    result: Option<String>,
    #[serde(default)]
    redrives: u32,
}

impl DecisionBody {
    fn checked(self, usual: &str) -> Result<LetterDecision, ApiError> {
        let DecisionBody { place, letter, status, changed_at, who, why, result, redrives } = self;
        let bad = |said: String| ApiError::BadValue(format!("{place}: {said}"));
        let status = match LetterState::all_of(&status).as_deref() {
            Ok([status]) => *status,
            Ok(_) => {
                return Err(bad(format!("`status` is `{status}`: expected new, reviewing, redriven or discarded")));
            }
            Err(said) => return Err(bad(said.clone())),
        };
        let at = from_rfc3339(&changed_at)
            .ok_or_else(|| bad(format!("`changedAt` is `{changed_at}`: expected a time (RFC 3339)")))?;
        Ok(LetterDecision { place: place.within(usual), letter, status, at, who, why, result, redrives })
    }
}

pub(in crate::api) async fn import(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let asked: ImportBody = request::read(RequestBodyKind::LetterImport, &headers, &body)?;
    if asked.decisions.len() > MOST_DECISIONS {
        let said = format!("`decisions` has {}: expected at most {MOST_DECISIONS}", asked.decisions.len());
        return Err(ApiError::BadValue(said));
    }
    let statement = OperatorStatement::checked(&caller, asked.who, asked.reason)?;
    let (desk, by, dry_run) = (desk(&backend)?.clone(), statement.author(), asked.dry_run);
    let decisions = asked.decisions.into_iter().map(|one| one.checked(desk.topic())).collect::<Result<Vec<_>, _>>()?;
    let done = to_its_end(async move {
        let mut outcomes = Vec::new();
        for decision in &decisions {
            outcomes.push(desk.import(decision, dry_run, &by).await?);
        }
        Ok::<_, ApiError>(outcomes)
    });
    let outcomes = done.await.map_err(|error| ApiError::StoreAway(error.to_string()))??;
    let imported = outcomes.iter().filter(|outcome| **outcome == ImportOutcome::Imported).count();
    if imported > 0 && !dry_run {
        let on = format_args!("{imported} dead letters").to_string();
        statement.log("import decisions on dead letters", on, Uuid::new_v4(), ActStatus::Applied);
    }
    Ok(Json(json!({"outcomes": outcomes})))
}
