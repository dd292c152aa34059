//! `/api/definitions`: the definitions that start sagas on this engine, and texts that operators bring.

use super::{
    ApiState,
    acts::{ActStatus, OperatorStatement, to_its_end},
    auth::ApiCaller,
    errors::{ApiError, RequestBodyKind},
    request,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use saga_core::state::SagaPlan;
use saga_engine::{
    DefinitionTextError,
    definition_pauses::{DefinitionPause, PauseAction, PauseRecord},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The largest body: the largest definition, in which each character may be escaped, and a reason.
pub(super) const BODY_BYTES: usize = 2 * 256 * 1024 + 16 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DefinitionTextBody {
    id: Option<Uuid>,
    who: Option<String>,
    reason: String,
    /// The text of the file.
    text: String,
}

/// A definition that starts sagas, as the API answers it and the command line reads it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DefinitionLine {
    pub(crate) name: String,
    /// Hash of the text; a saga keeps the definition with which it began.
    pub(crate) definition: String,
    /// Hash of the policies that follow from the definition and participants.yaml.
    policies: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    pub(crate) topic: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) event_type: Option<String>,
    pub(crate) steps: Vec<String>,
    pub(crate) participants: Vec<String>,
    /// Why this engine does not read the topic of the trigger: engines with newer files read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_to_others: Option<String>,
    /// Why it starts no sagas for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<DefinitionPause>,
}

impl DefinitionLine {
    fn of(
        plan: &SagaPlan,
        yielded: &BTreeMap<String, String>,
        paused: &BTreeMap<String, DefinitionPause>,
    ) -> DefinitionLine {
        let definition = &plan.definition;
        DefinitionLine {
            name: definition.name.clone(),
            definition: definition.hash.clone(),
            policies: plan.policies_hash.clone(),
            description: definition.description.clone(),
            topic: definition.trigger.topic.clone(),
            event_type: definition.trigger.event_type.clone(),
            steps: definition.steps.iter().map(|step| step.name.clone()).collect(),
            participants: definition.called().into_iter().map(ToString::to_string).collect(),
            left_to_others: yielded.get(&definition.trigger.topic).cloned(),
            paused: paused.get(&definition.name).cloned(),
        }
    }
}

pub(super) async fn list(State(backend): State<ApiState>) -> Json<Value> {
    let (live, yielded) = (backend.query.config(), backend.query.yielded_topics());
    let paused = backend.query.paused_definitions();
    let mut lines: Vec<DefinitionLine> =
        live.catalog.plans().iter().map(|plan| DefinitionLine::of(plan, &yielded, &paused)).collect();
    lines.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Json(json!({"definitions": lines}))
}

/// Stores a text that sagas can be moved to. It starts none.
pub(super) async fn bring(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let asked: DefinitionTextBody = request::read(RequestBodyKind::Definition, &headers, &body)?;
    let statement = OperatorStatement::checked(&caller, asked.who, asked.reason)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let stored = backend.operator.store_definition(&asked.text, id, &statement.author()).await;
    let plan = stored.map_err(|error| match error {
        DefinitionTextError::Unfit(findings) => ApiError::BadDefinition(findings),
        DefinitionTextError::Store(error) => error.into(),
    })?;
    let (name, hash) = (&plan.definition.name, &plan.definition.hash);
    statement.log("store definition", format_args!("{name} {hash}"), id, ActStatus::Applied);
    Ok(Json(json!({"id": id, "name": name, "definition": hash, "policies": plan.policies_hash})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    id: Option<Uuid>,
    who: Option<String>,
    reason: String,
}

/// The pause of a definition, and its end. A definition that no engine has a file for any more can be resumed.
pub(super) async fn act(
    State(backend): State<ApiState>,
    Path((name, action)): Path<(String, String)>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let action = match action.as_str() {
        "pause" => PauseAction::Pause,
        "resume" => PauseAction::Resume,
        other => return Err(ApiError::NoRoute(format!("…/{other}: expected pause or resume"))),
    };
    let asked: PauseBody = request::read(RequestBodyKind::Pause, &headers, &body)?;
    let plan = backend.query.config().catalog.named(&name).cloned();
    if plan.is_none() && !backend.query.paused_definitions().contains_key(&name) {
        return Err(unknown(&backend, &name));
    }
    let statement = OperatorStatement::checked(&caller, asked.who, asked.reason)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let definition = plan.map(|plan| plan.definition.hash.clone()).unwrap_or_default();
    let (who, reason) = (statement.who.clone(), statement.reason.clone());
    let origin = statement.origin.bounded();
    let record = PauseRecord { name: name.clone(), definition, action, who, reason, origin };
    let operator = backend.operator.clone();
    let done = to_its_end(async move { operator.pause(id, &record).await }).await;
    let done = done.map_err(|error| ApiError::StoreAway(format!("the act could not be recorded: {error}")))??;
    let status = if done { ActStatus::Applied } else { ActStatus::Accepted };
    statement.log(&format!("{} definition", action.as_str()), &name, id, status);
    let paused = backend.query.paused_definitions().remove(&name);
    Ok((status.code(), Json(json!({"status": status, "id": id, "definition": name, "paused": paused}))))
}

/// The error for a name that no definition of this engine has.
pub(super) fn unknown(backend: &ApiState, name: &str) -> ApiError {
    let config = backend.query.config();
    let known = config.catalog.plans().iter().map(|plan| plan.definition.name.as_str());
    let guess = saga_core::definition::or_did_you_mean(name, known);
    ApiError::UnknownDefinition(format!("no definition `{name}` starts sagas on this engine{guess}"))
}
