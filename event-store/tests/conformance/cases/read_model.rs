//! The read model: one row per stream, in the transaction of the journal row that changes it.

use crate::{
    place::{Place, Store},
    streams::{
        CATEGORY, SHARD, STARTED_MS, after, all, append, claim, commit, commit_all, in_category, rival_of, showing,
        start,
    },
};
use anyhow::{Context, Result};
use saga_event_store::{
    AppendOutcome, MarkOutcome, ShardEpoch, StoreError, StreamAppend, StreamDimension, StreamFilter, StreamFlagCount,
    StreamGroup, StreamMark, StreamStatusCount, StreamSummary, SummaryUpdate, WaitFilter, WaitTarget,
};
use uuid::Uuid;

pub(crate) async fn a_status_changes_with_its_row(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    let running = summary(&store, first.stream).await?;
    let expected = StreamSummary {
        stream: first.stream,
        category: CATEGORY.into(),
        key: "order-1".into(),
        document: "d0".repeat(32),
        status: "running".into(),
        step: None,
        reason: None,
        started_at_ms: STARTED_MS,
        updated_at_ms: STARTED_MS,
        waits_on: Vec::new(),
        flags: Vec::new(),
        code: None,
        erased_at_ms: None,
    };
    assert_eq!(running, expected);
    let parked = waiting_at(showing(after(&first), "parked"), "charge", "the card's issuer does not answer");
    commit(&store, &parked).await?;
    let shown = StreamSummary {
        status: "parked".into(),
        step: Some("charge".into()),
        reason: Some("the card's issuer does not answer".into()),
        updated_at_ms: STARTED_MS + 1000,
        ..expected.clone()
    };
    assert_eq!(summary(&store, first.stream).await?, shown);
    commit(&store, &showing(after(&parked), "running")).await?;
    let again = StreamSummary { updated_at_ms: STARTED_MS + 2000, ..expected };
    assert_eq!(summary(&store, first.stream).await?, again);
    assert_eq!(store.summary(Uuid::new_v4()).await?, None);
    assert_eq!(store.last_version(first.stream).await?, Some(3));
    assert_eq!(store.last_version(Uuid::new_v4()).await?, None);
    Ok(())
}

fn waiting_at(append: StreamAppend, step: &str, reason: &str) -> StreamAppend {
    let at = |summary| SummaryUpdate { step: Some(step.to_owned()), reason: Some(reason.to_owned()), ..summary };
    StreamAppend { summary: append.summary.map(at), ..append }
}

async fn summary(store: &Store, stream: Uuid) -> Result<StreamSummary> {
    store.summary(stream).await?.context("the stream is in the read model")
}

pub(crate) async fn a_refused_append_changes_no_status(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (first, lost) = (start(epoch, "order-1"), start(epoch, "order-1"));
    let second = showing(after(&first), "compensating");
    commit(&store, &first).await?;
    commit(&store, &second).await?;
    let before = store.list(&all()).await?;
    let fenced = StreamAppend { epoch: ShardEpoch(epoch.0 + 7), ..showing(after(&second), "completed") };
    assert_eq!(append(&store, &showing(rival_of(&second), "completed")).await?, AppendOutcome::Conflict);
    assert_eq!(append(&store, &fenced).await?, AppendOutcome::Fenced);
    assert!(matches!(append(&store, &lost).await?, AppendOutcome::DuplicateKey { .. }));
    // Nor does the repeat of an append that has long been committed bring its status back.
    commit(&store, &first).await?;
    assert_eq!(store.list(&all()).await?, before);
    Ok(())
}

pub(crate) async fn an_append_may_leave_the_status_as_it_is(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    let before = summary(&store, first.stream).await?;
    commit(&store, &after(&first)).await?;
    assert_eq!(summary(&store, first.stream).await?, before);
    Ok(())
}

