//! The topic of all events: the feed, written to Kafka for other systems.
//!
//! The engine that owns the first shard sends the events in portions. The records of one saga go one after the other,
//! those of several sagas at the same time. The position is in the event store, and moves when the broker has
//! acknowledged the whole portion. So what is sent after a position may be sent again, under the same `ce_id`, and
//! nothing is left out.
//!
//! Another engine that does the same by mistake does no harm: it sends repeats in the same order, and of two engines
//! that send a portion one moves the position.

mod bookmark;
mod sender;
mod standing;
mod worker;

pub(crate) use bookmark::TopicBookmark;
pub(crate) use standing::EventsTopicStanding;
pub use standing::EventsTopicView;
pub(crate) use worker::EventsTopicWorker;

use std::sync::Arc;

/// The topic that gets all events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Where it begins.
    pub start: EventsTopicStart,
}

/// Where a topic begins that has got no events of this installation yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventsTopicStart {
    /// With the first event after the start of the engine.
    #[default]
    Newest,
    /// With the oldest event that the feed has.
    Oldest,
}

#[cfg(test)]
mod tests;
