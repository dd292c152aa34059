//! Every pair of what a saga is in and what can happen to it. An exploration offers every input to every command in
//! every state that it comes to; what it saw is held against `transitions.txt`: a pair of the table that is never taken
//! fails, and so does one that is taken and not in it. `UPDATE_GOLDEN=1` writes the table anew.

mod explore;

use explore::Seen;
pub(crate) use explore::{explore, phase};
use saga_core::command::CommandDirection;
use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

/// What a saga is doing, as far as the rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Course {
    Forward,
    Back,
    ParkedForward,
    ParkedBack,
    OutcomeDue,
    Ended,
}

pub(crate) const COURSES: [Course; 6] =
    [Course::Forward, Course::Back, Course::ParkedForward, Course::ParkedBack, Course::OutcomeDue, Course::Ended];

/// What a command is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Idle,
    Held,
    Attempting,
    Resting,
    Sleeping,
    Succeeded,
    Rejected,
    Failed,
    Unknown,
    /// Failed or unknown, and a fallback gave a result.
    AnsweredFor,
    Skipped,
}

pub(crate) const PHASES: [Phase; 11] = [
    Phase::Idle,
    Phase::Held,
    Phase::Attempting,
    Phase::Resting,
    Phase::Sleeping,
    Phase::Succeeded,
    Phase::Rejected,
    Phase::Failed,
    Phase::Unknown,
    Phase::AnsweredFor,
    Phase::Skipped,
];

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    Succeeded,
    Refused,
    Conflict,
    Busy,
    Forbidden,
    Lost,
    Ongoing,
    NotSent,
    Due,
}

const HAPPENINGS: [Happening; 9] = [
    Happening::Succeeded,
    Happening::Refused,
    Happening::Conflict,
    Happening::Busy,
    Happening::Forbidden,
    Happening::Lost,
    Happening::Ongoing,
    Happening::NotSent,
    Happening::Due,
];

/// What happens to the saga and not to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Retry,
    Skip,
    Cancel,
    Abandon,
    Repeated,
    OutcomeAcknowledged,
    OutcomeNotTaken,
    OutcomeNeverTaken,
}

const ACTS: [Act; 8] = [
    Act::Retry,
    Act::Skip,
    Act::Cancel,
    Act::Abandon,
    Act::Repeated,
    Act::OutcomeAcknowledged,
    Act::OutcomeNotTaken,
    Act::OutcomeNeverTaken,
];

/// Why a command is never in `phase` while its saga is on `course`; `None`: it can be.
pub(crate) fn never(course: Course, direction: CommandDirection, phase: Phase) -> Option<&'static str> {
    use Phase::{
        AnsweredFor, Attempting, Failed, Held, Idle, Rejected, Resting, Skipped, Sleeping, Succeeded, Unknown,
    };
    match (course, direction, phase) {
        (_, CommandDirection::Undo, Sleeping) => Some("only a do waits"),
        (_, CommandDirection::Undo, Rejected) => Some("only a do is checked"),
        (_, CommandDirection::Undo, AnsweredFor) => Some("only a do is answered for"),
        (Course::Back, CommandDirection::Do, Held) => Some("going back ends what is not out"),
        (Course::Back | Course::ParkedBack, CommandDirection::Do, Resting | Sleeping) => {
            Some("going back ends what is not out")
        }
        (Course::OutcomeDue, _, Held | Attempting | Resting | Sleeping) => {
            Some("an end is decided when nothing is under way")
        }
        (Course::OutcomeDue, CommandDirection::Undo, Failed | Unknown) => {
            Some("an undo that gave up parks before the end")
        }
        (Course::Forward, CommandDirection::Undo, Skipped) => {
            Some("an undo is skipped when nothing else is left to do")
        }
        (
            _,
            _,
            Idle | Held | Attempting | Resting | Sleeping | Succeeded | Rejected | Failed | Unknown | AnsweredFor
            | Skipped,
        ) => None,
    }
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machine/transitions.txt")
}

