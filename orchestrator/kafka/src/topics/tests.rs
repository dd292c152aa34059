//! Against the mock broker; and against a real one where `SAGA_TEST_KAFKA` names it, which the test run sees to.

use super::*;
use crate::{
    mock::{self, MockBroker},
    testing::{real_broker, unique},
};

fn needs(prefix: &str) -> RequiredTopics {
    let name = |topic: &str| -> Arc<str> { format!("{prefix}{topic}").into() };
    RequiredTopics {
        group: name("group"),
        inbox: name("inbox"),
        replies: name("replies"),
        dlq: name("dlq"),
        other_dlqs: Vec::new(),
        shards: 8,
        triggers: vec![name("orders")],
        written: vec![name("inventory.commands"), name("orders")],
    }
}

#[test]
fn every_topic_is_needed_once_and_the_command_makes_it_as_it_has_to_be() {
    let all = needs("saga.").all();
    let names: Vec<&str> = all.iter().map(|need| &*need.topic).collect();
    assert_eq!(
        names,
        [
            "saga.inbox",
            "saga.replies",
            "saga.dlq",
            "saga.inbox.installation",
            "saga.replies.installation",
            "saga.dlq.installation",
            "saga.group.group.installation",
            "saga.orders",
            "saga.inventory.commands"
        ]
    );
    assert_eq!(
        all[0].command("localhost:9092"),
        "kafka-topics.sh --bootstrap-server localhost:9092 --create --topic saga.inbox --partitions 8 \
         --config retention.ms=-1 --config retention.bytes=-1 --config cleanup.policy=delete --config max.message.bytes=2097152"
    );
    assert_eq!(
        all[7].command("localhost:9092"),
        "kafka-topics.sh --bootstrap-server localhost:9092 --create --topic saga.orders"
    );
}

#[test]
fn a_topic_of_the_dead_letters_of_one_topic_is_made_and_marked_as_the_other() {
    let needs = RequiredTopics { other_dlqs: vec!["shop.dlq".into()], ..needs("saga.") };
    let all = needs.all();
    let spec = |name: &str| all.iter().find(|spec| &*spec.topic == name).expect("needed");
    assert_eq!(spec("shop.dlq"), &TopicSpec { topic: "shop.dlq".into(), ..spec("saga.dlq").clone() });
    assert_eq!(spec("shop.dlq.installation").purpose, "mark of the installation");
    assert!(needs.written_to().iter().any(|topic| &**topic == "shop.dlq"));
    assert!(needs.owned().iter().any(|owned| (&*owned.name, owned.key) == ("shop.dlq", "topics.dlqOf")));
}

#[tokio::test]
async fn an_inbox_with_another_number_of_partitions_than_shards_stops_the_start() {
    let broker = MockBroker::start().expect("a mock broker");
    broker.create_topic("saga.inbox", 4).expect("a topic");
    let settings = KafkaSettings { broker: BrokerKind::Mock, ..KafkaSettings::new(broker.bootstrap_servers(), "saga") };
    let error = ensure(&settings, &needs("saga."), "here").await.expect_err("another number");
    assert!(matches!(error, TopicError::Shards { partitions: 4, shards: 8, .. }), "{error}");
    assert!(error.to_string().contains("saga.inbox has 4 partitions and `shards` is 8"), "{error}");
    let fitting = RequiredTopics { shards: 4, ..needs("saga.") };
    assert_eq!(ensure(&settings, &fitting, "here").await.expect("ready").largest_batch, USUAL_BATCH);
}

