//! `GET /api/events`: the feed of all events, in pages or as server-sent events.

use super::{ApiState, auth::ApiCaller, content_reads, errors::ApiError, request, sagas};
use crate::readiness::EngineReadiness;
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use saga_engine::{
    QueryHandle,
    feed::{EventCursor, EventFilter, FeedEvent, FeedReader, FeedStart, check_event_type},
    journal::{payloads::PayloadDetail, sensitive::SensitiveDetail},
};
use saga_event_store::FeedError;
use serde::Deserialize;
use serde_json::json;
use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Readers at once that follow the feed: each keeps a connection, and reads the store twice a second.
pub(super) const READERS: usize = 16;
/// Events that a follower reads at once.
const PORTION: u32 = 200;
/// Time between two looks for new events.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Time between two comments while nothing happens, because proxies close silent connections.
const COMMENT: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// A cursor, `oldest` or `newest`.
    after: Option<String>,
    limit: Option<u32>,
    saga: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl EventsQuery {
    /// A follower that connects again names in a header the last event that it has.
    fn start(&self, headers: &HeaderMap) -> Result<FeedStart, ApiError> {
        let (place, text) = match headers.get("last-event-id").and_then(|value| value.to_str().ok()) {
            Some(id) => ("the header last-event-id", Some(id)),
            None => ("`after`", self.after.as_deref()),
        };
        let Some(text) = text else { return Ok(FeedStart::Oldest) };
        text.parse().map_err(|error| ApiError::BadParameter(format!("{place}: {error}")))
    }

    fn filter(&self) -> Result<EventFilter, ApiError> {
        if let Some(kind) = &self.kind {
            check_event_type(kind).map_err(|error| ApiError::BadParameter(format!("`type`: {error}")))?;
        }
        Ok(EventFilter { saga: self.saga.clone(), kind: self.kind.clone() })
    }
}

/// What the audit calls the content of the feed.
const ALL_EVENTS: &str = "all events";

pub(super) async fn events(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = request::checked(query)?;
    let (start, filter, limit) = (asked.start(&headers)?, asked.filter()?, request::limit(asked.limit)?);
    // A reader that has a cursor got an answer before.
    if let (Some(saga), FeedStart::Oldest | FeedStart::Newest) = (&filter.saga, &start) {
        sagas::known_saga(&backend, saga).await?;
    }
    let (reader, payloads) = (backend.query.feed(), caller.payloads(PayloadDetail::Full));
    content_reads::seen(&backend, &caller, (payloads, SensitiveDetail::Masked), ALL_EVENTS).await?;
    if wants_stream(&headers) {
        return follow(backend, reader.begin(start).await?, filter, payloads).await;
    }
    let _permit = backend.journal_permits.acquire().await?;
    let after = reader.begin(start).await?;
    let mut page = reader.page(after, limit, &filter, backend.query.now()).await?;
    page.events.iter_mut().for_each(|event| mask(event, payloads));
    Ok(Json(page).into_response())
}

/// The data of an event has what came in, was sent and was answered. What is sensitive is never in the feed.
fn mask(event: &mut FeedEvent, payloads: PayloadDetail) {
    event.mask_sensitive();
    if payloads == PayloadDetail::Hidden {
        event.data = payloads.of_payload(&event.data);
    }
}

pub(super) fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|media| media.split(';').next().unwrap_or_default().trim() == "text/event-stream")
}

/// A client that follows the feed.
struct FeedSubscriber {
    query: QueryHandle,
    reader: FeedReader,
    at: EventCursor,
    filter: EventFilter,
    payloads: PayloadDetail,
    read: VecDeque<FeedEvent>,
    readiness: watch::Receiver<EngineReadiness>,
    has_failed: bool,
    _place: OwnedSemaphorePermit,
}

async fn follow(
    backend: ApiState,
    at: EventCursor,
    filter: EventFilter,
    payloads: PayloadDetail,
) -> Result<Response, ApiError> {
    let place = Arc::clone(&backend.feed_readers).try_acquire_owned();
    let place = place.map_err(|_| ApiError::TooManyReaders(READERS))?;
    let reader = backend.query.feed();
    // Before the answer begins: a cursor that cannot be followed gets an error with a status.
    reader.page(at, 1, &filter, backend.query.now()).await?;
    let subscriber = FeedSubscriber {
        query: backend.query,
        reader,
        at,
        filter,
        payloads,
        read: VecDeque::new(),
        readiness: backend.readiness,
        has_failed: false,
        _place: place,
    };
    let events = stream::unfold(subscriber, |mut subscriber| async move {
        Some((Ok::<_, Infallible>(subscriber.next().await?), subscriber))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT)).into_response())
}

impl FeedSubscriber {
    /// `None`: the engine stops, or the feed cannot be followed any further.
    async fn next(&mut self) -> Option<Event> {
        while self.read.is_empty() {
            if self.has_failed {
                return None;
            }
            let page = self.reader.page(self.at, PORTION, &self.filter, self.query.now()).await;
            let waits = match page {
                Ok(page) => {
                    self.at = page.next;
                    self.read = page.events.into();
                    self.read.is_empty() && !page.more
                }
                Err(FeedError::Store(error)) if error.is_transient() => true,
                Err(error) => {
                    self.has_failed = true;
                    return Event::default().event("error").json_data(json!({"message": error.to_string()})).ok();
                }
            };
            if waits && self.stops_within(LOOK_AGAIN).await {
                return None;
            }
        }
        let mut event = self.read.pop_front()?;
        mask(&mut event, self.payloads);
        Event::default().id(event.cursor.to_string()).event(event.kind.clone()).json_data(&event).ok()
    }

    async fn stops_within(&mut self, time: Duration) -> bool {
        let stopping = self.readiness.wait_for(|readiness| *readiness == EngineReadiness::Stopping);
        tokio::time::timeout(time, stopping).await.is_ok()
    }
}
