//! The topic of all events on a broker of the client library, and the position in a real store.

use super::{EventsTopic, EventsTopicStanding, EventsTopicStart, EventsTopicWorker, TopicBookmark, sender};
use crate::{
    KafkaOutput, LetterRoutes,
    feed::FeedReader,
    journal::{JournalAccess, PlanCache},
    router::{InboxForwarder, ShardRouter},
    seeding::fixture::SeededStore,
};
use saga_base::clock::EngineClock;
use saga_core::{id::ShardId, time::Timestamp};
use saga_event_store::{ChangeOutcome, EventStore, FeedPosition};
use saga_kafka::{KafkaProducer, KafkaSettings, mock::MockBroker};
use saga_resilience::registry::GuardRegistry;
use saga_wire::dead_letter::AddedDialects;
use std::{sync::Arc, time::Duration};

/// Less than the worker reads at once, and more.
const FEW: u32 = 3;
const MANY: u32 = 300;

fn topic(start: EventsTopicStart) -> EventsTopic {
    EventsTopic { name: "all.events".into(), start }
}

async fn end_of(store: &dyn EventStore) -> FeedPosition {
    store.feed_extent().await.expect("an extent").newest
}

#[tokio::test]
async fn a_topic_begins_where_it_is_told_and_keeps_its_position() {
    let seeded = SeededStore::with(FEW).await;
    let store = seeded.store.as_ref();
    let newest = TopicBookmark::read_or_begin(store, &topic(EventsTopicStart::Newest)).await.expect("a position");
    assert_eq!(newest.position(), end_of(store).await);
    let again = TopicBookmark::read_or_begin(store, &topic(EventsTopicStart::Oldest)).await.expect("a position");
    assert_eq!(again, newest, "the start counts once");
    let other = EventsTopic { name: "other".into(), start: EventsTopicStart::Oldest };
    let other = TopicBookmark::read_or_begin(store, &other).await.expect("a position");
    assert_eq!(other.position(), FeedPosition::START, "each topic has a position of its own");
}

#[tokio::test]
async fn of_two_that_move_the_position_one_does() {
    let seeded = SeededStore::with(FEW).await;
    let store = seeded.store.as_ref();
    let topic = topic(EventsTopicStart::Oldest);
    let (one, two) = (
        TopicBookmark::read_or_begin(store, &topic).await.expect("a position"),
        TopicBookmark::read_or_begin(store, &topic).await.expect("a position"),
    );
    let rows = store.feed(FeedPosition::START, 10, u64::MAX).await.expect("rows").rows;
    let (first, last) = (rows[0].position, rows[rows.len() - 1].position);
    assert_eq!(one.advance(store, last, Some(1)).await.expect("an answer"), ChangeOutcome::Applied);
    assert_eq!(two.advance(store, first, Some(1)).await.expect("an answer"), ChangeOutcome::Outdated);
    let now = TopicBookmark::read_or_begin(store, &topic).await.expect("a position");
    assert_eq!(now.position(), last, "it never goes back");
}

#[tokio::test]
async fn a_record_without_its_data_says_how_much_is_missing() {
    let seeded = SeededStore::with(1).await;
    let reader = FeedReader::new(Arc::clone(&seeded.store));
    let portion = reader.portion(FeedPosition::START).await.expect("read").expect("events");
    assert!(portion.first_at_ms.is_some() && portion.first_at_ms <= portion.last_at_ms);
    let event = &portion.events[0];
    let whole = sender::record_of(&"all.events".into(), event);
    let short = sender::record_of(&"all.events".into(), &event.without_data());
    assert_eq!((&whole.key, &whole.headers), (&short.key, &short.headers), "the same event");
    let value: serde_json::Value = serde_json::from_slice(&short.value.expect("a value")).expect("JSON");
    assert_eq!(
        (&value["data"], &value["dataOmitted"]),
        (&serde_json::Value::Null, &event.data.to_string().len().into())
    );
    let value: serde_json::Value = serde_json::from_slice(&whole.value.expect("a value")).expect("JSON");
    assert_eq!((&value["data"], value.get("dataOmitted")), (&event.data, None));
}

