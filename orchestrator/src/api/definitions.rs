//! `GET /api/definitions`: the definitions that start sagas on this engine.

use super::ApiState;
use axum::{Json, extract::State};
use saga_core::state::SagaPlan;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