pub(crate) async fn a_list_is_filtered(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let streams = a_few_streams(&store).await?;
    let listed = async |filter: StreamFilter| -> Result<Vec<usize>> {
        let found = store.list(&StreamFilter { limit: 100, ..filter }).await?;
        Ok(found.iter().filter_map(|row| streams.iter().position(|id| *id == row.stream)).collect())
    };
    let statuses = |words: &[&str]| StreamFilter { statuses: words.iter().map(|&it| it.into()).collect(), ..all() };
    assert_eq!(listed(all()).await?, [4, 3, 2, 1, 0]);
    assert_eq!(listed(statuses(&["running"])).await?, [3, 0]);
    assert_eq!(listed(statuses(&["parked", "completed"])).await?, [4, 2, 1]);
    // A word is not found by a part of it.
    assert_eq!(listed(statuses(&["run", "unning", "%", ""])).await?, [0; 0]);
    assert_eq!(listed(StreamFilter { category: Some("refund".into()), ..all() }).await?, [4, 3]);
    assert_eq!(listed(StreamFilter { key: Some("order-1".into()), ..all() }).await?, [3, 0]);
    assert_eq!(listed(StreamFilter { key: Some("ORDER-1".into()), ..all() }).await?, [0; 0]);
    assert_eq!(listed(StreamFilter { category: Some("refund".into()), ..statuses(&["parked"]) }).await?, [4]);
    assert_eq!(listed(StreamFilter { before: Some(streams[3]), ..statuses(&["running"]) }).await?, [0]);
    let ended = |from, before| StreamFilter { ended_from_ms: from, ended_before_ms: before, ..all() };
    assert_eq!(listed(ended(Some(STARTED_MS), None)).await?, [2]);
    assert_eq!(listed(ended(Some(STARTED_MS + 1), None)).await?, [0; 0]);
    assert_eq!(listed(ended(None, Some(STARTED_MS + 1))).await?, [2]);
    assert_eq!(listed(ended(None, Some(STARTED_MS))).await?, [0; 0]);
    let text = |part: &str| StreamFilter { text: Some(part.into()), ..all() };
    assert_eq!(listed(text("der-3")).await?, [2]);
    assert_eq!(listed(text("refun")).await?, [4, 3]);
    // No character is a wildcard, and no text runs over two columns.
    assert_eq!(listed(text("%")).await?, [0; 0]);
    assert_eq!(listed(text("order-1refund")).await?, [0; 0]);
    assert_eq!(listed(StreamFilter { reason: Some("issuer".into()), ..all() }).await?, [0; 0]);
    Ok(())
}

pub(crate) async fn a_reason_is_found_by_a_part_of_it(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    let parked = waiting_at(showing(after(&first), "parked"), "charge", "the card's issuer does not answer");
    commit(&store, &parked).await?;
    let found = async |filter: StreamFilter| -> Result<usize> {
        Ok(store.list(&StreamFilter { limit: 100, ..filter }).await?.len())
    };
    for (part, hits) in [("card's issuer", 1), ("Issuer", 0), ("charge", 0)] {
        assert_eq!(found(StreamFilter { reason: Some(part.into()), ..all() }).await?, hits, "{part}");
    }
    for (part, hits) in [("card's issuer", 1), ("charge", 1), ("order-1", 1), ("parked", 0)] {
        assert_eq!(found(StreamFilter { text: Some(part.into()), ..all() }).await?, hits, "{part}");
    }
    Ok(())
}

pub(crate) async fn a_search_knows_where_it_ends(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let streams = a_few_streams(&store).await?;
    assert_eq!(store.stream_below(None, 0).await?, Some(streams[4]));
    assert_eq!(store.stream_below(None, 4).await?, Some(streams[0]));
    assert_eq!(store.stream_below(None, 5).await?, None);
    assert_eq!(store.stream_below(Some(streams[3]), 1).await?, Some(streams[1]));
    assert_eq!(store.stream_below(Some(streams[0]), 0).await?, None);
    Ok(())
}

/// In the order of their ids: key, status and category as the expectations above have them.
async fn a_few_streams(store: &Store) -> Result<Vec<Uuid>> {
    let epoch = claim(store).await?;
    let made = [
        ("order-1", "running", CATEGORY),
        ("order-2", "parked", CATEGORY),
        ("order-3", "completed", CATEGORY),
        ("order-1", "running", "refund"),
        ("order-4", "parked", "refund"),
    ];
    let starts = made.map(|(key, status, category)| in_category(category, showing(start(epoch, key), status)));
    commit_all(store, &starts).await?;
    Ok(starts.iter().map(|it| it.stream).collect())
}

pub(crate) async fn a_list_has_pages_newest_first(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let starts: Vec<StreamAppend> = (0..25).map(|number| start(epoch, &format!("order-{number}"))).collect();
    commit_all(&store, &starts).await?;
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let page = store.list(&StreamFilter { before, limit: 10, ..StreamFilter::default() }).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.stream);
        pages.push(page);
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    let listed: Vec<Uuid> = pages.iter().flatten().map(|row| row.stream).collect();
    assert_eq!(listed, starts.iter().rev().map(|it| it.stream).collect::<Vec<_>>());
    assert_eq!(store.list(&StreamFilter { limit: 0, ..StreamFilter::default() }).await?, []);
    assert_eq!(store.list(&StreamFilter { limit: u32::MAX, ..StreamFilter::default() }).await?.len(), 25);
    Ok(())
}

