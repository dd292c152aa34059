//! `GET /api/sagas/{id}/events`: what happens to one saga, as it happens: by long-poll, or as server-sent events.

use super::{ApiState, auth::ApiCaller, errors::ApiError, events::wants_stream, request, sagas};
use crate::readiness::EngineReadiness;
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use saga_core::{id::SagaId, state::SagaStatus};
use saga_engine::{
    SagaWaker,
    journal::{history::HistoryLine, payloads::PayloadDetail, sensitive::SensitiveDetail},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::VecDeque, convert::Infallible, fmt, str::FromStr, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};

/// Readers at once: each looks at the store once a second, and keeps a connection.
pub(super) const READERS: usize = 64;
/// The longest wait of a long-poll: it ends before a request does.
const MOST_WAIT: Duration = Duration::from_secs(25);
/// Between two looks at the store for a saga of another engine.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Between two readings of the journal for one reader, however fast the saga goes.
const READ_AGAIN: Duration = Duration::from_millis(100);
/// Time between two comments while nothing happens, because proxies close silent connections.
const COMMENT: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SagaEventsQuery {
    saga: Option<String>,
    key: Option<String>,
    payloads: Option<String>,
    /// The id of the last event that the reader has.
    after: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    wait_ms: u64,
}

impl SagaEventsQuery {
    /// A reader that connects again names in a header the last event that it has.
    fn after(&self, headers: &HeaderMap) -> Result<EventPlace, ApiError> {
        let (place, text) = match headers.get("last-event-id").and_then(|value| value.to_str().ok()) {
            Some(id) => ("the header last-event-id", Some(id)),
            None => ("`after`", self.after.as_deref()),
        };
        let bad =
            |text: &str| ApiError::BadParameter(format!("{place} is `{text}`: expected the id of an event, like 3.0"));
        text.map_or(Ok(EventPlace::BEGINNING), |text| text.parse().map_err(|()| bad(text)))
    }

    fn wait(&self) -> Result<Duration, ApiError> {
        let wait = Duration::from_millis(self.wait_ms);
        if wait <= MOST_WAIT {
            return Ok(wait);
        }
        let (asked, most) = (self.wait_ms, MOST_WAIT.as_millis());
        Err(ApiError::BadParameter(format!("`waitMs` is {asked}: expected 0 to {most}")))
    }
}

/// Where an event stands in the journal of its saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EventPlace {
    version: u32,
    index: u32,
}

impl EventPlace {
    /// Before the first event.
    const BEGINNING: EventPlace = EventPlace { version: 0, index: 0 };
}

impl FromStr for EventPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<EventPlace, ()> {
        let (version, index) = text.split_once('.').ok_or(())?;
        Ok(EventPlace { version: version.parse().map_err(drop)?, index: index.parse().map_err(drop)? })
    }
}

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.version, self.index)
    }
}

/// What has happened to a saga since an event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SagaEventsPage {
    id: String,
    status: SagaStatus,
    /// Whether the saga has ended, and these are its last events.
    ended: bool,
    events: Vec<HistoryLine>,
    /// For `after` of the next request.
    next: String,
}

