//! Whole runs, in this process: broker, store, participants, engine.

use super::{terminal::Written, *};
use crate::journal::reading::{self, SagaLine, Wanted};
use saga_event_store::Access;
use std::{collections::BTreeMap, path::Path};

fn options(folder: &tempfile::TempDir, orders: Option<u32>, exit: bool) -> Options {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Options { data: folder.path().join("a folder"), listen, orders, exit }
}

fn terminal() -> (Written, Terminal) {
    let written = Written::new();
    let terminal = Terminal::to(written.clone(), Palette::Plain).expect("a thread");
    (written, terminal)
}

async fn sagas(data: &Path) -> Vec<SagaLine> {
    let address = format!("sqlite:{}", data.join("saga.db").display());
    let store = saga_event_store::open(&address, Access::Read).await.expect("the store can be read");
    reading::list(store.as_ref(), &Wanted { limit: 100, ..Wanted::default() }).await.expect("the store answers")
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
        ["card_declined", "asked again, attempt 2", "score 95", "undone", "no courier goes to Atlantis", "12 sagas in"]
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
    let options = Options { listen, ..options(&folder, Some(1), true) };
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
    let _held = saga_event_store::open(&address, Access::Write { shards: 8 }).await.expect("a store");
    let error = run(options, terminal().1, std::future::pending()).await.expect_err("the folder is in use");
    assert!(format!("{error:#}").contains("--data"), "{error:#}");
}
