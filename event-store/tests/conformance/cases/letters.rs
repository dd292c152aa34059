//! Dead letters: rows about records of a topic, with what people did about them.

use crate::place::{Place, Store};
use anyhow::{Context, Result, ensure};
use saga_event_store::{
    ActSource, EditChange, LetterAct, LetterActOutcome, LetterActQuery, LetterCoordinates, LetterEdit, LetterOrder,
    LetterPart, LetterPortion, LetterPosition, LetterStatus, LetterSweep, MAX_LETTER_TEXT_BYTES, NewLetter,
    RepeatedLetter, StoreError, StoredLetter, StoredLetterFilter,
};
use uuid::Uuid;

const TOPIC: &str = "saga.dlq";

fn at(offset: i64) -> LetterCoordinates {
    LetterCoordinates { topic: TOPIC.into(), partition: 0, offset }
}

fn letter(offset: i64, code: &str) -> NewLetter {
    NewLetter {
        offset,
        id: format!("shop.orders/3/{offset}/order"),
        code: code.into(),
        origin: Some(LetterCoordinates { topic: "shop.orders".into(), partition: 3, offset }),
        definition: Some("order".into()),
        key: Some(format!("key-{offset}")),
        message: format!("Das Feld „total\" fehlt in {offset}"),
        fingerprint: format!("of-{code}"),
        redrives: 0,
        written_at_ms: 1_000 + offset,
        stream: None,
    }
}

fn position(log: i64, offset: i64) -> LetterPosition {
    LetterPosition { log, offset, mark: (offset > 0).then(|| format!("mark-{offset}")) }
}

fn portion(from: LetterPosition, to: LetterPosition, letters: Vec<NewLetter>) -> LetterPortion {
    LetterPortion { topic: TOPIC.into(), partition: 0, from, to, letters }
}

fn all() -> StoredLetterFilter {
    StoredLetterFilter { limit: 1_000, ..StoredLetterFilter::default() }
}

async fn found(store: &Store, filter: StoredLetterFilter) -> Result<Vec<i64>> {
    let page = store.letters(&filter, LetterOrder::Oldest).await?;
    Ok(page.into_iter().map(|it| it.place.offset).collect())
}

/// A store with the letters 0, 1, … of these codes.
async fn with_letters(place: &dyn Place, codes: &[&str]) -> Result<Store> {
    let store = place.engine().await?;
    let letters: Vec<NewLetter> = (0..).zip(codes).map(|(offset, code)| letter(offset, code)).collect();
    let to = position(1, i64::try_from(letters.len())?);
    ensure!(store.add_letters(&portion(LetterPosition::default(), to, letters)).await?);
    Ok(store)
}

fn act(offset: i64, id: &str, status: LetterStatus) -> LetterAct {
    LetterAct {
        place: at(offset),
        expected: vec![LetterStatus::New, LetterStatus::Reviewing],
        status,
        id: id.into(),
        at_ms: 5_000,
        who: "ann".into(),
        action: status.as_str().into(),
        why: "the producer is mended".into(),
        source: ActSource { token: Some("key:ann".into()), ..ActSource::default() },
        result: None,
        redrives: 0,
        edit: EditChange::Keep,
    }
}

async fn one(store: &Store, offset: i64) -> Result<StoredLetter> {
    Ok(store.letter(&at(offset)).await?.context("a letter")?.0)
}

pub(crate) async fn letters_and_position_are_written_together(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    assert_eq!(store.letter_positions(TOPIC).await?, []);
    assert_eq!(store.last_letter().await?, 0);
    let foreign = NewLetter { origin: None, definition: None, key: None, redrives: 3, ..letter(1, "foreign") };
    let first = portion(LetterPosition::default(), position(1, 2), vec![letter(0, "key"), foreign.clone()]);
    assert!(store.add_letters(&first).await?);
    assert!(!store.add_letters(&first).await?, "the same portion again");
    assert!(!store.add_letters(&portion(position(1, 1), position(1, 3), vec![letter(2, "key")])).await?);
    assert_eq!(store.letter_positions(TOPIC).await?, [(0, position(1, 2))]);
    // A portion may have moved the position past records that are no letters.
    assert!(store.add_letters(&portion(position(1, 2), position(1, 9), Vec::new())).await?);
    let other = LetterPortion { partition: 7, ..portion(LetterPosition::default(), position(1, 1), Vec::new()) };
    assert!(store.add_letters(&other).await?);
    assert_eq!(store.letter_positions(TOPIC).await?, [(0, position(1, 9)), (7, position(1, 1))]);
    let page = store.letters(&all(), LetterOrder::Newest).await?;
    assert_eq!(page.iter().map(|it| &it.letter).collect::<Vec<_>>(), [&foreign, &letter(0, "key")]);
    assert_eq!((page[0].status, &page[0].change, page[0].has_edit), (LetterStatus::New, &None, false));
    assert_eq!(store.last_letter().await?, page[0].number);
    assert_eq!(store.letters(&all(), LetterOrder::Oldest).await?.first(), page.last());
    Ok(())
}

