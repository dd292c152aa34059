//! `dlq list`: dead letters, the newest first.

use super::{
    bytes_shown::BytesShown,
    source::{LetterFilterArgs, LetterSourceArgs},
    table::{self, TableFilterArgs},
};
use crate::{
    api::LetterLineView,
    cli::{OutputFormat, output},
    dead_letters::{FOREIGN, LetterEntry, LetterFilter, NewestLetters},
};
use clap::Args;
use saga_core::time::{Timestamp, rfc3339};
use saga_event_store::LetterOrder;
use serde::Serialize;
use std::process::ExitCode;

/// Lines that are printed at a time.
const PAGE: usize = 500;

/// Arguments of `saga dlq list`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListLettersArgs {
    #[command(flatten)]
    filter: LetterFilterArgs,
    #[command(flatten)]
    table: TableFilterArgs,
    /// Maximum number of letters
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All letters, page by page
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    source: LetterSourceArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// A dead letter in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LetterLine {
    place: String,
    at: String,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saga: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<BytesShown>,
    message: String,
}

pub(super) async fn list(args: ListLettersArgs) -> anyhow::Result<ExitCode> {
    if args.table.is_asked() {
        return of_table(&args).await;
    }
    let config = args.source.config()?;
    let filter = args.filter.filter(Vec::new());
    let mut topics = args.source.open(&config).await?;
    topics.begin_at(filter.since).await?;
    let (mut letters, usual) = (topics.newest(), args.source.shown_without(&config));
    let mut left = if args.all { usize::MAX } else { usize::try_from(args.limit).unwrap_or(usize::MAX) };
    let mut is_first = true;
    loop {
        let page = page(&mut letters, &filter, (left.min(PAGE), usual)).await?;
        left -= page.len();
        if is_first || !page.is_empty() {
            output::many(&page, args.output, table)?;
        }
        is_first = false;
        if page.len() < PAGE && left > 0 {
            return Ok(ExitCode::SUCCESS);
        }
        if left == 0 {
            hint(&mut letters, &filter).await?;
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// What people have decided is in the event store, and not in the topic.
async fn of_table(args: &ListLettersArgs) -> anyhow::Result<ExitCode> {
    let (config, store) = table::opened(&args.source).await?;
    let mut filter = args.table.stored(&args.filter, args.source.asked());
    let mut left = if args.all { u32::MAX } else { args.limit };
    let mut is_first = true;
    while left > 0 {
        filter.limit = left.min(u32::try_from(PAGE).unwrap_or(u32::MAX));
        let page = store.letters(&filter, LetterOrder::Newest).await?;
        let is_last = page.len() < usize::try_from(filter.limit).unwrap_or(usize::MAX);
        filter.before = page.last().map(|letter| letter.number).or(filter.before);
        left -= u32::try_from(page.len()).unwrap_or(left);
        let lines: Vec<LetterLineView> =
            page.into_iter().map(|letter| LetterLineView::of(letter, &config.topics.dlq)).collect();
        if is_first || !lines.is_empty() {
            output::many(&lines, args.output, table_of_rows)?;
        }
        is_first = false;
        if is_last {
            return Ok(ExitCode::SUCCESS);
        }
    }
    output::note("hint: there may be more dead letters: --limit N and --all show more");
    Ok(ExitCode::SUCCESS)
}

fn table_of_rows(lines: &[LetterLineView]) -> String {
    let row = |line: &LetterLineView| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            line.place.clone(),
            line.written_at.clone(),
            line.status.to_owned(),
            line.code.clone(),
            text(&line.saga),
            text(&line.key),
            text(&line.who),
            line.result.clone().or_else(|| line.why.clone()).unwrap_or_default(),
            line.message.clone(),
        ]
    };
    let header = ["place", "time", "status", "code", "saga", "key", "who", "result", "message"];
    output::table(header, lines.iter().map(row))
}

async fn page(
    letters: &mut NewestLetters,
    filter: &LetterFilter,
    (most, usual): (usize, &str),
) -> anyhow::Result<Vec<LetterLine>> {
    let mut page = Vec::new();
    while page.len() < most
        && let Some(entry) = letters.next(filter).await?
    {
        page.push(line(&entry, usual));
    }
    Ok(page)
}

async fn hint(letters: &mut NewestLetters, filter: &LetterFilter) -> anyhow::Result<()> {
    if let Some(next) = letters.next(filter).await? {
        let until = rfc3339(Timestamp(next.written_at.0 + 1));
        output::note(&format!(
            "hint: there are more dead letters: --until {until} goes on, --limit N and --all show more"
        ));
    }
    Ok(())
}

fn line(entry: &LetterEntry, usual: &str) -> LetterLine {
    let (place, at) = (entry.place_within(usual), rfc3339(entry.written_at));
    let key = entry.key().map(BytesShown::of);
    match &entry.letter {
        Ok(letter) => LetterLine {
            place,
            at,
            code: letter.code.to_string(),
            id: Some(letter.id()),
            origin: Some(letter.origin.to_string()),
            saga: letter.definition.clone(),
            key,
            message: letter.message.clone(),
        },
        Err(unknown) => LetterLine {
            place,
            at,
            code: FOREIGN.to_owned(),
            id: None,
            origin: None,
            saga: None,
            key,
            message: unknown.to_string(),
        },
    }
}

fn table(lines: &[LetterLine]) -> String {
    let row = |line: &LetterLine| {
        let key = line.key.as_ref().map(BytesShown::cell).unwrap_or_default();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let LetterLine { place, at, code, origin, saga, message, .. } = line;
        [place.clone(), at.clone(), code.clone(), text(origin), text(saga), key, message.clone()]
    };
    output::table(["place", "time", "code", "original", "saga", "key", "message"], lines.iter().map(row))
}
