//! `dlq stats`: dead letters by cause.

use super::{source::LetterSourceArgs, table};
use crate::cli::{OutputFormat, output};
use clap::Args;
use saga_core::time::{Timestamp, rfc3339};
use saga_event_store::LetterGroup;
use serde::Serialize;
use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

/// The period that counts as recent.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Arguments of `saga dlq stats`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LetterStatsArgs {
    /// Only causes with open letters
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    source: LetterSourceArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Letters with the same cause.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseLine {
    fingerprint: String,
    code: String,
    saga: Option<String>,
    topic: Option<String>,
    letters: i64,
    open: i64,
    share_percent: i64,
    last_day: i64,
    day_before: i64,
    first_at: String,
    last_at: String,
    message: String,
}

pub(super) async fn stats(args: LetterStatsArgs) -> anyhow::Result<ExitCode> {
    let (_, store) = table::opened(&args.source).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = i64::try_from(now)?;
    let topic = args.source.asked();
    let groups = store.letter_groups(topic, (now - DAY_MS, now - 2 * DAY_MS)).await?;
    let all: i64 = groups.iter().map(|group| group.letters).sum();
    let open: i64 = groups.iter().map(|group| group.open).sum();
    let wanted = groups.iter().filter(|group| !args.open || group.open > 0);
    let lines: Vec<CauseLine> = wanted.map(|group| line(group, all)).collect();
    output::many(&lines, args.output, shown)?;
    output::note(&format!(
        "{all} dead letters{}, {open} of them open",
        topic.map(|topic| format!(" of {topic}")).unwrap_or_default()
    ));
    Ok(ExitCode::SUCCESS)
}

fn line(group: &LetterGroup, all: i64) -> CauseLine {
    CauseLine {
        fingerprint: group.fingerprint.clone(),
        code: group.code.clone(),
        saga: group.definition.clone(),
        topic: group.origin_topic.clone(),
        letters: group.letters,
        open: group.open,
        share_percent: group.letters * 100 / all.max(1),
        last_day: group.recent,
        day_before: group.before,
        first_at: rfc3339(Timestamp(group.first_ms)),
        last_at: rfc3339(Timestamp(group.last_ms)),
        message: group.message.clone(),
    }
}

fn shown(lines: &[CauseLine]) -> String {
    let row = |line: &CauseLine| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let change = match line.last_day - line.day_before {
            0 => format!("{}", line.last_day),
            change => format!("{} ({change:+})", line.last_day),
        };
        [
            line.fingerprint.clone(),
            line.code.clone(),
            text(&line.saga),
            text(&line.topic),
            line.letters.to_string(),
            line.open.to_string(),
            format!("{} %", line.share_percent),
            change,
            line.last_at.clone(),
            line.message.clone(),
        ]
    };
    let header = ["cause", "code", "saga", "topic", "letters", "open", "share", "last day", "last", "message"];
    output::table(header, lines.iter().map(row))
}