/// One reader of one saga.
struct SagaFollower {
    backend: ApiState,
    saga: SagaId,
    after: EventPlace,
    detail: PayloadDetail,
    waker: SagaWaker,
    readiness: watch::Receiver<EngineReadiness>,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(
    State(backend): State<ApiState>,
    Path(id): Path<String>,
    caller: ApiCaller,
    headers: HeaderMap,
    query: Result<Query<SagaEventsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = request::checked(query)?;
    let (after, wait, limit) = (asked.after(&headers)?, asked.wait()?, request::limit(asked.limit)?);
    let named = sagas::SagaLookupQuery::named(asked.saga, asked.key, asked.payloads);
    let detail = caller.payloads(named.payloads()?);
    let saga = sagas::resolve(&backend, named.of(&id)).await?;
    let place = Arc::clone(&backend.saga_readers).try_acquire_owned();
    let place = place.map_err(|_| ApiError::TooManyReaders(READERS))?;
    let follower = SagaFollower {
        // Before the first look: what is committed after it wakes the reader.
        waker: backend.query.watch(saga),
        readiness: backend.readiness.clone(),
        backend,
        saga,
        after,
        detail,
        _place: place,
    };
    if wants_stream(&headers) { follower.stream().await } else { follower.page(wait, limit).await }
}

impl SagaFollower {
    /// Waits for the first event after the place of the reader, at most for `wait`.
    async fn page(mut self, wait: Duration, limit: u32) -> Result<Response, ApiError> {
        let until = Instant::now() + wait;
        let mut page = self.read().await?;
        while page.events.is_empty() && !page.ended && self.has_news(until).await? {
            page = self.read().await?;
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        if page.events.len() > most {
            page.events.truncate(most);
            page.ended = false;
        }
        page.next = page.events.last().map_or(page.next, |last| last.event.clone());
        Ok(Json(page).into_response())
    }

    /// What is there after the place of the reader.
    async fn read(&self) -> Result<SagaEventsPage, ApiError> {
        let _permit = self.backend.journal_permits.acquire().await?;
        let Some(shown) = self.backend.query.show(self.saga, None).await? else {
            return Err(sagas::not_in_store(&self.backend, &self.saga.to_string(), None).await);
        };
        let is_later = |line: &HistoryLine| line.event.parse::<EventPlace>().is_ok_and(|place| place > self.after);
        let events = shown.history(SensitiveDetail::Masked).into_iter().filter(is_later).collect();
        let status = shown.view(SensitiveDetail::Masked).status;
        Ok(SagaEventsPage {
            id: self.saga.to_string(),
            status,
            ended: status.is_terminal(),
            events: self.detail.of_history(events),
            next: self.after.to_string(),
        })
    }

    /// Whether there is a row after the place of the reader before `until`; an engine that stops tells nobody any more.
    async fn has_news(&mut self, until: Instant) -> Result<bool, ApiError> {
        loop {
            let version = self.backend.query.last_version(self.saga).await?;
            if version.is_none_or(|version| version > self.after.version) {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            let look = (Instant::now() + LOOK_AGAIN).min(until);
            tokio::select! {
                () = self.waker.committed() => {}
                () = tokio::time::sleep_until(look) => {}
                _ = self.readiness.wait_for(|readiness| *readiness == EngineReadiness::Stopping) => return Ok(false),
            }
        }
    }

    /// A reader that has the last event of an ended saga need not connect again: 204 tells a browser so.
    async fn stream(self) -> Result<Response, ApiError> {
        let page = self.read().await?;
        if page.ended && page.events.is_empty() {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let mut stream =
            SagaStream { follower: self, read: VecDeque::new(), status: page.status, stage: StreamStage::Open };
        stream.take(page);
        let events =
            stream::unfold(
                stream,
                |mut stream| async move { Some((Ok::<_, Infallible>(stream.next().await?), stream)) },
            );
        Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT)).into_response())
    }
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamStage {
    /// More may come.
    Open,
    /// The saga has ended; what was read is still to be sent, and then that it has ended.
    Ended,
    /// Everything is sent.
    Over,
}

struct SagaStream {
    follower: SagaFollower,
    read: VecDeque<HistoryLine>,
    status: SagaStatus,
    stage: StreamStage,
}

impl SagaStream {
    fn take(&mut self, page: SagaEventsPage) {
        let last = page.events.last().and_then(|last| last.event.parse().ok());
        self.follower.after = last.unwrap_or(self.follower.after);
        self.status = page.status;
        self.read.extend(page.events);
        if page.ended {
            self.stage = StreamStage::Ended;
        }
    }

    /// `None`: the saga has ended, the engine stops, or the saga cannot be read any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(line) = self.read.pop_front() {
                return Event::default().id(line.event.clone()).event("event").json_data(&line).ok();
            }
            match self.stage {
                StreamStage::Over => return None,
                StreamStage::Ended => {
                    self.stage = StreamStage::Over;
                    return Event::default().event("ended").json_data(json!({"status": self.status})).ok();
                }
                StreamStage::Open => self.more().await?,
            }
        }
    }

    /// A store that does not answer for a moment ends no stream.
    async fn more(&mut self) -> Option<()> {
        tokio::time::sleep(READ_AGAIN).await;
        let until = Instant::now() + COMMENT;
        match self.follower.has_news(until).await {
            Ok(true) => {}
            Ok(false) if *self.follower.readiness.borrow() == EngineReadiness::Stopping => return None,
            Ok(false) => return Some(()),
            Err(_) => {
                tokio::time::sleep(LOOK_AGAIN).await;
                return Some(());
            }
        }
        match self.follower.read().await {
            Ok(page) => self.take(page),
            Err(ApiError::StoreAway(_) | ApiError::Busy(_)) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(_) => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place: EventPlace = "12.3".parse().expect("a place");
        assert_eq!((place, place.to_string().as_str()), (EventPlace { version: 12, index: 3 }, "12.3"));
        assert!("2.10".parse::<EventPlace>() > "2.9".parse());
        for wrong in ["", "12", "12.", ".1", "a.b", "1.2.3", "-1.0"] {
            assert_eq!(wrong.parse::<EventPlace>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_wait_that_cannot_be_is_told() {
        let asked =
            |wait_ms| SagaEventsQuery { saga: None, key: None, payloads: None, after: None, limit: None, wait_ms };
        assert_eq!(asked(25_000).wait().ok(), Some(MOST_WAIT));
        assert!(matches!(asked(25_001).wait(), Err(ApiError::BadParameter(text)) if text.contains("0 to 25000")));
    }
}
