use super::*;

fn own(name: &str, hash: &str) -> (String, LocalDefinition) {
    saying(name, hash, None)
}

fn saying(name: &str, hash: &str, from: Option<TriggerStartPosition>) -> (String, LocalDefinition) {
    (name.to_owned(), LocalDefinition { topic: "orders".into(), hash: hash.into(), from })
}

fn files(definitions: impl IntoIterator<Item = (String, LocalDefinition)>) -> LocalCatalog {
    LocalCatalog { definitions: definitions.into_iter().collect(), ..LocalCatalog::default() }
}

/// A topic of two partitions of which the group has read so much, and which end there.
fn broker(committed: &[i64], ends: [i64; 2]) -> OffsetSnapshot {
    let by_partition = |offsets: &[i64]| (0..).zip(offsets.iter().copied()).collect();
    let standing = GroupOffsets { committed: by_partition(committed), ends: by_partition(&ends) };
    OffsetSnapshot { standing: BTreeMap::from([("orders".to_owned(), standing)]), ..OffsetSnapshot::default() }
}

fn starts(generation: &DefinitionGeneration, name: &str) -> Vec<(i32, i64)> {
    generation.definitions[name].starts.clone().into_iter().collect()
}

const NOW: Timestamp = Timestamp(1_000_000_000_000);

#[test]
fn the_first_set_takes_what_was_read_for_judged() {
    let known = DefinitionGeneration::first(
        &files([own("a", "1"), saying("b", "1", Some(TriggerStartPosition::Latest))]),
        &broker(&[5, 7], [9, 9]),
        NOW,
    );
    assert_eq!((starts(&known, "a"), starts(&known, "b")), (vec![], vec![]));
    assert!(known.catch_ups.is_empty());
    let new = DefinitionGeneration::first(
        &files([own("a", "1"), saying("b", "1", Some(TriggerStartPosition::Latest))]),
        &broker(&[], [9, 8]),
        NOW,
    );
    assert_eq!((starts(&new, "a"), starts(&new, "b")), (vec![], vec![(0, 9), (1, 8)]));
    assert!(new.catch_ups.is_empty());
}

#[test]
fn a_definition_that_is_added_begins_where_the_group_stands_unless_it_says_where() {
    let before = DefinitionGeneration::first(&files([own("a", "1")]), &broker(&[5, 7], [9, 9]), NOW);
    let with = |from| files([own("a", "1"), saying("b", "1", from)]);
    let next = |from| before.next(&with(from), &broker(&[6, 7], [9, 9]), NOW, "x");
    let (unsaid, told) = next(None);
    assert_eq!(starts(&unsaid, "b"), [(0, 6), (1, 7)]);
    assert_eq!(unsaid.catch_ups["x"], BTreeSet::from(["b".to_owned()]));
    assert_eq!((told[0].how, told[0].behind, told[0].ahead), (DefinitionStart::GroupOffset, 0, 5));
    let (earliest, told) = next(Some(TriggerStartPosition::Earliest));
    assert_eq!(starts(&earliest, "b"), []);
    assert_eq!((told[0].how, told[0].behind), (DefinitionStart::Configured, 13));
    let (latest, told) = next(Some(TriggerStartPosition::Latest));
    assert_eq!(starts(&latest, "b"), [(0, 9), (1, 9)]);
    assert_eq!((told[0].behind, told[0].ahead), (0, 0));
    assert!(starts(&latest, "a").is_empty() && !latest.catch_ups["x"].contains("a"), "others stay as they are");
}

#[test]
fn a_definition_that_is_removed_for_less_than_a_week_goes_on_where_it_was() {
    let both = files([own("a", "1"), own("b", "1")]);
    let first = DefinitionGeneration::first(&both, &broker(&[5, 7], [9, 9]), NOW);
    let (without, _) = first.next(&files([own("a", "1")]), &broker(&[6, 8], [9, 9]), NOW, "x");
    assert_eq!(without.removed["b"].next, PartitionOffsets::from([(0, 6), (1, 8)]));
    assert!(without.catch_ups.is_empty());
    let again = |at: Timestamp| without.next(&both, &broker(&[20, 20], [30, 30]), at, "y");
    let (soon, told) = again(NOW.plus(KEPT));
    assert_eq!((starts(&soon, "b"), told[0].how, told[0].behind), (vec![(0, 6), (1, 8)], DefinitionStart::Resumed, 26));
    assert!(soon.catch_ups["y"].contains("b") && soon.removed.is_empty());
    let (late, told) = again(NOW.plus(KEPT + Duration::from_millis(1)));
    assert_eq!((starts(&late, "b"), told[0].how), (vec![(0, 20), (1, 20)], DefinitionStart::GroupOffset));
}

