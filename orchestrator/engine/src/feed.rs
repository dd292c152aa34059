//! The feed of all events of all sagas, for other systems.

mod cursor;
mod event;

pub use cursor::{EventCursor, FeedStart};
pub use event::{FeedEvent, UnknownEventType, check_event_type};

use crate::journal::PlanCache;
use event::{SagaNames, names_of};
use saga_core::time::Timestamp;
use saga_event_store::{EventStore, FeedError, FeedExtent, FeedPage, FeedPosition, FeedRow};
use serde::Serialize;
use std::sync::Arc;

/// The most events of one page.
pub const MOST_EVENTS: u32 = 1_000;
/// Payloads of rows that one read of the store loads.
const READ_BYTES: u64 = 4 * 1024 * 1024;
/// Rows that one read of the store loads: some milliseconds of its work.
const READ_ROWS: u32 = 500;
/// Reads of the store for one page. A filter that few events pass gets a page with few events, from which the caller
/// goes on.
const MOST_READS: u32 = 20;

/// Which events a reader wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events of sagas of this definition.
    pub saga: Option<String>,
    /// Only events of this type.
    pub kind: Option<String>,
}

/// A page of the feed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The events, in the order of the feed.
    pub events: Vec<FeedEvent>,
    /// Where the next page begins.
    pub next: EventCursor,
    /// Whether there are more events now.
    pub more: bool,
    /// How much later than the end of this page the newest event of the feed was recorded.
    pub behind_ms: i64,
    /// How long the oldest committed events have waited that the feed cannot show yet, because an older transaction of
    /// the database server runs.
    pub held_ms: i64,
}

/// Whole rows of the feed, for a reader that goes on after rows.
pub(crate) struct FeedPortion {
    /// Their events, in the order of the feed.
    pub(crate) events: Vec<FeedEvent>,
    /// The position of the last row.
    pub(crate) end: FeedPosition,
    /// When the oldest row was recorded whose time is known, in milliseconds since the Unix epoch.
    pub(crate) first_at_ms: Option<i64>,
    /// The same of the last one.
    pub(crate) last_at_ms: Option<i64>,
}

/// Reads the feed. A cheap handle.
#[derive(Clone, Debug)]
pub struct FeedReader {
    store: Arc<dyn EventStore>,
    plans: Arc<PlanCache>,
}

impl FeedReader {
    /// A reader of the feed of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>) -> FeedReader {
        FeedReader { store, plans: Arc::default() }
    }

    pub(crate) fn with_plans(store: Arc<dyn EventStore>, plans: Arc<PlanCache>) -> FeedReader {
        FeedReader { store, plans }
    }

    /// The cursor at which a reader begins.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin(&self, start: FeedStart) -> Result<EventCursor, FeedError> {
        Ok(match start {
            FeedStart::After(cursor) => cursor,
            FeedStart::Oldest => EventCursor::after_row(self.store.feed_extent().await?.oldest),
            FeedStart::Newest => EventCursor::after_row(self.store.feed_extent().await?.newest),
        })
    }

    /// How far the feed goes.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn extent(&self) -> Result<FeedExtent, FeedError> {
        Ok(self.store.feed_extent().await?)
    }

    /// The events after `after` that pass the filter, at most `limit` and [`MOST_EVENTS`]. A page without events is the
    /// end of the feed only if [`EventPage::more`] is false.
    ///
    /// # Errors
    /// When the store does not answer, or cannot go on after the cursor.
    pub async fn page(
        &self,
        after: EventCursor,
        limit: u32,
        filter: &EventFilter,
        now: Timestamp,
    ) -> Result<EventPage, FeedError> {
        let most = usize::try_from(limit.clamp(1, MOST_EVENTS)).unwrap_or(1);
        let mut reading = PageReading { events: Vec::new(), next: after, last_at_ms: None, most };
        for _ in 0..MOST_READS {
            let rows = if filter == &EventFilter::default() { limit.clamp(1, READ_ROWS) } else { READ_ROWS };
            let (names, page) = self.read(reading.next, rows).await?;
            let (extent, was_empty) = (page.extent, page.rows.is_empty());
            let is_full = reading.take(page.rows, &names, filter);
            if was_empty || is_full || reading.next.is_end_of(extent.newest) {
                return Ok(reading.ended(&extent, now));
            }
        }
        let extent = self.store.feed_extent().await?;
        Ok(reading.ended(&extent, now))
    }

    /// The next rows after `after`, at most [`READ_ROWS`]; `None`: there are no more for now.
    ///
    /// # Errors
    /// As [`FeedReader::page`].
    pub(crate) async fn portion(&self, after: FeedPosition) -> Result<Option<FeedPortion>, FeedError> {
        let (names, page) = self.read(EventCursor::after_row(after), READ_ROWS).await?;
        let Some(end) = page.rows.last().map(|row| row.position) else { return Ok(None) };
        let mut times = page.rows.iter().filter_map(|row| Some(row.row.as_ref()?.recorded_at_ms));
        let first_at_ms = times.next();
        let last_at_ms = times.next_back().or(first_at_ms);
        let events = page.rows.into_iter().flat_map(|row| event::events_of(row, &names)).collect();
        Ok(Some(FeedPortion { events, end, first_at_ms, last_at_ms }))
    }

    async fn read(&self, after: EventCursor, rows: u32) -> Result<(SagaNames, FeedPage), FeedError> {
        let page = self.store.feed(after.read_after(), rows, READ_BYTES).await?;
        let is_another_row = |first: &FeedRow| !first.position.agrees_with(after.row());
        if after.is_within_a_row() && page.rows.first().is_none_or(is_another_row) {
            let FeedExtent { oldest, newest, .. } = page.extent;
            return Err(FeedError::Unknown { after: after.row(), oldest, newest });
        }
        let names = names_of(self.store.as_ref(), &self.plans, &page.rows).await?;
        Ok((names, page))
    }
}

/// A page that is being filled.
struct PageReading {
    events: Vec<FeedEvent>,
    next: EventCursor,
    last_at_ms: Option<i64>,
    most: usize,
}

impl PageReading {
    /// Takes events until the page is full; whether it is.
    fn take(&mut self, rows: Vec<FeedRow>, names: &SagaNames, filter: &EventFilter) -> bool {
        for row in rows {
            let skipped = self.next.taken_of(row.position);
            self.last_at_ms = row.row.as_ref().map(|row| row.recorded_at_ms).or(self.last_at_ms);
            let end = EventCursor::after_row(row.position);
            for event in event::events_of(row, names).into_iter().skip(skipped) {
                if self.events.len() == self.most {
                    return true;
                }
                self.next = event.cursor;
                if filter.admits(&event) {
                    self.events.push(event);
                }
            }
            self.next = end;
        }
        self.events.len() == self.most
    }

    fn ended(self, extent: &FeedExtent, now: Timestamp) -> EventPage {
        let more = !self.next.is_end_of(extent.newest) && self.next.row() <= extent.newest;
        let behind = self.last_at_ms.zip(extent.newest_at_ms).map_or(0, |(last, newest)| newest - last);
        EventPage {
            events: self.events,
            next: self.next,
            more,
            behind_ms: if more { behind.max(0) } else { 0 },
            held_ms: extent.held_since_ms.map_or(0, |since| (now.0 - since).max(0)),
        }
    }
}

impl EventFilter {
    fn admits(&self, event: &FeedEvent) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == event.kind) && (self.saga.is_none() || self.saga == event.saga)
    }
}

#[cfg(test)]
mod tests;
