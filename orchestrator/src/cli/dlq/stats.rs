//! `dlq stats`: dead letters by cause.

use super::{source::LetterSourceArgs, table};
use crate::{
    cli::{OutputFormat, output},
    dead_letters::{CauseAttention, CauseView, DAY_MS},
};
use clap::Args;
use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

/// Arguments of `saga dlq stats`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LetterStatsArgs {
    /// Only causes with open letters
    #[arg(long)]
    open: bool,
    /// Only causes that need attention: new, back after a day without letters, rising, or waiting for more than a day
    #[arg(long)]
    attention: bool,
    #[command(flatten)]
    source: LetterSourceArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn stats(args: LetterStatsArgs) -> anyhow::Result<ExitCode> {
    let (_, store) = table::opened(&args.source).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = i64::try_from(now)?;
    let topic = args.source.asked();
    let groups = store.letter_groups(topic, (now - DAY_MS, now - 2 * DAY_MS)).await?;
    let all: i64 = groups.iter().map(|group| group.letters).sum();
    let open: i64 = groups.iter().map(|group| group.open).sum();
    let mut lines = CauseView::of_all(&groups);
    lines.retain(|cause| (!args.open || cause.open > 0) && (!args.attention || cause.attention.is_some()));
    output::many(&lines, args.output, shown)?;
    output::note(&format!(
        "{all} dead letters{}, {open} of them open",
        topic.map(|topic| format!(" of {topic}")).unwrap_or_default()
    ));
    Ok(ExitCode::SUCCESS)
}

fn shown(lines: &[CauseView]) -> String {
    let row = |line: &CauseView| {
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
            format!("{:.1}", line.per_hour),
            line.attention.map(CauseAttention::as_str).unwrap_or_default().to_owned(),
            line.first_at.clone(),
            line.last_at.clone(),
            line.message.clone(),
        ]
    };
    let header = [
        "cause",
        "code",
        "saga",
        "topic",
        "letters",
        "open",
        "share",
        "last day",
        "per hour",
        "attention",
        "first",
        "last",
        "message",
    ];
    output::table(header, lines.iter().map(row))
}
