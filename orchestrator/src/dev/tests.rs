//! Whole runs, in this process: broker, store, participants, engine.

use super::{
    terminal::{ColourMode, WrittenLines},
    *,
};
use saga_engine::journal::reading::{self, SagaLine, SagaQuery};
use saga_event_store::StoreAccess;
use std::{collections::BTreeMap, path::Path};

fn options(folder: &tempfile::TempDir, orders: Option<u32>, exit: bool) -> DevOptions {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    DevOptions {
        data: folder.path().join("a folder"),
        listen,
        orders,
        exit,
        sagas: None,
        kafka_port: None,
        registry_port: None,
    }
}

fn terminal() -> (WrittenLines, TerminalWriter) {
    let written = WrittenLines::new();
    let terminal = TerminalWriter::to(written.clone(), ColourMode::Plain).expect("a thread");
    (written, terminal)
}

async fn sagas(data: &Path) -> Vec<SagaLine> {
    let address = format!("sqlite:{}", data.join("saga.db").display());
    let store = saga_event_store::open(&address, StoreAccess::Read).await.expect("the store can be read");
    reading::list(store.as_ref(), &SagaQuery { limit: 100, ..SagaQuery::default() }).await.expect("the store answers")
}

fn statuses(lines: &[SagaLine]) -> BTreeMap<&str, usize> {
    let mut statuses = BTreeMap::new();
    for line in lines {
        *statuses.entry(line.status.as_str()).or_default() += 1;
    }
    statuses
}

fn status_of(lines: &[SagaLine], number: &str) -> String {
    let line = lines.iter().find(|line| line.key.ends_with(number)).expect("an order of that number");
    line.status.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dozen_orders_end_in_every_way() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = options(&folder, Some(12), true);
    let (written, terminal) = terminal();
    let whole = run(options.clone(), terminal, std::future::pending()).await.expect("it runs");
    let text = written.text();
    assert!(whole, "{text}");
    let lines = sagas(&options.data).await;
    assert_eq!(statuses(&lines), BTreeMap::from([("compensated", 5), ("completed", 6), ("parked", 1)]), "{text}");
    for (number, status) in
        [("-002", "compensated"), ("-003", "compensated"), ("-006", "completed"), ("-008", "parked")]
    {
        assert_eq!(status_of(&lines, number), status, "{text}");
    }
    for told in
        ["card_declined", "sent again, attempt 2", "score 95", "undone", "no courier goes to Atlantis", "12 sagas in"]
    {
        assert!(text.contains(told), "{told}: {text}");
    }
}

/// The third order is a piano, to which inventory does not answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_run_goes_on_with_what_an_earlier_one_left_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (written, on) = terminal();
    let stop = written.clone();
    let asked = |text: &str| text.lines().any(|line| line.contains("-003") && line.contains("ReserveStock"));
    let ended = run(options(&folder, Some(3), false), on, async move { stop.until(asked).await });
    assert!(ended.await.expect("it runs"), "{}", written.text());
    assert!(written.text().contains("open: the next run"), "{}", written.text());

    let (written, on) = terminal();
    let later = options(&folder, Some(1), true);
    let whole = run(later.clone(), on, std::future::pending()).await.expect("it runs again");
    assert!(whole, "{}", written.text());
    let lines = sagas(&later.data).await;
    assert_eq!((lines.len(), status_of(&lines, "-003")), (4, "compensated".into()), "{}", written.text());
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_the_flag_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listen = taken.local_addr().expect("it has an address");
    let options = DevOptions { listen, ..options(&folder, Some(1), true) };
    let error = run(options.clone(), terminal().1, std::future::pending()).await.expect_err("the port is taken");
    assert!(format!("{error:#}").contains("--port"), "{error:#}");
    assert!(!options.data.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_another_run_has_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = options(&folder, Some(1), true);
    std::fs::create_dir(&options.data).expect("a folder");
    let address = format!("sqlite:{}", options.data.join("saga.db").display());
    let _held = saga_event_store::open(&address, StoreAccess::Write { shards: 8 }).await.expect("a store");
    let error = run(options, terminal().1, std::future::pending()).await.expect_err("the folder is in use");
    assert!(format!("{error:#}").contains("--data"), "{error:#}");
}

/// What each order of the other businesses comes to, by its number.
const ELSEWHERE: [(u32, &str); 12] = [
    (1, "completed"),    // a trip
    (2, "completed"),    // a transfer
    (3, "completed"),    // a subscription
    (4, "compensated"),  // a trip without the visa it needs
    (5, "compensated"),  // a transfer from a blocked account
    (6, "compensated"),  // a subscription beyond the card's limit
    (7, "completed"),    // a trip without the car, which was optional
    (8, "compensated"),  // a transfer that is a fraud
    (9, "completed"),    // a subscription
    (10, "completed"),   // a trip with a car
    (11, "compensated"), // a transfer to an account that is closed
    (12, "compensated"), // a subscription beyond the card's limit
];

#[tokio::test(flavor = "multi_thread")]
async fn the_other_businesses_come_to_what_their_definitions_say() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = options(&folder, Some(0), false);
    let (written, on) = terminal();
    let ordering = written.clone();
    let stop = async move {
        ordering.until(|text| text.contains("All orders have ended or are parked")).await;
        place_elsewhere(&ordering.text()).await;
        let ends = |text: &str| text.matches('■').count() + text.matches("! parked").count();
        ordering.until(|text| ends(text) == ELSEWHERE.len()).await;
    };
    run(options.clone(), on, stop).await.expect("it runs");
    let lines = sagas(&options.data).await;
    for (number, status) in ELSEWHERE {
        let key = orders::elsewhere("test", number).key;
        let line = lines.iter().find(|line| line.key == key).expect("every order began");
        assert_eq!(line.status, status, "{key}: {}", written.text());
    }
}

/// As a client of its own, at the address that was shown.
async fn place_elsewhere(shown: &str) {
    let line = shown.lines().find(|line| line.trim_start().starts_with("Kafka")).expect("the address is shown");
    let address = line.split_whitespace().nth(1).expect("an address");
    let settings = saga_kafka::KafkaSettings::new(address, "test");
    let producer = KafkaProducer::start(&settings).expect("a producer");
    for (number, _) in ELSEWHERE {
        let sent = producer.send(&traffic::record(orders::elsewhere("test", number))).await;
        assert!(sent.is_delivered(), "{sent:?}");
    }
}