pub(crate) async fn a_topic_that_was_made_anew_has_other_letters(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key", "when"]).await?;
    store.act_on_letter(&act(0, "a", LetterStatus::Discarded)).await?;
    assert!(store.add_letters(&portion(position(1, 2), position(2, 1), vec![letter(0, "schema")])).await?);
    assert_eq!(found(&store, all()).await?, [0]);
    let now = one(&store, 0).await?;
    assert_eq!((now.letter.code.as_str(), now.status), ("schema", LetterStatus::New));
    assert!(store.letter(&at(1)).await?.is_none(), "its log is gone");
    assert_eq!(store.letter_acts(&LetterActQuery::default()).await?.len(), 1, "what was done is on record");
    let gone = LetterSweep::Gone { topic: TOPIC.into(), partition: 0, first_offset: 0, written_before_ms: 9_000 };
    assert_eq!(store.forget_letters(&gone, 10).await?, 2);
    assert_eq!(place.rows("dead_letters").await?, 1);
    Ok(())
}

pub(crate) async fn letters_are_filtered_and_have_pages(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key", "when", "key", "no_type", "key"]).await?;
    store.act_on_letter(&act(2, "a", LetterStatus::Discarded)).await?;
    store.act_on_letter(&act(4, "b", LetterStatus::Reviewing)).await?;
    let said = |text: &str| Some(text.to_owned());
    let (new, reviewing, discarded) = (LetterStatus::New, LetterStatus::Reviewing, LetterStatus::Discarded);
    for (filter, expected) in [
        (all(), vec![0, 1, 2, 3, 4]),
        (StoredLetterFilter { statuses: vec![new], ..all() }, vec![0, 1, 3]),
        (StoredLetterFilter { statuses: vec![new, reviewing], ..all() }, vec![0, 1, 3, 4]),
        (StoredLetterFilter { statuses: vec![reviewing, discarded], ..all() }, vec![2, 4]),
        (StoredLetterFilter { codes: vec!["when".into(), "no_type".into()], ..all() }, vec![1, 3]),
        (StoredLetterFilter { codes: vec!["no-type".into(), "ke".into()], ..all() }, vec![]),
        (StoredLetterFilter { topic: said(TOPIC), origin_topic: said("shop.orders"), ..all() }, vec![0, 1, 2, 3, 4]),
        (StoredLetterFilter { topic: said("other"), ..all() }, vec![]),
        (StoredLetterFilter { origin_topic: said("shop"), ..all() }, vec![]),
        (StoredLetterFilter { definition: said("order"), key: said("key-3"), ..all() }, vec![3]),
        (StoredLetterFilter { id: said("shop.orders/3/1/order"), ..all() }, vec![1]),
        (StoredLetterFilter { fingerprint: said("of-key"), ..all() }, vec![0, 2, 4]),
        (StoredLetterFilter { since_ms: Some(1_001), until_ms: Some(1_003), ..all() }, vec![1, 2]),
        (StoredLetterFilter { text: said("FELD „TOTAL\" FEHLT IN 3"), ..all() }, vec![3]),
        (StoredLetterFilter { text: said("KEY-2"), ..all() }, vec![2]),
        (StoredLetterFilter { text: said("%"), ..all() }, vec![]),
        (StoredLetterFilter { key: said("\0"), ..all() }, vec![]),
    ] {
        assert_eq!(found(&store, filter.clone()).await?, expected, "{filter:?}");
    }
    let numbers: Vec<i64> =
        store.letters(&all(), LetterOrder::Oldest).await?.iter().map(|letter| letter.number).collect();
    let between = StoredLetterFilter { after: Some(numbers[0]), before: Some(numbers[4]), limit: 2, ..all() };
    assert_eq!(found(&store, between.clone()).await?, [1, 2]);
    let newest = store.letters(&between, LetterOrder::Newest).await?;
    assert_eq!(newest.iter().map(|it| it.place.offset).collect::<Vec<_>>(), [3, 2]);
    Ok(())
}

