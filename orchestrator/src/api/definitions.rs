//! Which definitions start sagas on this engine.

use super::ApiState;
use axum::{Json, extract::State};
use saga_core::state::SagaPlan;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A definition that starts sagas.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DefinitionLine {
    name: String,
    /// Of its text: a saga stays with the one that it began with.
    definition: String,
    /// Of the policies that participants.yaml and it give together.
    policies: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    topic: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    steps: Vec<String>,
    participants: Vec<String>,
    /// Why this engine does not read its topic: engines with newer files do.
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
