//! A dead letter for people.

use super::{LetterProvenance, LetterShown, OriginShown, TriggerShown, content::beside};
use crate::{api::LetterLineView, dead_letters::LetterVerdict};

/// Where the codes are explained.
const PAGE_OF_CODES: &str = "docs/errors.md#poison-codes";

pub(super) fn text(detail: &LetterShown) -> String {
    let head = match (&detail.letter, &detail.foreign) {
        (Some(letter), _) => provenance_text(letter),
        (None, foreign) => vec![("no letter", foreign.clone().unwrap_or_default())],
    };
    let row: Vec<(&str, String)> = detail.row.iter().map(|row| ("status", row_text(row))).collect();
    let written = ("written", format!("{} at {} of the DLQ topic", detail.written_at, detail.place));
    let key = ("key", detail.content.key());
    let lines = head.into_iter().chain([written, key]).chain(row).map(|(name, said)| format!("{name:<10}{said}"));
    let mut parts = vec![lines.collect::<Vec<_>>().join("\n")];
    parts.extend(content(detail));
    parts.extend(detail.trigger.as_ref().map(|trigger| titled("trigger", &trigger_text(trigger))));
    parts.extend(detail.timeline.as_ref().map(|timeline| titled("its saga", &timeline.text(&detail.place))));
    if !detail.now.is_empty() {
        let verdicts: Vec<String> = detail.now.iter().map(LetterVerdict::text).collect();
        let which = if detail.edit.is_some() { "if the edited record came now" } else { "if it came again now" };
        parts.push(titled(which, &verdicts.join("\n")));
    }
    parts.extend(faults(detail).into_iter().map(|fault| titled("at fault", &fault)));
    parts.join("\n\n")
}

/// The record; with an edit, both beside each other.
fn content(detail: &LetterShown) -> Vec<String> {
    if let Some(edit) = &detail.edit {
        return vec![titled("original, and the edited record that takes its place", &beside(&detail.content, edit))];
    }
    let headers = detail.content.headers();
    let headers = (!headers.is_empty()).then(|| titled("headers", &headers.join("\n")));
    let (title, value) = (detail.content.title(), detail.content.value());
    headers.into_iter().chain([if value.is_empty() { title } else { titled(&title, &value) }]).collect()
}

/// What is at fault, each once: several definitions can have the same reason.
fn faults(detail: &LetterShown) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for fault in detail.now.iter().filter_map(LetterVerdict::fault).chain(&detail.fault) {
        let text = fault.text();
        if !told.contains(&text) {
            told.push(text);
        }
    }
    told
}

fn provenance_text(letter: &LetterProvenance) -> Vec<(&'static str, String)> {
    let OriginShown { topic, partition, offset, timestamp } = &letter.origin;
    let at = timestamp.as_ref().map(|at| format!(", {at}")).unwrap_or_default();
    let mut lines = vec![
        ("id", letter.id.clone()),
        ("original", format!("topic {topic}, partition {partition}, offset {offset}{at}")),
        ("saga", letter.saga.clone().unwrap_or_else(|| "of no definition".to_owned())),
        ("code", letter.code.clone()),
        ("message", letter.message.clone()),
    ];
    lines.extend(letter.meaning.map(|meaning| ("means", meaning.to_owned())));
    lines.extend(letter.remedy.map(|remedy| ("do", format!("{remedy} ({PAGE_OF_CODES})"))));
    lines.push(("form", format!("{}, by {}", letter.form, letter.written_by)));
    lines
}

fn row_text(row: &LetterLineView) -> String {
    let said = [
        Some(row.status.to_owned()),
        row.changed_at.clone(),
        row.who.as_ref().map(|who| format!("by {who}")),
        row.why.clone(),
        row.result.clone(),
        row.edited.then(|| "edited".to_owned()),
        (row.redrives > 0).then(|| format!("redriven {} times", row.redrives)),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn titled(title: &str, text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    format!("{title}\n{}", lines.join("\n"))
}

fn trigger_text(trigger: &TriggerShown) -> String {
    let mut lines = vec![format!("saga   {}", trigger.saga), format!("topic  {}", trigger.topic)];
    lines.extend(trigger.event_type.as_ref().map(|event_type| format!("type   {event_type}")));
    lines.extend(trigger.when.as_ref().map(|when| format!("when   {when}")));
    lines.extend(trigger.key.iter().map(|key| format!("key    {key}")));
    lines.join("\n")
}
