//! The lines of an export, one at a time.

use saga_core::{json, time::from_rfc3339};
use saga_event_store::LetterStatus;
use serde_json::{Map, Value};
use std::io::{self, BufRead, Read};

/// Bytes of the longest line: a record of 1 MiB in base64, with room for what is said about it.
const LONGEST_LINE: u64 = 4 * 1024 * 1024;

/// Some programs write it before a text in UTF-8, where it says nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The fields of a line that are a decision.
const FIELDS: [&str; 8] = ["place", "letter", "status", "changedAt", "who", "why", "result", "redrives"];

/// A line that has a decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecisionLine {
    /// Its number, from 1 on.
    pub(super) line: usize,
    /// What an engine is told.
    pub(super) decision: Value,
}

/// A line of an export.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ImportLine {
    /// A decision.
    Decision(DecisionLine),
    /// A letter on which nothing was decided.
    Open,
    /// It is no line of an export.
    Bad {
        /// Its number.
        line: usize,
        /// What was expected.
        message: String,
    },
}

/// Reads line by line; one line is in memory.
pub(super) struct ExportLines<R> {
    input: R,
    line: usize,
    is_over: bool,
}

impl<R: BufRead> ExportLines<R> {
    pub(super) fn new(input: R) -> ExportLines<R> {
        ExportLines { input, line: 0, is_over: false }
    }

    /// The next line without its end; `None`: there is none any more.
    fn text(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        self.input.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut text)?;
        self.line += 1;
        Ok((!text.is_empty()).then_some(text))
    }

    fn read(&mut self) -> io::Result<Option<ImportLine>> {
        loop {
            let Some(text) = self.text()? else { return Ok(None) };
            if text.len() as u64 > LONGEST_LINE {
                self.is_over = true;
                let message = format!("expected at most {LONGEST_LINE} bytes in a line; what follows was not read");
                return Ok(Some(ImportLine::Bad { line: self.line, message }));
            }
            let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
            if text.trim_ascii().is_empty() {
                continue;
            }
            if self.line == 1 && text.starts_with(b"place,") {
                self.is_over = true;
                let message = "this is CSV, whose cells are changed for spreadsheets: expected JSON lines, as \
                               `saga dlq export` writes them without --format";
                return Ok(Some(ImportLine::Bad { line: 1, message: message.to_owned() }));
            }
            return Ok(Some(parsed(self.line, text)));
        }
    }
}

impl<R: BufRead> Iterator for ExportLines<R> {
    type Item = io::Result<ImportLine>;

    fn next(&mut self) -> Option<io::Result<ImportLine>> {
        if self.is_over {
            return None;
        }
        let read = self.read();
        self.is_over |= read.is_err();
        read.transpose()
    }
}

fn parsed(line: usize, text: &[u8]) -> ImportLine {
    match decision(text) {
        Ok(Some(decision)) => ImportLine::Decision(DecisionLine { line, decision }),
        Ok(None) => ImportLine::Open,
        Err(message) => ImportLine::Bad { line, message },
    }
}

fn decision(text: &[u8]) -> Result<Option<Value>, String> {
    let fields = object(text)?;
    let text = |name: &str| {
        let found = fields.get(name).and_then(Value::as_str);
        found.ok_or_else(|| format!("expected the text `{name}`, as `saga dlq export` writes it"))
    };
    text("place")?.parse::<crate::dead_letters::LetterAddress>().map_err(|said| format!("`place`: {said}"))?;
    text("letter")?;
    let status = text("status")?;
    let status = LetterStatus::parse(status)
        .ok_or_else(|| format!("`status` is `{status}`: expected new, reviewing, redriven or discarded"))?;
    if status == LetterStatus::New {
        return Ok(None);
    }
    if status.is_open() && fields.get("edited") == Some(&Value::Bool(true)) {
        return Err(
            "the letter had an edit, and an export has none: without it a redrive would bring the original. Edit the \
             letter again (`saga dlq edit`)"
                .to_owned(),
        );
    }
    text("who")?;
    let at = text("changedAt")?;
    from_rfc3339(at).ok_or_else(|| format!("`changedAt` is `{at}`: expected a time (RFC 3339)"))?;
    for name in ["why", "result"] {
        if fields.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Err(format!("expected `{name}` to be a text, as `saga dlq export` writes it"));
        }
    }
    if let Some(redrives) = fields.get("redrives").filter(|value| value.as_u64().is_none_or(|it| it > u32::MAX.into()))
    {
        return Err(format!("`redrives` is {redrives}: expected a whole number from 0 to {}", u32::MAX));
    }
    let kept = FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?.clone())));
    Ok(Some(Value::Object(kept.collect())))
}

