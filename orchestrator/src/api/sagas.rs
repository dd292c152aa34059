//! Lists, single sagas and their histories, as JSON with the same keys as the command line's.

use super::{Backend, errors::Error};
use crate::journal::{
    self, Recorded, history,
    reading::{self, Found, SagaLine, WaitingOn, Wanted},
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use saga_core::{id::SagaId, state::Status, state::view::SagaView};
use serde::Deserialize;
use serde_json::{Value, json};

/// Lines of a list unless asked otherwise.
pub(super) const USUAL_LINES: u32 = 100;
/// The most lines of one answer.
pub(super) const MOST_LINES: u32 = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Asked {
    status: Option<String>,
    saga: Option<String>,
    key: Option<String>,
    waiting_on: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

/// Which definition is meant, where several have sagas with one key.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) saga: Option<String>,
}

/// What a query says, or an error in the API's own form.
pub(super) fn checked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Error> {
    query.map(|Query(asked)| asked).map_err(|rejection| Error::BadParameter(rejection.body_text()))
}

pub(super) async fn list(
    State(backend): State<Backend>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let lines = lines(&backend, &checked(query)?).await?;
    let next = lines.last().map(|line| line.id.clone());
    Ok(Json(json!({"sagas": lines, "next": next})))
}

pub(super) async fn lines(backend: &Backend, asked: &Asked) -> Result<Vec<SagaLine>, Error> {
    let mut lines = reading::list(backend.parts.store.as_ref(), &wanted(asked)?).await?;
    reading::refresh(backend.parts.store.as_ref(), &backend.parts.plans, &mut lines).await?;
    Ok(lines)
}

fn wanted(asked: &Asked) -> Result<Wanted, Error> {
    let statuses = asked.status.iter().flat_map(|list| list.split(',')).map(str::parse::<Status>);
    let statuses: Result<Vec<Status>, _> = statuses.collect();
    let waiting_on = asked.waiting_on.as_deref().map(str::parse::<WaitingOn>).transpose();
    let before = asked.before.as_deref().map(str::parse::<SagaId>).transpose();
    Ok(Wanted {
        statuses: statuses.map_err(|error| Error::BadParameter(error.to_string()))?,
        saga: asked.saga.clone(),
        key: asked.key.clone(),
        waiting_on: waiting_on.map_err(|error| Error::BadParameter(error.to_string()))?,
        before: before.map_err(|error| Error::BadParameter(error.to_string()))?,
        limit: asked.limit.unwrap_or(USUAL_LINES).clamp(1, MOST_LINES),
    })
}

pub(super) async fn show(
    State(backend): State<Backend>,
    Path(id): Path<String>,
    named: Result<Query<Named>, QueryRejection>,
) -> Result<Json<SagaView>, Error> {
    let recorded = recorded(&backend, &id, checked(named)?.saga.as_deref()).await?;
    Ok(Json(recorded.state.view(&recorded.plan)))
}

pub(super) async fn history(
    State(backend): State<Backend>,
    Path(id): Path<String>,
    named: Result<Query<Named>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let recorded = recorded(&backend, &id, checked(named)?.saga.as_deref()).await?;
    Ok(Json(json!({"events": history::history(&recorded)})))
}

pub(super) async fn recorded(backend: &Backend, name: &str, saga: Option<&str>) -> Result<Recorded, Error> {
    let id = resolve(backend, name, saga).await?;
    let recorded = journal::read(backend.parts.store.as_ref(), &backend.parts.plans, id).await?;
    recorded.ok_or_else(|| Error::NoSaga(name.to_owned()))
}

pub(super) async fn resolve(backend: &Backend, name: &str, saga: Option<&str>) -> Result<SagaId, Error> {
    match reading::find(backend.parts.store.as_ref(), name, saga).await? {
        Found::One(id) => Ok(id),
        Found::None => Err(Error::NoSaga(name.to_owned())),
        Found::Several(lines) => {
            let ids = lines.into_iter().map(|line| format!("{} ({})", line.id, line.saga)).collect();
            Err(Error::SeveralSagas(name.to_owned(), ids))
        }
    }
}