#[test]
fn every_pair_of_the_table_is_taken_and_no_other() {
    let seen = explore();
    let table = table(seen);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(golden(), &table).expect("the table can be written");
    }
    let expected = fs::read_to_string(golden()).expect("the table");
    for (row, (found, expected)) in table.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", row + 1);
    }
    assert_eq!(table.lines().count(), expected.lines().count());
}

#[test]
fn every_pair_that_is_not_in_the_table_has_a_reason() {
    let seen = explore();
    for (course, direction, phase) in pairs() {
        let reached = seen.commands.keys().any(|(key, _)| *key == (course, direction, phase));
        match never(course, direction, phase) {
            Some(reason) => assert!(!reached, "{course:?}, {direction} {phase:?} was reached, though {reason}"),
            None => assert!(reached, "{course:?}, {direction} {phase:?} was not reached"),
        }
    }
}

#[test]
fn every_input_was_offered_in_every_state_that_was_reached() {
    let seen = explore();
    for (course, direction, phase) in
        pairs().filter(|(course, direction, phase)| never(*course, *direction, *phase).is_none())
    {
        for happening in HAPPENINGS {
            let offered = seen.commands.contains_key(&((course, direction, phase), happening));
            assert!(offered, "{happening:?} was not offered to {course:?}, {direction} {phase:?}");
        }
    }
    for course in COURSES {
        for act in ACTS {
            assert!(seen.acts.contains_key(&(course, act)), "{act:?} was not offered to {course:?}");
        }
    }
}

fn pairs() -> impl Iterator<Item = (Course, CommandDirection, Phase)> {
    let phases = |course, direction| PHASES.into_iter().map(move |phase| (course, direction, phase));
    let directions = move |course| {
        [CommandDirection::Do, CommandDirection::Undo].into_iter().flat_map(move |way| phases(course, way))
    };
    COURSES.into_iter().flat_map(directions)
}

/// What was seen, as the file holds it.
fn table(seen: &Seen) -> String {
    let mut text = String::from(LEGEND);
    let heads = HAPPENINGS.map(|happening| format!("{happening:?}"));
    line(&mut text, "", 13, &heads);
    for (course, direction, phase) in
        pairs().filter(|(course, direction, phase)| never(*course, *direction, *phase).is_none())
    {
        let cell = |happening| cell(seen.commands.get(&((course, direction, phase), happening)));
        line(&mut text, &format!("{course:?} {direction} {phase:?}"), 13, &HAPPENINGS.map(cell));
    }
    text.push('\n');
    line(&mut text, "", 20, &ACTS.map(|act| format!("{act:?}")));
    for course in COURSES {
        line(&mut text, &format!("{course:?}"), 20, &ACTS.map(|act| cell(seen.acts.get(&(course, act)))));
    }
    text
}

const LEGEND: &str = "\
What follows from each input, by where the saga is heading and what the command is in. Several letters: it depends on the rest.

  +  recorded                        S  ignored: the command is settled
  -  due, and nothing follows        N  ignored: the command was never sent
  R  refused, with words             A  ignored: the attempt is answered, or not named
  =  ignored: repeated               T  ignored: the saga has ended
  D  ignored: nothing is due         C  ignored: the participant contradicts itself
  P  ignored: nothing waits for this delivery
  o  noted: known from now on, and not recorded

";

fn line(text: &mut String, head: &str, width: usize, cells: &[String]) {
    write!(text, "{head:<30}").expect("text takes text");
    for cell in cells {
        write!(text, "{cell:<width$}").expect("text takes text");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

fn cell(letters: Option<&std::collections::BTreeSet<char>>) -> String {
    letters.map_or_else(|| "?".to_owned(), |letters| letters.iter().collect())
}

pub(crate) type Commands = BTreeMap<((Course, CommandDirection, Phase), Happening), std::collections::BTreeSet<char>>;