#[test]
fn what_was_being_caught_up_with_is_not_taken_for_judged_when_it_is_removed() {
    let before = DefinitionGeneration::first(&files([own("a", "1")]), &broker(&[5, 7], [9, 9]), NOW);
    let (added, _) = before.next(&files([own("a", "1"), own("b", "1")]), &broker(&[5, 7], [9, 9]), NOW, "x");
    let progress = BTreeMap::from([("orders".to_owned(), PartitionOffsets::from([(0, 6)]))]);
    let later = OffsetSnapshot { catch_ups: BTreeMap::from([("x".to_owned(), progress)]), ..broker(&[9, 9], [9, 9]) };
    let (removed, _) = added.next(&files([own("a", "1")]), &later, NOW, "y");
    assert_eq!(removed.removed["b"].next, PartitionOffsets::from([(0, 6), (1, 7)]));
    assert!(removed.catch_ups.is_empty(), "nobody catches up for it any more");
}

#[test]
fn an_engine_leaves_the_topics_of_definitions_that_it_lacks() {
    let generation = DefinitionGeneration::first(&files([own("a", "2"), own("b", "1")]), &broker(&[], [0, 0]), NOW);
    let lacking =
        |knowledge: &LocalCatalog| generation.forbidden_topics(knowledge).remove("orders").unwrap_or_default();
    assert_eq!(
        lacking(&files([own("a", "1")])),
        [DefinitionMismatch::Text("a".into()), DefinitionMismatch::File("b".into())]
    );
    assert_eq!(lacking(&files([own("a", "2"), own("b", "1"), own("c", "1")])), [], "who knows more goes on");
}

#[test]
fn nothing_before_its_first_record_is_a_definition_s_own_when_it_comes_back() {
    let before = DefinitionGeneration::first(&files([own("a", "1")]), &broker(&[5, 7], [9, 9]), NOW);
    let three = files([
        own("a", "1"),
        own("b", "1"),
        saying("whole", "1", Some(TriggerStartPosition::Earliest)),
        saying("late", "1", Some(TriggerStartPosition::Latest)),
    ]);
    let (added, _) = before.next(&three, &broker(&[5, 7], [9, 9]), NOW, "x");
    // One reading for all three, which begins with the oldest record and has got to the second; partition 1 is not read
    // yet.
    let progress = BTreeMap::from([("orders".to_owned(), PartitionOffsets::from([(0, 2)]))]);
    let broker = |committed: &[i64]| OffsetSnapshot {
        catch_ups: BTreeMap::from([("x".to_owned(), progress.clone())]),
        ..self::broker(committed, [9, 9])
    };
    let (gone, _) = added.next(&files([own("a", "1")]), &broker(&[6]), NOW, "y");
    let (back, _) = gone.next(&three, &broker(&[6, 7]), NOW, "z");
    assert_eq!(starts(&back, "whole"), [(0, 2)]);
    assert_eq!(starts(&back, "b"), [(0, 5), (1, 7)]);
    assert_eq!(starts(&back, "late"), [(0, 9), (1, 9)]);
}

#[test]
fn another_text_keeps_the_place_and_a_set_is_known_again() {
    let before = DefinitionGeneration::first(
        &files([saying("a", "1", Some(TriggerStartPosition::Latest))]),
        &broker(&[], [9, 8]),
        NOW,
    );
    let changed = files([saying("a", "2", Some(TriggerStartPosition::Latest))]);
    let (next, told) = before.next(&changed, &broker(&[20, 20], [30, 30]), NOW, "x");
    assert_eq!((starts(&next, "a"), told), (vec![(0, 9), (1, 8)], vec![]));
    assert!(next.matches(&changed) && !before.matches(&changed) && next.catch_ups.is_empty());
}
