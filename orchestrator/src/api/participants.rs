//! `POST /api/participants/reload`: participants.yaml is read again, now.

use super::{
    Backend, bodies,
    errors::{Error, Form},
};
use crate::startup::{lookup, read_source};
use axum::{Json, extract::State, http::HeaderMap};
use saga_engine::reload::{self, Refused, Reloaded};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn reload(State(backend): State<Backend>, headers: HeaderMap) -> Result<Json<Value>, Error> {
    bodies::require_json(Form::Reload, &headers)?;
    let parts = Arc::clone(&backend.parts);
    let Some(path) = parts.participants_file.as_ref().map(|file| file.path.clone()) else {
        return Err(Error::NotReloaded("this engine has no participants.yaml of its own".into()));
    };
    let file = read_source(&path).map_err(|error| {
        let why = format!("{error:#}");
        reload::unreadable(&parts, &why);
        Error::NotReloaded(why)
    })?;
    // A task of its own: a client that goes away leaves nothing half done.
    let reloading = tokio::spawn(async move { reload::reload(&parts, &file, &lookup).await });
    let reloaded = reloading.await.map_err(|error| Error::StoreAway(format!("the reload broke off: {error}")))?;
    match reloaded {
        Ok(Reloaded::Changed { participants }) => Ok(Json(json!({"status": "reloaded", "participants": participants}))),
        Ok(Reloaded::Unchanged) => Ok(Json(json!({"status": "unchanged"}))),
        Err(Refused::Store(error)) => Err(error.into()),
        Err(refused @ (Refused::Findings { .. } | Refused::Guards(_))) => Err(Error::NotReloaded(refused.to_string())),
    }
}
