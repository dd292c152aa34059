//! `dlq show`: everything about one dead letter.

use super::{
    bytes_shown::{BytesShown, PayloadShown},
    source::{self, LetterSourceArgs},
    table,
    timeline::{self, ReplyTimeline},
};
use crate::{
    api::LetterLineView,
    cli::{OutputFormat, output},
    config::EngineConfig,
    dead_letters::{LetterEntry, LetterJudge, LetterName, LetterPlace, LetterVerdict},
};
use clap::Args;
use saga_core::{state::SagaPlan, time::rfc3339};
use saga_event_store::LetterCoordinates;
use saga_wire::{
    dead_letter::{DeadLetterForm, FoundLetter, LetterCode},
    record::RecordHeader,
};
use serde::Serialize;
use std::{process::ExitCode, sync::Arc};

/// Where the codes are explained.
const PAGE_OF_CODES: &str = "docs/errors.md#poison-codes";

/// Arguments of `saga dlq show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowLetterArgs {
    /// The dead letter: its place in the DLQ topic, or its id
    #[arg(value_name = "PARTITION/OFFSET|ID")]
    letter: LetterName,
    #[command(flatten)]
    source: LetterSourceArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// A dead letter with all that is known of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LetterShown {
    place: String,
    written_at: String,
    /// What people have decided, if the table of the event store has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<LetterLineView>,
    #[serde(flatten)]
    letter: Option<LetterProvenance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<BytesShown>,
    headers: Vec<HeaderShown>,
    /// Absent: a tombstone.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<PayloadShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<TriggerShown>,
    /// The saga of a reply, around the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<ReplyTimeline>,
    /// What would become of the record if it came again now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    now: Vec<LetterVerdict>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LetterProvenance {
    id: String,
    written_by: &'static str,
    origin: OriginShown,
    #[serde(skip_serializing_if = "Option::is_none")]
    saga: Option<String>,
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
    form: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginShown {
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

#[derive(Debug, Serialize)]
struct HeaderShown {
    name: String,
    value: Option<BytesShown>,
}

/// What the definition asks of its records.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TriggerShown {
    saga: String,
    topic: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    key: Vec<String>,
}

pub(super) async fn show(args: ShowLetterArgs) -> anyhow::Result<ExitCode> {
    let config = args.source.config()?;
    let usual = args.source.usual(&config);
    let entry = source::find(args.source.open(&config).await?, &args.letter, usual).await?;
    let row = row(&entry, &config).await;
    let timeline = match entry.letter.as_ref().ok().and_then(|letter| Some((letter, letter.saga()?))) {
        Some((letter, saga)) => timeline::of(&config, saga, letter.origin.timestamp.or(letter.found_at)).await,
        None => None,
    };
    let detail =
        LetterShown { row, timeline, place: entry.place_within(args.source.shown_without(&config)), ..detail(&entry, &config) };
    let value = entry.record.value.unwrap_or_default();
    output::one(&detail, args.output, |detail| text(detail, &value))?;
    Ok(ExitCode::SUCCESS)
}

/// Without the event store a letter is shown all the same.
async fn row(entry: &LetterEntry, config: &EngineConfig) -> Option<LetterLineView> {
    let LetterPlace { partition, offset } = entry.place;
    let place = LetterCoordinates { topic: entry.record.topic.to_string(), partition, offset };
    let read = async { anyhow::Ok(table::open(config).await?.letter(&place).await?) };
    match read.await {
        Ok(found) => found.map(|(letter, _)| LetterLineView::of(letter, &config.topics.dlq)),
        Err(error) => {
            output::note(&format!("without what people have decided: {error:#}"));
            None
        }
    }
}

fn detail(entry: &LetterEntry, config: &EngineConfig) -> LetterShown {
    let letter = entry.letter.as_ref().ok();
    let plans = source::plans_if_any(config);
    let definition = letter.and_then(|letter| letter.definition.as_deref());
    let plan = plans.iter().find(|plan| Some(plan.definition.name.as_str()) == definition);
    let trigger = plan.map(trigger);
    let definitions: Vec<_> = plans.iter().map(|plan| Arc::clone(&plan.definition)).collect();
    let is_judged = letter.is_some() && !definitions.is_empty();
    let now = if is_judged { LetterJudge { definitions }.judge(entry) } else { Vec::new() };
    let headers = letter.map_or(&entry.record.headers, |letter| &letter.original.headers);
    LetterShown {
        place: entry.place.to_string(),
        written_at: rfc3339(entry.written_at),
        row: None,
        letter: letter.map(provenance),
        foreign: entry.letter.as_ref().err().map(ToString::to_string),
        key: entry.key().map(BytesShown::of),
        headers: headers.iter().map(header).collect(),
        payload: entry.record.value.as_deref().map(PayloadShown::of),
        trigger,
        timeline: None,
        now,
    }
}

