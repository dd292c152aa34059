//! `/api/definitions`: the definitions that start sagas on this engine, and texts that operators bring.

use super::{
    ApiState,
    acts::{ActStatus, OperatorStatement},
    auth::ApiCaller,
    errors::{ApiError, RequestBodyKind},
    request,
};
use axum::{Json, body::Bytes, extract::State, http::HeaderMap};
use saga_core::state::SagaPlan;
use saga_engine::DefinitionTextError;
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
}

impl DefinitionLine {
    fn of(plan: &SagaPlan, yielded: &BTreeMap<String, String>) -> DefinitionLine {
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
        }
    }
}

pub(super) async fn list(State(backend): State<ApiState>) -> Json<Value> {
    let (live, yielded) = (backend.query.config(), backend.query.yielded_topics());
    let mut lines: Vec<DefinitionLine> =
        live.catalog.plans().iter().map(|plan| DefinitionLine::of(plan, &yielded)).collect();
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