pub(crate) async fn letters_about_a_stream_are_found_by_it(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let (one, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let about = |offset, stream| NewLetter { stream, ..letter(offset, "not_json") };
    let letters = vec![about(0, Some(one)), about(1, None), about(2, Some(other)), about(3, Some(one))];
    ensure!(store.add_letters(&portion(LetterPosition::default(), position(1, 4), letters)).await?);
    let of = |stream| StoredLetterFilter { stream: Some(stream), ..all() };
    assert_eq!(found(&store, of(one)).await?, [0, 3]);
    assert_eq!(found(&store, of(Uuid::from_u128(9))).await?, Vec::<i64>::new());
    assert_eq!(self::one(&store, 2).await?.letter.stream, Some(other));
    Ok(())
}

pub(crate) async fn an_act_on_a_letter_is_recorded_with_it(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key", "key"]).await?;
    let redrive = LetterAct {
        result: Some("started 4711".into()),
        redrives: 1,
        at_ms: 6_000,
        who: "bob".into(),
        ..act(0, "b", LetterStatus::Redriven)
    };
    assert_eq!(store.act_on_letter(&act(0, "a", LetterStatus::Reviewing)).await?, LetterActOutcome::Applied);
    assert_eq!(store.act_on_letter(&redrive).await?, LetterActOutcome::Applied);
    let changed = one(&store, 0).await?;
    assert_eq!((changed.status, changed.letter.redrives), (LetterStatus::Redriven, 1));
    let change = changed.change.context("somebody acted")?;
    assert_eq!((change.at_ms, change.who.as_str(), change.result.as_deref()), (6_000, "bob", Some("started 4711")));
    let acts = store.letter_acts(&LetterActQuery::default()).await?;
    let told: Vec<_> = acts.iter().map(|it| (it.id.as_str(), it.who.as_str(), it.action.as_str())).collect();
    assert_eq!(told, [("b", "bob", "redriven"), ("a", "ann", "reviewing")]);
    let between: Vec<_> = acts.iter().map(|it| (it.before.as_deref(), it.after.as_deref())).collect();
    assert_eq!(between, [(Some("\"reviewing\""), Some("\"redriven\"")), (Some("\"new\""), Some("\"reviewing\""))]);
    assert_eq!(acts[0].source.token.as_deref(), Some("key:ann"));
    assert_eq!((&acts[0].place, acts[0].letter.as_str()), (&at(0), "shop.orders/3/0/order"));
    let by = |who: &str| LetterActQuery { who: Some(who.into()), ..LetterActQuery::default() };
    assert_eq!(store.letter_acts(&by("ann")).await?, acts[1..]);
    let on = LetterActQuery { letter: Some("shop.orders/3/1/order".into()), ..LetterActQuery::default() };
    assert_eq!(store.letter_acts(&on).await?, []);
    let older = LetterActQuery { before: (acts[0].at_ms, acts[0].number), ..LetterActQuery::default() };
    assert_eq!(store.letter_acts(&older).await?, acts[1..]);
    let redriven = LetterActQuery { action: "redriven".into(), ..LetterActQuery::default() };
    assert_eq!(store.letter_acts(&redriven).await?, acts[..1]);
    let since = LetterActQuery { since_ms: 5_001, limit: 5, ..LetterActQuery::default() };
    assert_eq!(store.letter_acts(&since).await?, acts[..1]);
    Ok(())
}

pub(crate) async fn an_act_is_done_once_and_only_from_a_status_that_it_expects(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key"]).await?;
    let redrive = LetterAct { redrives: 1, ..act(0, "a", LetterStatus::Redriven) };
    assert_eq!(store.act_on_letter(&redrive).await?, LetterActOutcome::Applied);
    assert_eq!(store.act_on_letter(&redrive).await?, LetterActOutcome::Repeated);
    let discard = act(0, "b", LetterStatus::Discarded);
    assert_eq!(store.act_on_letter(&discard).await?, LetterActOutcome::Refused(LetterStatus::Redriven));
    let elsewhere = LetterAct { place: at(5), ..discard };
    assert_eq!(store.act_on_letter(&elsewhere).await?, LetterActOutcome::Unknown);
    let letter = one(&store, 0).await?;
    assert_eq!((letter.status, letter.letter.redrives), (LetterStatus::Redriven, 1));
    assert_eq!(place.rows("letter_acts").await?, 1);
    Ok(())
}

pub(crate) async fn of_two_acts_on_a_letter_at_once_one_is_done(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key"; 20]).await?;
    for offset in 0..20 {
        let (redrive, discard) = (act(offset, "a", LetterStatus::Redriven), act(offset, "b", LetterStatus::Discarded));
        let (one, other) = tokio::try_join!(store.act_on_letter(&redrive), store.act_on_letter(&discard))?;
        let done = [one, other].iter().filter(|it| **it == LetterActOutcome::Applied).count();
        ensure!(done == 1, "{one:?} and {other:?}");
    }
    assert_eq!(place.rows("letter_acts").await?, 20);
    Ok(())
}

pub(crate) async fn an_edit_is_kept_beside_its_letter(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key", "key"]).await?;
    let put = |offset, id: &str, text: &str| LetterAct {
        edit: EditChange::Put(LetterEdit::new(text.as_bytes().to_vec())),
        ..act(offset, id, LetterStatus::Reviewing)
    };
    store.act_on_letter(&put(0, "a", "{\"total\": 7}")).await?;
    store.act_on_letter(&put(0, "b", "{\"total\": 8, \"name\": \"very secret\"}")).await?;
    store.act_on_letter(&act(0, "c", LetterStatus::Reviewing)).await?;
    let (letter, edit) = store.letter(&at(0)).await?.context("a letter")?;
    let edit = edit.context("an edit")?;
    assert_eq!((letter.has_edit, edit.record()), (true, &b"{\"total\": 8, \"name\": \"very secret\"}"[..]));
    let keys = i64::from(place.added_bytes() > 0);
    assert_eq!(place.rows("data_keys").await?, keys, "an edit that was replaced leaves no key");
    drop(store);
    let store = place.engine().await?;
    assert_eq!(store.letter(&at(0)).await?.context("a letter")?.1, Some(edit));
    assert!(store.letter(&at(1)).await?.context("a letter")?.1.is_none());
    let remove = LetterAct { edit: EditChange::Remove, ..act(0, "d", LetterStatus::Discarded) };
    store.act_on_letter(&remove).await?;
    let (letter, edit) = store.letter(&at(0)).await?.context("a letter")?;
    assert!(!letter.has_edit && edit.is_none());
    assert_eq!(place.rows("data_keys").await?, 0);
    Ok(())
}

pub(crate) async fn letters_are_counted_by_cause(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key", "when", "key", "key", "key"]).await?;
    store.act_on_letter(&act(0, "a", LetterStatus::Discarded)).await?;
    let groups = store.letter_groups(Some(TOPIC), (1_003, 1_002)).await?;
    let told: Vec<_> = groups.iter().map(|it| (it.code.as_str(), it.letters, it.open, it.recent, it.before)).collect();
    assert_eq!(told, [("key", 4, 3, 2, 1), ("when", 1, 1, 0, 0)]);
    assert_eq!((groups[0].first_ms, groups[0].last_ms), (1_000, 1_004));
    assert_eq!(groups[0].message, letter(0, "key").message);
    assert_eq!(store.letter_groups(Some("other"), (0, 0)).await?, []);
    assert_eq!(store.letter_topics().await?, [TOPIC]);
    // The same cause in another topic of dead letters.
    let other = LetterPortion {
        topic: "shop.dlq".into(),
        ..portion(LetterPosition::default(), position(1, 1), vec![letter(0, "key")])
    };
    ensure!(store.add_letters(&other).await?);
    assert_eq!(store.letter_topics().await?, [TOPIC, "shop.dlq"]);
    let all = store.letter_groups(None, (1_003, 1_002)).await?;
    assert_eq!(all.iter().map(|it| it.letters).collect::<Vec<_>>(), [5, 1]);
    assert_eq!(store.letter_groups(Some("shop.dlq"), (0, 0)).await?.len(), 1);
    Ok(())
}

pub(crate) async fn letters_of_one_record_are_found(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key", "key", "when"]).await?;
    assert_eq!(store.repeated_letters("", 10).await?, []);
    let again = |offset, of: i64| NewLetter { id: letter(of, "key").id, ..letter(offset, "key") };
    let more = vec![again(3, 1), again(4, 0), again(5, 1)];
    ensure!(store.add_letters(&portion(position(1, 3), position(1, 6), more)).await?);
    store.act_on_letter(&act(1, "a", LetterStatus::Discarded)).await?;
    let told = |all: Vec<RepeatedLetter>| all.into_iter().map(|it| (it.letters, it.open)).collect::<Vec<_>>();
    let repeated = store.repeated_letters("", 10).await?;
    let first = repeated.first().context("a record")?.id.clone();
    assert_eq!(told(repeated), [(2, 2), (3, 2)]);
    assert_eq!(told(store.repeated_letters(&first, 10).await?), [(3, 2)]);
    assert_eq!(told(store.repeated_letters("", 1).await?), [(2, 2)]);

    let part = |partition, from, to| StoredLetterFilter { part: Some(LetterPart { partition, from, to }), ..all() };
    assert_eq!(found(&store, part(0, 1, 4)).await?, [1, 2, 3]);
    assert_eq!(found(&store, StoredLetterFilter { after: Some(1), ..part(0, 0, 2) }).await?, [1]);
    assert_eq!(found(&store, part(1, 0, 9)).await?, [0_i64; 0]);
    Ok(())
}

pub(crate) async fn letters_that_ended_or_are_gone_are_forgotten(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key"; 6]).await?;
    let edited =
        LetterAct { edit: EditChange::Put(LetterEdit::new(b"{}".to_vec())), ..act(1, "b", LetterStatus::Redriven) };
    store.act_on_letter(&act(0, "a", LetterStatus::Discarded)).await?;
    store.act_on_letter(&edited).await?;
    store.act_on_letter(&LetterAct { at_ms: 9_000, ..act(2, "c", LetterStatus::Discarded) }).await?;
    store.act_on_letter(&act(3, "d", LetterStatus::Reviewing)).await?;
    assert_eq!(store.forget_letters(&LetterSweep::EndedBefore(6_000), 1).await?, 1);
    assert_eq!(store.forget_letters(&LetterSweep::EndedBefore(6_000), 10).await?, 1);
    assert_eq!(store.forget_letters(&LetterSweep::EndedBefore(6_000), 10).await?, 0);
    assert_eq!(found(&store, all()).await?, [2, 3, 4, 5]);
    assert_eq!(place.rows("data_keys").await?, 0);
    let gone = |first_offset, written_before_ms| LetterSweep::Gone {
        topic: TOPIC.into(),
        partition: 0,
        first_offset,
        written_before_ms,
    };
    assert_eq!(store.forget_letters(&gone(5, 1_004), 10).await?, 2, "the one of 1,004 is too young");
    assert_eq!(found(&store, all()).await?, [4, 5]);
    assert_eq!(place.rows("letter_acts").await?, 4, "what was done stays on record");
    Ok(())
}

pub(crate) async fn what_breaks_a_limit_of_letters_is_refused(place: &dyn Place) -> Result<()> {
    let store = with_letters(place, &["key"]).await?;
    let long = "x".repeat(MAX_LETTER_TEXT_BYTES + 1);
    for bad in [
        NewLetter { id: long.clone(), ..letter(1, "key") },
        NewLetter { key: Some(long.clone()), ..letter(1, "key") },
        NewLetter { message: "a\0b".into(), ..letter(1, "key") },
        NewLetter { fingerprint: String::new(), ..letter(1, "key") },
    ] {
        let answer = store.add_letters(&portion(position(1, 1), position(1, 2), vec![bad])).await;
        ensure!(matches!(answer, Err(StoreError::Limit(_))), "{answer:?}");
    }
    for bad in [
        LetterAct { who: String::new(), ..act(0, "a", LetterStatus::Discarded) },
        LetterAct { id: long, ..act(0, "a", LetterStatus::Discarded) },
        LetterAct { why: "\0".into(), ..act(0, "a", LetterStatus::Discarded) },
    ] {
        let answer = store.act_on_letter(&bad).await;
        ensure!(matches!(answer, Err(StoreError::Limit(_))), "{answer:?}");
    }
    let reader = place.reader().await?;
    let refused = reader.act_on_letter(&act(0, "a", LetterStatus::Discarded)).await;
    ensure!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(found(&reader, all()).await?, [0]);
    assert_eq!(one(&store, 0).await?.status, LetterStatus::New);
    Ok(())
}