#[tokio::test]
async fn an_engine_beside_dev_has_topics_of_its_own_at_its_broker() {
    let broker = MockBroker::start().expect("a mock broker");
    broker.create_topic("saga.inbox", 8).expect("the inbox of dev");
    let settings = KafkaSettings::new(broker.bootstrap_servers(), "beside");
    let error = ensure(&settings, &needs("saga."), "here").await.expect_err("those of dev");
    assert!(matches!(error, TopicError::OfDev { key: "topics.inbox", .. }) && !error.is_transient(), "{error}");
    let beside = RequiredTopics { shards: mock::PARTITIONS, ..needs("beside.") };
    let ready = ensure(&settings, &beside, "here").await.expect("made");
    assert_eq!(ready.broker, BrokerKind::Mock);
    let admin = TopicAdmin::connect(&settings).expect("a client");
    for topic in [&beside.replies, &beside.triggers[0], &beside.written[0]] {
        assert_eq!(admin.partitions(topic).expect("an answer"), Some(usize::from(mock::PARTITIONS)), "{topic}");
    }
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_named() {
    let broker = MockBroker::start().expect("a mock broker");
    broker.set_reachable(false).expect("down");
    let mut settings =
        KafkaSettings { broker: BrokerKind::Mock, ..KafkaSettings::new(broker.bootstrap_servers(), "saga") };
    settings.properties.insert("socket.timeout.ms".into(), "1000".into());
    let error = ensure(&settings, &needs("saga."), "here").await.expect_err("unreachable");
    assert!(error.is_transient() && error.to_string().contains(broker.bootstrap_servers()), "{error}");
}

#[tokio::test]
async fn on_a_real_broker_everything_is_created_once_and_belongs_to_one_installation() {
    let Some(settings) = real_broker() else { return };
    let needs = needs(&unique("t"));
    let ready = ensure(&settings, &needs, "here").await.expect("created");
    assert_eq!(ready.created.len(), 9);
    assert_eq!((ready.largest_batch, ready.warnings.as_slice()), (USUAL_BATCH, &[][..]));
    let again = ensure(&settings, &needs, "here").await.expect("as it was");
    assert!(again.created.is_empty());
    let error = ensure(&settings, &needs, "elsewhere").await.expect_err("another store");
    assert!(matches!(error, TopicError::OtherInstallation { .. }), "{error}");
    let error = ensure(&settings, &RequiredTopics { shards: 9, ..needs }, "here").await.expect_err("other shards");
    assert!(matches!(error, TopicError::Shards { partitions: 8, shards: 9, .. }), "{error}");
}

#[tokio::test]
async fn what_belongs_to_one_installation_is_nobody_else_s() {
    let Some(settings) = real_broker() else { return };
    let (first, second) = (needs(&unique("t")), needs(&unique("t")));
    ensure(&settings, &first, "here").await.expect("created");
    let shared = [
        ("topics.replies", RequiredTopics { replies: first.replies.clone(), ..second.clone() }),
        ("topics.dlq", RequiredTopics { dlq: first.dlq.clone(), ..second.clone() }),
        ("kafka.group", RequiredTopics { group: first.group.clone(), ..second.clone() }),
    ];
    for (key, needs) in shared {
        let error = ensure(&settings, &needs, "elsewhere").await.expect_err(key).to_string();
        for words in ["belongs to installation here", "elsewhere", &format!("set {key} to another name")] {
            assert!(error.contains(words), "{key}: {words}: {error}");
        }
    }
    for (topic, purpose) in [(&first.inbox, "trigger"), (&first.replies, "trigger"), (&first.dlq, "commands")] {
        let reading = match purpose {
            "trigger" => RequiredTopics { triggers: vec![topic.clone()], ..second.clone() },
            _ => RequiredTopics { written: vec![topic.clone()], ..second.clone() },
        };
        let error = ensure(&settings, &reading, "elsewhere").await.expect_err("an internal topic").to_string();
        assert!(error.contains(&**topic) && error.contains("of installation here"), "{error}");
    }
    // The installation that was refused has taken nothing.
    ensure(&settings, &second, "a third one").await.expect("all of it is free");
}

#[test]
fn groups_that_no_topic_can_be_called_by_have_marks_of_their_own() {
    let mark = |group: &str| RequiredTopics { group: group.into(), ..needs("saga.") }.owned()[3].mark.clone();
    let (spaces, dashes, long) = (mark("my group"), mark("my-group"), mark(&"g".repeat(300)));
    assert_eq!(&*dashes, "my-group.group.installation");
    assert!(spaces.starts_with("my_group.") && spaces != mark("my/group"), "{spaces}");
    assert!(long.len() <= 249 && long != mark(&"g".repeat(301)), "{long}");
}

#[tokio::test]
async fn a_topic_that_cannot_be_created_is_named_with_what_to_run() {
    let Some(settings) = real_broker() else { return };
    let needs = RequiredTopics { triggers: vec!["not a topic".into()], ..needs(&unique("t")) };
    let error = ensure(&settings, &needs, "here").await.expect_err("an invalid name").to_string();
    assert!(error.contains("topic not a topic (trigger of a saga) does not exist and could not be created"), "{error}");
    assert!(error.contains("kafka-topics.sh --bootstrap-server"), "{error}");
}
