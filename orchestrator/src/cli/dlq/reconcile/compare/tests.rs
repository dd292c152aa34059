use super::*;
use saga_event_store::{LetterCoordinates, LetterStatus};

const SAGA: &str = "018f6e0a-7c5b-7000-8000-000000000001";

fn letter(id: &str) -> NewLetter {
    NewLetter {
        offset: 17,
        id: id.to_owned(),
        code: "key".into(),
        origin: None,
        definition: Some("order".into()),
        key: None,
        message: "it has none".into(),
        fingerprint: "f".into(),
        redrives: 0,
        written_at_ms: 7,
        stream: None,
    }
}

fn row(status: LetterStatus) -> StoredLetter {
    StoredLetter {
        number: 1,
        place: LetterCoordinates { topic: "saga.dlq".into(), partition: 0, offset: 17 },
        letter: letter("shop.orders/3/14/order"),
        status,
        change: None,
        has_edit: false,
    }
}

fn both(status: LetterStatus) -> PlaceFacts {
    let record = Some(letter("shop.orders/3/14/order"));
    PlaceFacts { record, row: Some(row(status)), is_followed: true, ..PlaceFacts::default() }
}

fn found(facts: &PlaceFacts) -> Vec<LetterFinding> {
    facts.findings().into_iter().map(|(finding, _)| finding).collect()
}

fn said(facts: &PlaceFacts) -> String {
    facts.findings().into_iter().map(|(_, said)| said).collect()
}

#[test]
fn a_row_of_its_record_agrees_whatever_was_decided() {
    for status in LetterStatus::ALL {
        assert_eq!((both(status).standing(), found(&both(status))), (PlaceStanding::Agree, vec![]), "{status:?}");
    }
}

#[test]
fn a_record_that_the_table_has_not_come_to_is_behind() {
    let facts = PlaceFacts { row: None, is_followed: false, ..both(LetterStatus::New) };
    assert_eq!((facts.standing(), found(&facts)), (PlaceStanding::Behind, vec![]));
}

#[test]
fn a_record_without_a_row_is_missing_unless_acts_say_that_its_letter_ended() {
    let facts = PlaceFacts { row: None, ..both(LetterStatus::New) };
    assert_eq!(found(&facts), [LetterFinding::RowMissing]);
    let ended = PlaceFacts { has_acts: true, ..facts };
    assert_eq!((ended.standing(), found(&ended)), (PlaceStanding::Forgotten, vec![]));
}

#[test]
fn a_row_whose_record_is_gone_is_told_with_its_status() {
    let facts = PlaceFacts { record: None, ..both(LetterStatus::Reviewing) };
    assert_eq!(found(&facts), [LetterFinding::RecordGone]);
    assert!(said(&facts).ends_with("which is reviewing"), "{}", said(&facts));
    let ended = PlaceFacts { record: None, ..both(LetterStatus::Discarded) };
    assert_eq!(found(&ended), [], "nobody needs the record of a letter that was dealt with");
}

#[test]
fn a_record_with_another_id_or_code_is_another_letter() {
    let other_id = PlaceFacts { record: Some(letter("shop.orders/3/15/order")), ..both(LetterStatus::New) };
    let code = NewLetter { code: "when".into(), ..letter("shop.orders/3/14/order") };
    let other_code = PlaceFacts { record: Some(code), ..both(LetterStatus::New) };
    for facts in [other_id, other_code] {
        assert_eq!(found(&facts), [LetterFinding::OtherLetter]);
        assert!(said(&facts).ends_with("the row is of shop.orders/3/14/order (key)"), "{}", said(&facts));
    }
}

#[test]
fn a_taken_key_matters_while_the_letter_is_open_and_has_no_edit() {
    let holdings = vec![KeyHolding { key: "4711".into(), saga: SAGA.into() }];
    let facts = |status| PlaceFacts { holdings: holdings.clone(), ..both(status) };
    for status in [LetterStatus::New, LetterStatus::Reviewing] {
        assert_eq!(found(&facts(status)), [LetterFinding::KeyTaken]);
    }
    assert!(said(&facts(LetterStatus::New)).contains(SAGA), "{}", said(&facts(LetterStatus::New)));
    for status in [LetterStatus::Redriven, LetterStatus::Discarded] {
        assert_eq!(found(&facts(status)), []);
    }
    let edited = StoredLetter { has_edit: true, ..row(LetterStatus::New) };
    assert_eq!(found(&PlaceFacts { row: Some(edited), ..facts(LetterStatus::New) }), []);
}

#[test]
fn a_started_saga_is_missing_only_where_nothing_has_or_dropped_it() {
    let saga: SagaId = SAGA.parse().expect("an id");
    for there in [SagaStanding::Archived, SagaStanding::Dropped] {
        assert_eq!(of_started(saga, &there), None, "{there:?}");
    }
    let (finding, said) = of_started(saga, &SagaStanding::Missing).expect("it differs");
    assert!(finding == LetterFinding::SagaMissing && said.contains(SAGA), "{said}");
    let why = SagaStanding::Undecided("the archive 1.saga is cut off".into());
    let (finding, said) = of_started(saga, &why).expect("it differs");
    assert!(finding == LetterFinding::SagaUndecided && said.ends_with("the archive 1.saga is cut off"), "{said}");
}

#[test]
fn several_open_letters_of_one_record_are_told_with_their_places() {
    let repeated = |open| RepeatedLetter { id: "shop.orders/3/14/order".into(), letters: 3, open };
    let places = ["0/17".to_owned(), "1/4".to_owned()];
    assert_eq!(of_repeated(&repeated(1), &places), None);
    let told = of_repeated(&repeated(2), &places);
    let said = "2 of 3 letters of this record are open: 0/17 1/4".to_owned();
    assert_eq!(told, Some((LetterFinding::Repeated, said)));
    assert_eq!(of_repeated(&repeated(2), &[]), None, "they ended meanwhile");
}