/// A worker on a broker, and how its topic stands.
struct WorkerFixture {
    seeded: SeededStore,
    router: ShardRouter,
    standing: Arc<EventsTopicStanding>,
    worker: EventsTopicWorker,
    _broker: MockBroker,
}

impl WorkerFixture {
    async fn with(sagas: u32) -> WorkerFixture {
        let (seeded, broker) = (SeededStore::with(sagas).await, MockBroker::start().expect("a broker"));
        broker.create_topic("all.events", 3).expect("a topic");
        let settings = KafkaSettings::new(broker.bootstrap_servers(), "saga");
        let producer = KafkaProducer::start(&settings).expect("a producer");
        let (inbox, replies, letters) = (Arc::from("inbox"), Arc::from("replies"), LetterRoutes::new("dlq", []));
        let kafka = KafkaOutput { producer, inbox, replies, letters, dialects: AddedDialects::default() };
        let guards = GuardRegistry::from_participants(&saga_core::definition::ParticipantCatalog::default());
        let topics = Arc::clone(guards.expect("guards").topics());
        let (topic, router) = (topic(EventsTopicStart::Oldest), ShardRouter::new(1, InboxForwarder::Disabled));
        let standing = Arc::new(EventsTopicStanding::new(Arc::clone(&topic.name), Arc::clone(&topics)));
        let journal = JournalAccess::new(Arc::clone(&seeded.store), PlanCache::default());
        let worker = EventsTopicWorker::new(&journal, router.clone(), (topic, &kafka), topics, Arc::clone(&standing));
        WorkerFixture { seeded, router, standing, worker, _broker: broker }
    }
}

async fn until(store: &dyn EventStore, position: FeedPosition) {
    let arrived = async {
        while TopicBookmark::read_or_begin(store, &topic(EventsTopicStart::Oldest)).await.expect("read").position()
            != position
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), arrived).await.expect("the position arrives at the end");
}

#[tokio::test]
async fn the_owner_of_the_first_shard_writes_and_nobody_else() {
    let WorkerFixture { seeded, router, standing, worker, _broker } = WorkerFixture::with(MANY).await;
    let running = tokio::spawn(worker.run());
    assert_eq!(standing.view(EngineClock::Wall.now()), None, "another engine writes");
    let _queue = router.open(ShardId(0));
    until(seeded.store.as_ref(), end_of(seeded.store.as_ref()).await).await;
    let view = standing.view(Timestamp(i64::MAX)).expect("this engine writes");
    assert_eq!((&*view.topic, view.problem), ("all.events", None));
    router.close(ShardId(0));
    let left = async {
        while standing.view(Timestamp(0)).is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), left).await.expect("it leaves the topic to the next owner");
    running.abort();
}

#[test]
fn what_stops_the_topic_is_told_until_it_goes_on() {
    let guards = GuardRegistry::from_participants(&saga_core::definition::ParticipantCatalog::default());
    let topics = Arc::clone(guards.expect("guards").topics());
    let standing = EventsTopicStanding::new("all.events".into(), Arc::clone(&topics));
    let problem = || standing.view(Timestamp(5_000)).and_then(|view| view.problem);
    standing.sends(Some(2_000));
    let view = standing.view(Timestamp(5_000)).expect("it writes");
    assert_eq!((view.behind, view.problem), (Duration::from_secs(3), None));
    standing.refuses("one:4.1", "kafka.invalid");
    assert!(problem().is_some_and(|told| told.contains("one:4.1") && told.contains("kafka.invalid")));
    standing.takes("one:4.1");
    assert_eq!(problem(), None);
    standing.stops("the store does not answer");
    assert_eq!(problem().as_deref(), Some("the store does not answer"));
    standing.caught_up();
    assert_eq!(standing.view(Timestamp(5_000)).map(|view| (view.behind, view.problem)), Some((Duration::ZERO, None)));
    topics.record_failure(&"all.events".into(), "no such topic", Duration::from_secs(5));
    assert_eq!(problem().as_deref(), Some("no such topic"));
    standing.left();
    assert_eq!(standing.view(Timestamp(5_000)), None);
}
