//! `GET /api/guards/events`: guard events as server-sent events.

use super::{ApiState, errors::ApiError, guards, request};
use crate::readiness::EngineReadiness;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use saga_resilience::guard_events::GuardEvent;
use serde::Deserialize;
use serde_json::json;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{Receiver, error::RecvError},
    watch,
};

/// Readers at once: a few terminals and dashboards. Each keeps one connection of the API for as long as it reads.
pub(super) const READERS: usize = 16;

/// Time between two comments while nothing changes: proxies close connections that are silent for half a minute or
/// longer.
const COMMENT: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuardEventsQuery {
    participant: Option<String>,
}

struct GuardEventSubscriber {
    changes: Receiver<Arc<GuardEvent>>,
    participant: Option<String>,
    readiness: watch::Receiver<EngineReadiness>,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(
    State(backend): State<ApiState>,
    query: Result<Query<GuardEventsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let participant = request::checked(query)?.participant;
    if let Some(name) = participant.as_ref().filter(|name| backend.query.guard_of(name).is_none()) {
        return Err(guards::no_participant(&backend, name.clone()));
    }
    let place = Arc::clone(&backend.readers).try_acquire_owned().map_err(|_| ApiError::TooManyReaders(READERS))?;
    let changes = backend.query.guard_events();
    let reader = GuardEventSubscriber { changes, participant, readiness: backend.readiness, _place: place };
    let events =
        stream::unfold(reader, |mut reader| async move { Some((Ok::<_, Infallible>(reader.next().await?), reader)) });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT)).into_response())
}

impl GuardEventSubscriber {
    /// `None`: the engine stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let received = tokio::select! {
                received = self.changes.recv() => received,
                _ = self.readiness.wait_for(|readiness| *readiness == EngineReadiness::Stopping) => return None,
            };
            match received {
                Ok(change) if self.wants(&change) => return Event::default().event("change").json_data(&*change).ok(),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    return Event::default().event("missed").json_data(json!({"missed": missed})).ok();
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// What is about all participants is about each.
    fn wants(&self, change: &GuardEvent) -> bool {
        match (&self.participant, &change.participant) {
            (Some(wanted), Some(participant)) => wanted == participant,
            (None, _) | (Some(_), None) => true,
        }
    }
}
