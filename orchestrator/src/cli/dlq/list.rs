//! `dlq list`: dead letters, the newest first.

use super::{
    bytes_shown::BytesShown,
    naming,
    source::{LetterFilterArgs, LetterSourceArgs},
    table::{self, TableFilterArgs},
    values::{MOST_READ, ValueMatch, ValueSearch},
};
use crate::{
    api::LetterLineView,
    cli::{OutputFormat, output},
    dead_letters::{FOREIGN, LetterCursor, LetterEntry, LetterFilter, NewestLetters},
};
use anyhow::bail;
use clap::Args;
use saga_core::time::rfc3339;
use saga_event_store::{LetterOrder, StoredLetter};
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
    #[arg(long, default_value_t = 100, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on where a list ended that printed this
    #[arg(long, value_name = "PLACE,…|NUMBER")]
    before: Option<LetterCursor>,
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
    let filter = args.filter.filter(Vec::new())?;
    let usual = config.topics.dlq.as_str();
    let mut topics = args.source.open(&config).await?;
    topics.begin_at(filter.since).await?;
    match &args.before {
        Some(LetterCursor::Places(places)) => topics.end_before(places, args.source.usual(&config)),
        Some(number @ LetterCursor::Number(_)) => {
            bail!("--before {number} is a number of the table, and this list is of the topic: write PARTITION/OFFSET")
        }
        None => {}
    }
    let mut letters = topics.newest();
    let mut left = if args.all { usize::MAX } else { usize::try_from(args.limit).unwrap_or(usize::MAX) };
    let mut is_first = true;
    loop {
        let page = page(&mut letters, &filter, (left.min(PAGE), usual)).await?;
        left -= page.len();
        if is_first && page.is_empty() {
            naming::seen_right(&args.filter, letters.seen(), (&config, &args.source)).await?;
        }
        if is_first || !page.is_empty() {
            output::many(&page, args.output, table)?;
        }
        is_first = false;
        if page.len() < PAGE && left > 0 {
            return Ok(ExitCode::SUCCESS);
        }
        if left == 0 {
            hint(&mut letters, &filter, usual).await?;
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// What people have decided is in the event store, and not in the topic.
async fn of_table(args: &ListLettersArgs) -> anyhow::Result<ExitCode> {
    let (config, store) = table::opened(&args.source).await?;
    let mut filter = args.table.stored(&args.filter, args.source.asked())?;
    filter.before = match &args.before {
        Some(LetterCursor::Number(number)) => Some(*number),
        Some(places @ LetterCursor::Places(_)) => {
            bail!("--before {places} is a place in the topic, and this list is of the table: write a number of it")
        }
        None => None,
    };
    let mut search = match filter.text.take() {
        Some(text) => Some(ValueSearch::open(&text, &args.source, &config).await?),
        None => None,
    };
    let mut left = if args.all { usize::MAX } else { usize::try_from(args.limit).unwrap_or(usize::MAX) };
    let (mut is_first, mut is_cut) = (true, false);
    while left > 0 && !is_cut {
        let size = if search.is_some() { PAGE } else { left.min(PAGE) };
        filter.limit = u32::try_from(size).unwrap_or(u32::MAX);
        let page = store.letters(&filter, LetterOrder::Newest).await?;
        let is_last = page.len() < size;
        if is_first && page.is_empty() {
            naming::named_right(store.as_ref(), &config, &filter).await?;
        }
        let lines;
        (lines, is_cut) = chosen(page, search.as_mut(), (left, &config.topics.dlq), &mut filter.before).await?;
        left -= lines.len();
        if is_first || !lines.is_empty() {
            output::many(&lines, args.output, table_of_rows)?;
        }
        is_first = false;
        if is_last && left > 0 && !is_cut {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if is_cut {
        output::note(&format!("the values of {MOST_READ} letters were read for --text, and of no more"));
    }
    if let Some(number) = filter.before {
        output::note(&format!(
            "hint: there may be more dead letters: --before {number} goes on, --limit N and --all show more"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The rows of a page that are shown, at most so many, and whether no more values are read. `before` goes to the last
/// row that was looked at. `usual`: the topic whose places name none.
async fn chosen(
    page: Vec<StoredLetter>,
    mut search: Option<&mut ValueSearch>,
    (most, usual): (usize, &str),
    before: &mut Option<i64>,
) -> anyhow::Result<(Vec<LetterLineView>, bool)> {
    let mut lines = Vec::new();
    for row in page {
        if lines.len() == most {
            break;
        }
        let found = match &mut search {
            Some(search) => search.look(&row).await?,
            None => ValueMatch::Found,
        };
        if found == ValueMatch::NotRead {
            return Ok((lines, true));
        }
        *before = Some(row.number);
        if found == ValueMatch::Found {
            lines.push(LetterLineView::of(row, usual));
        }
    }
    Ok((lines, false))
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

async fn hint(letters: &mut NewestLetters, filter: &LetterFilter, usual: &str) -> anyhow::Result<()> {
    let cursor = LetterCursor::Places(letters.cursor(usual));
    if letters.next(filter).await?.is_some() {
        output::note(&format!(
            "hint: there are more dead letters: --before {cursor} goes on, --limit N and --all show more"
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