pub(crate) async fn streams_are_counted_by_category_and_status(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    assert_eq!(store.counts().await?, []);
    a_few_streams(&store).await?;
    let counts = store.counts().await?;
    let counts: Vec<(&str, &str, i64)> =
        counts.iter().map(|(a, b, number)| (a.as_str(), b.as_str(), *number)).collect();
    let orders = [(CATEGORY, "completed", 1), (CATEGORY, "parked", 1), (CATEGORY, "running", 1)];
    assert_eq!(counts[..3], orders);
    assert_eq!(counts[3..], [("refund", "parked", 1), ("refund", "running", 1)]);
    Ok(())
}

pub(crate) async fn what_streams_wait_on_is_found_by_kind_and_name(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let waits = [&["breaker:payments"][..], &[], &["breaker:pay", "bulkhead:payments"], &["breaker:pay"]];
    let starts: Vec<StreamAppend> = waits
        .iter()
        .zip(1..)
        .map(|(words, n)| waiting_on(showing(start(epoch, &format!("order-{n}")), "waiting"), words))
        .collect();
    commit_all(&store, &starts).await?;
    let listed = async |kind: &str, name: &str| -> Result<Vec<usize>> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let waiting = Some(WaitFilter { kind: given(kind), name: given(name) });
        let found = store.list(&StreamFilter { waiting, ..all() }).await?;
        Ok(found.iter().filter_map(|row| starts.iter().position(|it| it.stream == row.stream)).collect())
    };
    assert_eq!(listed("", "").await?, [3, 2, 0]);
    assert_eq!(listed("breaker", "").await?, [3, 2, 0]);
    assert_eq!(listed("", "payments").await?, [2, 0]);
    assert_eq!(listed("breaker", "payments").await?, [0]);
    assert_eq!(listed("breaker", "pay").await?, [3, 2]);
    // A word is not found by a part of it, nor by what it cannot have.
    assert_eq!(listed("break", "").await?, [0; 0]);
    assert_eq!(listed("", "ments").await?, [0; 0]);
    assert_eq!(listed("breaker", "pay,bulkhead:payments").await?, [0; 0]);
    let counts = store.waiting_counts().await?;
    let counts: Vec<(String, i64)> = counts.into_iter().map(|(it, streams)| (it.to_string(), streams)).collect();
    let counted = |word: &str, streams| (word.to_owned(), streams);
    assert_eq!(counts, [counted("breaker:pay", 2), counted("breaker:payments", 1), counted("bulkhead:payments", 1)]);
    assert_eq!(words_of(&summary(&store, starts[2].stream).await?), ["breaker:pay", "bulkhead:payments"]);
    commit(&store, &showing(after(&starts[0]), "running")).await?;
    assert_eq!(listed("", "payments").await?, [2]);
    let other = waiting_on(showing(after(&starts[2]), "waiting"), &["bulkhead:stock", "breaker:pay", "breaker:pay"]);
    commit(&store, &other).await?;
    assert_eq!((listed("", "payments").await?, listed("bulkhead", "").await?), (vec![], vec![2]));
    assert_eq!(words_of(&summary(&store, starts[2].stream).await?), ["breaker:pay", "bulkhead:stock"]);
    // What changes nothing of the read model leaves it.
    commit(&store, &after(&other)).await?;
    let groups = store
        .tally(&StreamFilter { waiting: Some(WaitFilter::default()), ..all() }, &[StreamDimension::WaitsOn])
        .await?;
    let groups = groups.iter().map(|group| (waits_of(group), group.streams));
    let expected = [("breaker:pay".to_owned(), 1), ("breaker:pay bulkhead:stock".to_owned(), 1)];
    assert_eq!(groups.collect::<Vec<_>>(), expected);
    assert!(matches!(WaitTarget::new("breaker", "pay,ments"), Err(StoreError::Limit(_))));
    Ok(())
}

pub(crate) async fn open_streams_are_counted_with_the_age_of_the_oldest(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    assert_eq!(store.standing().await?, []);
    let epoch = claim(&store).await?;
    let (one, two, ended) = (start(epoch, "order-1"), start(epoch, "order-2"), start(epoch, "order-3"));
    commit_all(&store, &[one.clone(), two.clone(), ended.clone()]).await?;
    commit(&store, &showing(after(&ended), "completed")).await?;
    commit(&store, &showing(after(&one), "parked")).await?;
    let standing = |status: &str, changed_ms| StreamStatusCount {
        category: CATEGORY.into(),
        status: status.into(),
        streams: 1,
        oldest_started_ms: STARTED_MS,
        oldest_changed_ms: changed_ms,
    };
    assert_eq!(store.standing().await?, [standing("parked", STARTED_MS + 1000), standing("running", STARTED_MS)]);
    let listed = store.list(&StreamFilter { only_open: true, ..all() }).await?;
    assert_eq!(listed.iter().map(|row| row.stream).collect::<Vec<_>>(), [two.stream, one.stream]);
    Ok(())
}

