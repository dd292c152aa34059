//! `POST /api/definitions/restore`: puts the documents by which sagas run into the store again.

use super::{
    ApiState,
    acts::{ActStatus, OperatorStatement, to_its_end},
    auth::ApiCaller,
    errors::{ApiError, RequestBodyKind},
    request,
};
use axum::{Json, body::Bytes, extract::State, http::HeaderMap};
use saga_core::{definition, policy::SagaPolicies, state::SagaPlan};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// The largest body: a definition has at most 256 KiB, and JSON writes some characters as several.
pub(super) const BODY_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreBody {
    id: Option<Uuid>,
    definition: String,
    policies: String,
    who: Option<String>,
    reason: String,
}

pub(super) async fn restore(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let asked: RestoreBody = request::read(RequestBodyKind::Documents, &headers, &body)?;
    let statement = OperatorStatement::checked(&caller, asked.who, asked.reason)?;
    let plan = plan(&asked.definition, &asked.policies)?;
    let (name, hash, policies) =
        (plan.definition.name.clone(), plan.definition.hash.clone(), plan.policies_hash.clone());
    let (operator, id) = (backend.operator.clone(), asked.id.unwrap_or_else(Uuid::new_v4));
    let by = statement.author();
    let stored = to_its_end(async move { operator.restore_documents(plan, id, &by).await }).await;
    let stored = stored.map_err(|error| ApiError::StoreAway(format!("the documents were not stored: {error}")))?;
    let open_sagas = stored?;
    statement.log("restore", &name, &hash, ActStatus::Applied);
    Ok(Json(json!({
        "status": "stored", "id": id, "name": name, "definition": hash, "policies": policies, "openSagas": open_sagas,
    })))
}

fn plan(definition: &str, policies: &str) -> Result<SagaPlan, ApiError> {
    let definition = definition::parse_stored(definition);
    let definition = definition.map_err(|reason| ApiError::BadValue(format!("`definition`: {reason}")))?;
    let read = SagaPolicies::from_json(policies);
    let policies = read.map_err(|error| ApiError::BadValue(format!("`policies`: {error}")))?;
    Ok(SagaPlan::new(Arc::new(definition), Arc::new(policies)))
}
