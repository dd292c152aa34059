//! A text with a mark under a place in it.

use crate::visible;
use serde::Serialize;
use std::ops::Range;

/// Characters of a line that are shown before and behind the place.
const AROUND: usize = 60;

/// A place in a text, with its line and a mark under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MarkedText {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// Offset in the text, from 0.
    pub(crate) byte: usize,
    /// The line before, the line with the place as far as it is near, and the mark.
    pub(crate) shown: Vec<String>,
}

impl MarkedText {
    /// The place in `text`, which may be of any bytes; an empty range marks a point. The mark ends with its line.
    pub(super) fn of(text: &[u8], place: Range<usize>) -> MarkedText {
        let at = place.start.min(text.len());
        let begin = text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let end = text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |length| at + length);
        let (before, behind) = (lossy(&text[begin..at]), lossy(&text[at..end]));
        let line = text[..begin].iter().filter(|byte| **byte == b'\n').count() + 1;
        let marked = lossy(&text[at..place.end.clamp(at, end)]);
        let shown = LineExcerpt::of(&before, &behind, &marked);
        let number = line.to_string();
        let mut lines = Vec::new();
        if let Some(previous) = begin.checked_sub(1).map(|newline| line_before(text, newline)) {
            lines.push(format!("{:>width$} | {previous}", line - 1, width = number.len()));
        }
        lines.push(format!("{number} | {}", shown.text));
        lines.push(format!(
            "{:width$} | {}{}",
            "",
            " ".repeat(shown.lead),
            "^".repeat(shown.marked),
            width = number.len()
        ));
        MarkedText { line, column: before.chars().count() + 1, byte: at, shown: lines }
    }
}

/// The part of a line that is near the place, with what is hidden written out.
struct LineExcerpt {
    text: String,
    /// Characters before the mark.
    lead: usize,
    /// Characters of the mark.
    marked: usize,
}

impl LineExcerpt {
    fn of(before: &str, behind: &str, marked: &str) -> LineExcerpt {
        let skipped = before.chars().count().saturating_sub(AROUND);
        let near: String = before.chars().skip(skipped).collect();
        let lead = format!("{}{}", if skipped > 0 { "…" } else { "" }, visible::in_line(&near));
        let rest: String = behind.chars().take(AROUND).collect();
        let more = if behind.chars().count() > AROUND { "…" } else { "" };
        let marked = visible::in_line(&marked.chars().take(AROUND).collect::<String>()).chars().count().max(1);
        let text = format!("{lead}{}{more}", visible::in_line(&rest));
        LineExcerpt { lead: lead.chars().count(), text, marked }
    }
}

/// The end of the line that ends at `newline`.
fn line_before(text: &[u8], newline: usize) -> String {
    let begin = text[..newline].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
    let line = lossy(&text[begin..newline]);
    let more = if line.chars().count() > AROUND { "…" } else { "" };
    format!("{}{more}", visible::in_line(&line.chars().take(AROUND).collect::<String>()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_under_the_place() {
        let text = "{\"größe\": 1,\n\t\"id\": tru}";
        let at = text.find("tru").expect("there");
        let marked = MarkedText::of(text.as_bytes(), at..at + 3);
        assert_eq!((marked.line, marked.column, marked.byte), (2, 8, at));
        assert_eq!(marked.shown, ["1 | {\"größe\": 1,", "2 | \\t\"id\": tru}", "  |         ^^^"]);
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let text = format!("{}X{}", "a".repeat(1_000), "b".repeat(1_000));
        let marked = MarkedText::of(text.as_bytes(), 1_000..1_000);
        assert_eq!(marked.shown[0], format!("1 | …{}X{}…", "a".repeat(60), "b".repeat(59)));
        assert_eq!(marked.shown[1], format!("  | {}^", " ".repeat(61)));
        assert_eq!(MarkedText::of(b"{", 7..9).shown, ["1 | {", "  |  ^"], "a place beyond the end is the end");
    }

    #[test]
    fn no_byte_steers_the_terminal() {
        let marked = MarkedText::of(b"\x1b[2J\xff}", 5..5);
        assert_eq!(marked.shown, ["1 | \\u001b[2J\u{fffd}}", "  |           ^"]);
    }
}