fn provenance(letter: &FoundLetter) -> LetterProvenance {
    let code = match &letter.code {
        LetterCode::Poison(code) => Some(*code),
        LetterCode::Other(_) => None,
    };
    LetterProvenance {
        id: letter.id(),
        written_by: letter.dialect.as_str(),
        origin: OriginShown {
            topic: letter.origin.topic.to_string(),
            partition: letter.origin.partition,
            offset: letter.origin.offset,
            timestamp: letter.origin.timestamp.map(rfc3339),
        },
        saga: letter.definition.clone(),
        code: letter.code.to_string(),
        message: letter.message.clone(),
        found_at: letter.found_at.map(rfc3339),
        meaning: code.map(|code| code.meaning()),
        remedy: code.map(|code| code.remedy()),
        form: match letter.form {
            DeadLetterForm::Whole => "whole",
            DeadLetterForm::Pointer => "pointer, without the value",
            DeadLetterForm::PointerWithoutHeaders => "pointer, without value and headers",
            DeadLetterForm::PointerAlone => "pointer, without value, headers and key",
        },
    }
}

fn header((name, value): &RecordHeader) -> HeaderShown {
    HeaderShown { name: name.clone(), value: value.as_deref().map(BytesShown::of) }
}

fn trigger(plan: &Arc<SagaPlan>) -> TriggerShown {
    let trigger = &plan.definition.trigger;
    TriggerShown {
        saga: plan.definition.name.clone(),
        topic: trigger.topic.clone(),
        event_type: trigger.event_type.clone(),
        when: trigger.when.as_ref().map(|when| when.source().to_owned()),
        key: trigger.key.expressions().into_iter().map(|key| key.source().to_owned()).collect(),
    }
}

fn text(detail: &LetterShown, value: &[u8]) -> String {
    let head = match (&detail.letter, &detail.foreign) {
        (Some(letter), _) => provenance_text(letter),
        (None, foreign) => vec![("no letter", foreign.clone().unwrap_or_default())],
    };
    let row: Vec<(&str, String)> = detail.row.iter().map(|row| ("status", row_text(row))).collect();
    let written = ("written", format!("{} at {} of the DLQ topic", detail.written_at, detail.place));
    let key = ("key", detail.key.as_ref().map_or("none".to_owned(), BytesShown::cell));
    let lines = head.into_iter().chain([written, key]).chain(row).map(|(name, said)| format!("{name:<10}{said}"));
    let mut parts = vec![lines.collect::<Vec<_>>().join("\n")];
    if !detail.headers.is_empty() {
        parts.push(titled("headers", &detail.headers.iter().map(header_text).collect::<Vec<_>>().join("\n")));
    }
    parts.push(match &detail.payload {
        Some(payload) => titled(&payload_title(payload), &payload.text(value)),
        None => "no value: a tombstone".to_owned(),
    });
    parts.extend(detail.trigger.as_ref().map(|trigger| titled("trigger", &trigger_text(trigger))));
    parts.extend(detail.timeline.as_ref().map(|timeline| titled("its saga", &timeline.text(&detail.place))));
    if !detail.now.is_empty() {
        let verdicts: Vec<String> = detail.now.iter().map(LetterVerdict::text).collect();
        parts.push(titled("if it came again now", &verdicts.join("\n")));
    }
    parts.join("\n\n")
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

fn payload_title(payload: &PayloadShown) -> String {
    let seems = payload.seems.as_ref().map(|seems| format!(", it is {seems}")).unwrap_or_default();
    format!("value, {} bytes{seems}", payload.bytes)
}

fn header_text(header: &HeaderShown) -> String {
    let value = header.value.as_ref().map_or("(no value)".to_owned(), BytesShown::cell);
    format!("{}: {value}", header.name)
}

fn trigger_text(trigger: &TriggerShown) -> String {
    let mut lines = vec![format!("saga   {}", trigger.saga), format!("topic  {}", trigger.topic)];
    lines.extend(trigger.event_type.as_ref().map(|event_type| format!("type   {event_type}")));
    lines.extend(trigger.when.as_ref().map(|when| format!("when   {when}")));
    lines.extend(trigger.key.iter().map(|key| format!("key    {key}")));
    lines.join("\n")
}