/// The object that a line is.
fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Array(_)) => {
            Err("expected a JSON object on each line, found a list: write its items as lines".into())
        }
        Ok(other) => Err(format!("expected a JSON object, found: {other}")),
        Err(error) => {
            let found = json::what_it_is(text).map_or_else(|| error.to_string(), str::to_owned);
            Err(format!("expected a JSON object, found: {found}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(text: &str) -> Vec<ImportLine> {
        ExportLines::new(text.as_bytes()).map(|line| line.expect("readable")).collect()
    }

    fn line(status: &str) -> Value {
        json!({
            "place": "0/17", "number": 3, "letter": "shop.orders/3/14/order", "writtenAt": "2026-01-01T00:00:00Z",
            "code": "key", "message": "m", "fingerprint": "f", "redrives": 1, "status": status,
            "changedAt": "2026-01-02T00:00:00Z", "who": "ada", "why": "mended", "result": "started 1", "edited": false,
        })
    }

    #[test]
    fn of_a_line_of_an_export_the_decision_is_kept() {
        let text = format!("{}\n\n{}\n", line("redriven"), line("new"));
        let read = lines(&text);
        let [ImportLine::Decision(decision), ImportLine::Open] = &*read else { panic!("{read:?}") };
        assert_eq!(decision.line, 1);
        assert_eq!(decision.decision.as_object().expect("an object").len(), FIELDS.len());
        assert_eq!((&decision.decision["who"], &decision.decision["redrives"]), (&json!("ada"), &json!(1)));
    }

    #[test]
    fn a_bad_line_is_named_with_its_number_and_what_was_expected() {
        let without = |name: &str| {
            let mut line = line("redriven");
            line.as_object_mut().expect("an object").remove(name);
            line.to_string()
        };
        let wrong = |name: &str, value: &str| {
            let mut line = line("redriven");
            line[name] = json!(value);
            line.to_string()
        };
        for (text, said) in [
            ("{".to_owned(), "expected a JSON object"),
            ("[]".to_owned(), "found a list: write its items as lines"),
            ("7".to_owned(), "expected a JSON object, found: 7"),
            ("{\0\"\0p\0".to_owned(), "text in UTF-16"),
            (without("place"), "expected the text `place`"),
            (without("who"), "expected the text `who`"),
            (wrong("place", "17"), "like 0/17"),
            (wrong("status", "done"), "`status` is `done`: expected new"),
            (wrong("redrives", "many"), "`redrives` is \"many\": expected a whole number"),
            (line("redriven").to_string().replace("\"started 1\"", "7"), "expected `result` to be a text"),
            (wrong("changedAt", "yesterday"), "`changedAt` is `yesterday`: expected a time"),
        ] {
            let read = lines(&format!("\n{text}\n{}", line("new")));
            let [ImportLine::Bad { line: 2, message }, ImportLine::Open] = &*read else { panic!("{text}: {read:?}") };
            assert!(message.contains(said), "{text}: {message}");
        }
    }

    #[test]
    fn a_byte_order_mark_says_nothing() {
        let read = lines(&format!("\u{feff}{}\n", line("redriven")));
        assert!(matches!(&*read, [ImportLine::Decision(DecisionLine { line: 1, .. })]), "{read:?}");
    }

    #[test]
    fn neither_csv_nor_a_line_without_end_is_read() {
        let read = lines("place,letter,writtenAt\n0/17,a,b\n");
        assert!(matches!(&*read, [ImportLine::Bad { line: 1, message }] if message.contains("CSV")), "{read:?}");
        let endless = "x".repeat(usize::try_from(LONGEST_LINE).expect("it fits") + 2);
        let read = lines(&endless);
        assert!(matches!(&*read, [ImportLine::Bad { line: 1, message }] if message.contains("at most")), "{read:?}");
    }
}
