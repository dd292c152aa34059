//! How far the topic is. The event store keeps it as a generation of a projection that has no rows.

use super::{EventsTopic, EventsTopicStart};
use saga_event_store::{
    ArchiveReading, ChangeOutcome, EventStore, FeedPosition, ProjectionChange, ProjectionGeneration, ProjectionStart,
    StoreError,
};

/// Before the name of the topic: no projection is called so.
const PREFIX: &str = "topic:";
/// Raised if positions get another meaning.
const RULES: u32 = 1;

/// The position of a topic, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicBookmark(ProjectionGeneration);

impl TopicBookmark {
    /// The position of the topic. One that has none gets the one at which it begins.
    ///
    /// # Errors
    /// When the store does not answer. Then the position may be on record; the next call returns it.
    pub(crate) async fn read_or_begin(store: &dyn EventStore, topic: &EventsTopic) -> Result<Self, StoreError> {
        if let Some(bookmark) = TopicBookmark::read(store, topic).await? {
            return Ok(bookmark);
        }
        let extent = store.feed_extent().await?;
        let from = match topic.start {
            EventsTopicStart::Newest => extent.newest,
            EventsTopicStart::Oldest => extent.oldest,
        };
        let (name, archives, left_out) = (row_of(topic), ArchiveReading::None, None);
        store.begin_projection(&ProjectionStart { name, code_version: RULES, from, archives, left_out }).await?;
        let begun = TopicBookmark::read(store, topic).await?;
        begun.ok_or_else(|| StoreError::Damaged(format!("the position of topic {} was removed", topic.name)))
    }

    async fn read(store: &dyn EventStore, topic: &EventsTopic) -> Result<Option<TopicBookmark>, StoreError> {
        let (name, all) = (row_of(topic), store.projections().await?);
        let found = all.into_iter().rev().find(|it| it.name == name && it.code_version == RULES);
        Ok(found.map(TopicBookmark))
    }

    pub(super) fn position(&self) -> FeedPosition {
        self.0.position
    }

    /// Moves the position, if it is still the one that was read. `at_ms`: when the row at `to` was recorded.
    ///
    /// # Errors
    /// As [`saga_event_store::StoreProjections::apply_projection`].
    pub(super) async fn advance(
        &self,
        store: &dyn EventStore,
        to: FeedPosition,
        at_ms: Option<i64>,
    ) -> Result<ChangeOutcome, StoreError> {
        let TopicBookmark(ProjectionGeneration { name, generation, position, .. }) = self;
        let change = ProjectionChange {
            name: name.clone(),
            generation: *generation,
            from: *position,
            to,
            archives_from: ArchiveReading::None,
            archives_to: ArchiveReading::None,
            left_out: None,
            at_ms,
            put: Vec::new(),
            removed: Vec::new(),
        };
        store.apply_projection(&change).await
    }
}

fn row_of(topic: &EventsTopic) -> String {
    format!("{PREFIX}{}", topic.name)
}
