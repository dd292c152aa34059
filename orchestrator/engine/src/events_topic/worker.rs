//! Brings the feed to the topic, while this engine owns the first shard.

use super::{EventsTopic, EventsTopicStanding, bookmark::TopicBookmark, sender::EventSender, standing};
use crate::{KafkaOutput, feed::FeedReader, journal::JournalAccess, router::ShardRouter};
use saga_event_store::{EventStore, FeedError, FeedPosition, StoreError};
use saga_resilience::topic_availability::TopicTracker;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::error;

/// Time between two looks at the feed, and at the owner of the first shard.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// When what did not work is tried again: a store that is away for a moment is usual.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Writes the feed to the topic.
pub(crate) struct EventsTopicWorker {
    store: Arc<dyn EventStore>,
    reader: FeedReader,
    router: ShardRouter,
    topic: EventsTopic,
    sender: EventSender,
    standing: Arc<EventsTopicStanding>,
}

impl EventsTopicWorker {
    pub(crate) fn new(
        journal: &JournalAccess,
        router: ShardRouter,
        (topic, kafka): (EventsTopic, &KafkaOutput),
        topics: Arc<TopicTracker>,
        standing: Arc<EventsTopicStanding>,
    ) -> EventsTopicWorker {
        let store = Arc::clone(journal.store());
        let reader = FeedReader::with_plans(Arc::clone(&store), journal.shared_plans());
        let (name, producer) = (Arc::clone(&topic.name), kafka.producer.clone());
        let sender = EventSender { topic: name, producer, topics, standing: Arc::clone(&standing) };
        EventsTopicWorker { store, reader, router, topic, sender, standing }
    }

    /// Runs until it is dropped. What it sends for a shard that was lost meanwhile is given up: the next owner sends
    /// it.
    pub(crate) async fn run(self) {
        loop {
            let rest = tokio::select! {
                biased;
                () = self.until_lost() => {
                    self.standing.left();
                    LOOK_AGAIN
                }
                went = self.publish_next() => went.unwrap_or_else(|error| {
                    self.standing.stops(&error.to_string());
                    TRY_AGAIN
                }),
            };
            tokio::time::sleep(rest).await;
        }
    }

    async fn until_lost(&self) {
        while self.router.owns_first_shard() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Sends the next portion and moves the position behind it. Returns how long to rest: as long as the store has
    /// worked for it, because sagas come first.
    async fn publish_next(&self) -> Result<Duration, FeedError> {
        let began = Instant::now();
        let bookmark = TopicBookmark::read_or_begin(self.store.as_ref(), &self.topic).await?;
        let portion = match self.reader.portion(bookmark.position()).await {
            Err(FeedError::Forgotten { oldest, .. }) => {
                self.skip(&bookmark, oldest).await?;
                return Ok(Duration::ZERO);
            }
            portion => portion?,
        };
        let Some(portion) = portion else {
            self.standing.caught_up();
            return Ok(LOOK_AGAIN);
        };
        let rest = began.elapsed();
        self.standing.sends(portion.first_at_ms);
        self.sender.send_all(portion.events).await;
        self.advance(&bookmark, portion.end, portion.last_at_ms).await?;
        Ok(rest)
    }

    /// What was sent is not sent again because the store is away for a moment. If another engine was first, its
    /// position counts.
    async fn advance(&self, bookmark: &TopicBookmark, to: FeedPosition, at_ms: Option<i64>) -> Result<(), StoreError> {
        loop {
            match bookmark.advance(self.store.as_ref(), to, at_ms).await {
                Err(error) if error.is_transient() => {
                    self.standing.stops(&error.to_string());
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                moved => return moved.map(drop),
            }
        }
    }

    async fn skip(&self, bookmark: &TopicBookmark, oldest: FeedPosition) -> Result<(), StoreError> {
        error!(
            topic = %self.topic.name,
            after = %bookmark.position(),
            oldest = %oldest,
            "the feed no longer has the next events for the topic: they were archived or dropped; the topic goes on \
             with the oldest that the feed has"
        );
        standing::count_skipped();
        self.advance(bookmark, oldest, None).await
    }
}