pub(crate) async fn flags_are_found_and_counted(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (one, two, plain) = (start(epoch, "order-1"), start(epoch, "order-2"), start(epoch, "order-3"));
    commit_all(&store, &[one.clone(), two.clone(), plain]).await?;
    let late = flagged(showing(after(&one), "completed"), &["lateSuccess", "overdue"]);
    commit_all(&store, &[late, flagged(showing(after(&two), "running"), &["overdue"])]).await?;
    let listed = async |flag: &str| -> Result<Vec<Uuid>> {
        let found = store.list(&StreamFilter { flag: Some(flag.into()), ..all() }).await?;
        Ok(found.iter().map(|row| row.stream).collect())
    };
    assert_eq!(listed("overdue").await?, [two.stream, one.stream]);
    let any = store.list(&StreamFilter { flagged: true, ..all() }).await?;
    assert_eq!(any.iter().map(|row| row.stream).collect::<Vec<_>>(), [two.stream, one.stream]);
    assert_eq!(listed("lateSuccess").await?, [one.stream]);
    // A word is not found by a part of it, nor by what it cannot have.
    for word in ["over", "", "lateSuccess,overdue"] {
        assert_eq!(listed(word).await?, Vec::<Uuid>::new(), "{word}");
    }
    let counted = |flag: &str, open| StreamFlagCount { flag: flag.into(), open, streams: 1 };
    let counts = [counted("lateSuccess", false), counted("overdue", true), counted("overdue", false)];
    assert_eq!(store.flagged().await?, counts);
    assert_eq!(summary(&store, one.stream).await?.flags, ["lateSuccess", "overdue"]);
    let bad = flagged(showing(after(&after(&two)), "running"), &["a,b"]);
    assert!(matches!(store.append(&[bad]).await, Err(StoreError::Limit(_))));
    commit(&store, &showing(after(&after(&two)), "running")).await?;
    assert_eq!(listed("overdue").await?, [one.stream]);
    Ok(())
}

fn flagged(append: StreamAppend, flags: &[&str]) -> StreamAppend {
    let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
    StreamAppend { summary: append.summary.map(|summary| SummaryUpdate { flags, ..summary }), ..append }
}

fn waiting_on(append: StreamAppend, words: &[&str]) -> StreamAppend {
    let parted = words.iter().filter_map(|word| word.split_once(':'));
    let waits_on: Vec<_> = parted.filter_map(|(kind, name)| WaitTarget::new(kind, name).ok()).collect();
    StreamAppend { summary: append.summary.map(|summary| SummaryUpdate { waits_on, ..summary }), ..append }
}

fn words_of(summary: &StreamSummary) -> Vec<String> {
    summary.waits_on.iter().map(ToString::to_string).collect()
}

