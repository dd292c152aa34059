//! What the sample participants remember: one final answer per command id, in a file, so that a second run knows what the first one did.
//!
//! This is the barrier that every participant needs: the same command gets the same answer, and a do that comes after its undo does nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

/// A final answer of a sample participant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Final {
    /// Done, with this result.
    Done(Value),
    /// Declined: code and message.
    Declined(String, String),
}

/// Answers by command id, and the file that keeps them.
#[derive(Debug)]
pub(super) struct Ledger {
    answers: HashMap<String, Final>,
    file: File,
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    answer: Final,
}

impl Ledger {
    /// Reads the answers of earlier runs from `path`. A last line that a crash cut short is dropped: its answer never left.
    pub(super) fn open(path: &Path) -> io::Result<Ledger> {
        let file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let lines = BufReader::new(file.try_clone()?).lines();
        let answers = lines
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str::<Line>(&line).ok())
            .map(|line| (line.id, line.answer))
            .collect();
        Ok(Ledger { answers, file })
    }

    /// The answer to the command `id` (`<saga>:<step>:<do or undo>`): the one given before, or the one that `perform` makes now. A do
    /// whose undo was answered is declined without being performed.
    pub(super) fn answer(&mut self, id: &str, perform: impl FnOnce() -> Final) -> io::Result<Final> {
        if let Some(answer) = self.answers.get(id) {
            return Ok(answer.clone());
        }
        let answer = if self.is_undone(id) {
            Final::Declined("undone".into(), "its undo came first".into())
        } else {
            perform()
        };
        self.keep(id, &answer)?;
        Ok(answer)
    }

    fn is_undone(&self, id: &str) -> bool {
        id.strip_suffix(":do").is_some_and(|stem| self.answers.contains_key(&format!("{stem}:undo")))
    }

    fn keep(&mut self, id: &str, answer: &Final) -> io::Result<()> {
        let line = Line { id: id.to_owned(), answer: answer.clone() };
        let mut text = serde_json::to_string(&line).map_err(io::Error::other)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())?;
        self.answers.insert(line.id, line.answer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn done(result: Value) -> impl FnOnce() -> Final {
        move || Final::Done(result)
    }

    #[test]
    fn a_repeated_command_gets_its_first_answer_even_after_a_restart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("answers.jsonl");
        let mut ledger = Ledger::open(&path).expect("opens");
        let first = ledger.answer("s:reserve:do", done(json!(1))).expect("kept");
        drop(ledger);
        let mut ledger = Ledger::open(&path).expect("opens again");
        assert_eq!(ledger.answer("s:reserve:do", done(json!(2))).expect("kept"), first);
    }

    #[test]
    fn a_do_after_its_undo_does_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut ledger = Ledger::open(&folder.path().join("answers.jsonl")).expect("opens");
        ledger.answer("s:reserve:undo", done(Value::Null)).expect("kept");
        let late = ledger.answer("s:reserve:do", || panic!("it must not be performed")).expect("kept");
        assert!(matches!(late, Final::Declined(code, _) if code == "undone"));
    }
}
