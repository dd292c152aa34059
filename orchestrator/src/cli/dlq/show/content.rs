//! Key, headers and value of a record, and two records beside each other.

use super::super::bytes_shown::{BytesShown, PayloadShown};
use crate::{cli::output, dead_letters::DecodedAvro, visible};
use saga_wire::{dead_letter::OriginalContent, record::RecordHeader};
use serde::Serialize;

/// Most lines of a text that are compared with those of another.
const MOST_COMPARED: usize = 500;
/// Columns where nobody says how wide the terminal is.
const USUAL_WIDTH: usize = 120;

/// The content of a record.
#[derive(Debug, Serialize)]
pub(super) struct ContentShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<BytesShown>,
    headers: Vec<HeaderShown>,
    /// Absent: a tombstone.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<PayloadShown>,
    #[serde(skip)]
    value: Vec<u8>,
}

#[derive(Debug, Serialize)]
struct HeaderShown {
    name: String,
    value: Option<BytesShown>,
}

impl ContentShown {
    pub(super) fn of(content: &OriginalContent, avro: Option<DecodedAvro>) -> ContentShown {
        ContentShown {
            key: content.key.as_deref().map(BytesShown::of),
            headers: content.headers.iter().map(header).collect(),
            payload: content.value.as_deref().map(|bytes| PayloadShown::of(bytes, avro)),
            value: content.value.as_deref().map(<[u8]>::to_vec).unwrap_or_default(),
        }
    }

    pub(super) fn key(&self) -> String {
        self.key.as_ref().map_or("none".to_owned(), BytesShown::cell)
    }

    pub(super) fn headers(&self) -> Vec<String> {
        self.headers.iter().map(header_text).collect()
    }

    pub(super) fn title(&self) -> String {
        self.payload.as_ref().map_or("no value: a tombstone".to_owned(), |it| format!("value, {}", it.title()))
    }

    pub(super) fn value(&self) -> String {
        self.payload.as_ref().map(|payload| payload.text(&self.value)).unwrap_or_default()
    }

    /// Everything, a line for each part.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("key: {}", self.key())];
        lines.extend(self.headers());
        lines.push(self.title());
        lines.extend(self.value().lines().map(str::to_owned));
        lines.into_iter().map(|line| visible::in_line(&line).into_owned()).collect()
    }
}

fn header((name, value): &RecordHeader) -> HeaderShown {
    HeaderShown { name: name.clone(), value: value.as_deref().map(BytesShown::of) }
}

fn header_text(header: &HeaderShown) -> String {
    let value = header.value.as_ref().map_or("(no value)".to_owned(), BytesShown::cell);
    format!("{}: {value}", header.name)
}

/// An original and its edit in two columns, with a mark between lines that differ; where the terminal is too narrow,
/// the lines that differ below each other.
pub(super) fn beside(original: &ContentShown, edited: &ContentShown) -> String {
    let (left, right) = (original.lines(), edited.lines());
    let width = left.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let both = width + 3 + right.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let rows = aligned(&left, &right);
    if both + 2 > output::width().unwrap_or(USUAL_WIDTH) {
        return rows.iter().map(below).collect::<Vec<_>>().join("\n");
    }
    let row = |(left, right): &(Option<&str>, Option<&str>)| {
        let mark = if left == right { ' ' } else { '|' };
        format!("{:<width$} {mark} {}", left.unwrap_or_default(), right.unwrap_or_default()).trim_end().to_owned()
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn below((left, right): &(Option<&str>, Option<&str>)) -> String {
    if left == right {
        return format!("  {}", left.unwrap_or_default());
    }
    let signed = |sign: char, line: &Option<&str>| line.map(|line| format!("{sign} {line}"));
    [signed('-', left), signed('+', right)].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Lines of both texts: those that are equal beside each other, those in between as they come.
fn aligned<'t>(left: &'t [String], right: &'t [String]) -> Vec<(Option<&'t str>, Option<&'t str>)> {
    let mut rows = Vec::new();
    let (mut from_left, mut from_right) = (0, 0);
    let ends = [(left.len(), right.len())];
    for (at, other) in common(left, right).into_iter().chain(ends) {
        let (gone, new) = (&left[from_left..at], &right[from_right..other]);
        let line = |lines: &'t [String], number: usize| lines.get(number).map(String::as_str);
        rows.extend((0..gone.len().max(new.len())).map(|number| (line(gone, number), line(new, number))));
        if at < left.len() {
            rows.push((Some(left[at].as_str()), Some(right[other].as_str())));
        }
        (from_left, from_right) = (at + 1, other + 1);
    }
    rows
}

/// The longest run of lines that both have in the same order, as pairs of their numbers.
fn common(left: &[String], right: &[String]) -> Vec<(usize, usize)> {
    if left.len() > MOST_COMPARED || right.len() > MOST_COMPARED {
        return Vec::new();
    }
    let mut lengths = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for at in (0..left.len()).rev() {
        for other in (0..right.len()).rev() {
            lengths[at][other] = match left[at] == right[other] {
                true => lengths[at + 1][other + 1] + 1,
                false => lengths[at + 1][other].max(lengths[at][other + 1]),
            };
        }
    }
    let (mut at, mut other, mut found) = (0, 0, Vec::new());
    while at < left.len() && other < right.len() {
        if left[at] == right[other] {
            found.push((at, other));
            (at, other) = (at + 1, other + 1);
        } else if lengths[at + 1][other] >= lengths[at][other + 1] {
            at += 1;
        } else {
            other += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_wire::record::text_header;

    fn content(value: &str, headers: &[(&str, &str)]) -> ContentShown {
        let headers = headers.iter().map(|(name, value)| text_header(name, (*value).to_owned())).collect();
        let content = OriginalContent { key: Some("k1".into()), value: Some(value.to_owned().into()), headers };
        ContentShown::of(&content, None)
    }

    #[test]
    fn what_differs_is_marked_between_the_columns() {
        let original = content(r#"{"id":"4711","total":"7"}"#, &[("ce_type", "A")]);
        let edited = content(r#"{"id":"4711","sum":1,"total":7}"#, &[("ce_type", "A"), ("by", "ada")]);
        let expected = [
            "key: k1           key: k1",
            "ce_type: A        ce_type: A",
            "value, 25 bytes | by: ada",
            "                | value, 31 bytes",
            "{                 {",
            r#"  "id": "4711",     "id": "4711","#,
            r#"  "total": "7"  |   "sum": 1,"#,
            r#"                |   "total": 7"#,
            "}                 }",
        ];
        assert_eq!(beside(&original, &edited), expected.join("\n"));
    }
}