fn waits_of(group: &StreamGroup) -> String {
    group.waits_on.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn what_cannot_be_read_is_marked_beside_its_rows(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (first, ended) = (waiting_on(start(epoch, "order-1"), &["breaker:payments"]), start(epoch, "order-2"));
    commit_all(&store, &[first.clone(), ended.clone()]).await?;
    commit(&store, &showing(after(&ended), "completed")).await?;
    let mark = |stream, epoch| StreamMark {
        shard: SHARD,
        epoch,
        stream,
        status: "parked".into(),
        reason: Some("cannot be read".into()),
        code: Some("unreadable".into()),
        at_ms: STARTED_MS + 5000,
    };
    assert_eq!(store.mark(&mark(first.stream, ShardEpoch(epoch.0 + 1))).await?, MarkOutcome::Fenced);
    assert_eq!(summary(&store, first.stream).await?.status, "running");
    assert_eq!(store.waiting_counts().await?.len(), 1);
    assert_eq!(store.mark(&mark(first.stream, epoch)).await?, MarkOutcome::Shown);
    let shown = summary(&store, first.stream).await?;
    assert_eq!((shown.waits_on.len(), store.waiting_counts().await?.len()), (0, 0));
    assert_eq!((shown.status.as_str(), shown.reason.as_deref()), ("parked", Some("cannot be read")));
    assert_eq!(shown.code.as_deref(), Some("unreadable"));
    assert_eq!(shown.updated_at_ms, STARTED_MS + 5000);
    store.mark(&StreamMark { at_ms: STARTED_MS + 9000, ..mark(first.stream, epoch) }).await?;
    assert_eq!(summary(&store, first.stream).await?.updated_at_ms, STARTED_MS + 5000);
    assert_eq!(store.open_streams(SHARD, None, 10).await?, [first.stream]);
    store.mark(&mark(ended.stream, epoch)).await?;
    assert_eq!(summary(&store, ended.stream).await?.status, "completed");
    commit(&store, &showing(after(&first), "running")).await?;
    assert_eq!(summary(&store, first.stream).await?.status, "running");
    Ok(())
}

/// Started as its place in the list says; parked at `step` because of `code`, by a document whose hash begins with
/// `document`.
fn failed(append: StreamAppend, step: &str, code: &str, document: &str) -> StreamAppend {
    let at = |summary| SummaryUpdate {
        step: Some(step.to_owned()),
        code: Some(code.to_owned()),
        document: document.to_owned(),
        ..summary
    };
    StreamAppend { summary: append.summary.map(at), ..append }
}

pub(crate) async fn streams_are_found_and_counted_by_what_failed(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let keys = ["a", "b", "c", "d"];
    let all_of_them: Vec<StreamAppend> = keys.iter().map(|key| start(epoch, key)).collect();
    commit_all(&store, &all_of_them).await?;
    let parked =
        |at: usize, step: &str, code: &str| failed(showing(after(&all_of_them[at]), "parked"), step, code, "aa11");
    commit_all(
        &store,
        &[parked(0, "charge", "http.422"), parked(1, "charge", "http.422"), parked(2, "ship", "http.500")],
    )
    .await?;
    let gone_back = failed(showing(after(&after(&all_of_them[2])), "compensated"), "ship", "http.500", "bb22");
    commit(&store, &StreamAppend { recorded_at_ms: STARTED_MS + 9000, ..gone_back }).await?;
    let listed = async |filter: StreamFilter| {
        let lines = store.list(&StreamFilter { limit: 100, ..filter }).await?;
        anyhow::Ok(lines.into_iter().map(|line| line.key).collect::<Vec<_>>())
    };
    let word = |word: &str| Some(word.to_owned());
    assert_eq!(listed(StreamFilter { code: word("http.422"), ..all() }).await?, ["b", "a"]);
    assert_eq!(listed(StreamFilter { code: word("http.500"), ..all() }).await?, ["c"]);
    assert_eq!(listed(StreamFilter { code: word("http.500"), only_open: true, ..all() }).await?, Vec::<String>::new());
    assert_eq!(
        listed(StreamFilter { step: word("charge"), before: Some(all_of_them[1].stream), ..all() }).await?,
        ["a"]
    );
    assert_eq!(listed(StreamFilter { document: word("bb"), ..all() }).await?, ["c"], "the one that it goes by now");
    assert_eq!(listed(StreamFilter { unchanged_since_ms: Some(STARTED_MS + 1000), ..all() }).await?, ["d"]);
    assert_eq!(listed(StreamFilter { from: Some(all_of_them[2].stream), ..all() }).await?, ["d", "c"]);
    assert_eq!(listed(StreamFilter { code: word("http.4\0"), ..all() }).await?, Vec::<String>::new());

    let by = [StreamDimension::Status, StreamDimension::Step, StreamDimension::Code];
    let group = |status: &str, at: Option<(&str, &str)>, streams, changed_ms| StreamGroup {
        category: None,
        status: word(status),
        step: at.map(|(step, _)| step.to_owned()),
        code: at.map(|(_, code)| code.to_owned()),
        waits_on: Vec::new(),
        document: None,
        streams,
        oldest_started_ms: STARTED_MS,
        oldest_changed_ms: changed_ms,
    };
    let charge = group("parked", Some(("charge", "http.422")), 2, STARTED_MS + 1000);
    let open = [charge.clone(), group("running", None, 1, STARTED_MS)];
    assert_eq!(store.tally(&StreamFilter { only_open: true, ..all() }, &by).await?, open);
    let [_, running] = open;
    let back = group("compensated", Some(("ship", "http.500")), 1, STARTED_MS + 9000);
    assert_eq!(store.tally(&all(), &by).await?, [charge.clone(), back, running]);
    assert_eq!(store.tally(&StreamFilter { limit: 1, ..all() }, &by).await?, std::slice::from_ref(&charge));
    let whole = StreamGroup { status: None, step: None, code: None, ..charge };
    assert_eq!(store.tally(&StreamFilter { code: word("http.422"), ..all() }, &[]).await?, [whole]);
    Ok(())
}
