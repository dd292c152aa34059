//! `dlq export`: rows of the table as JSON lines or CSV.

use super::{
    naming,
    source::{LetterFilterArgs, LetterSourceArgs},
    table::{self, TableFilterArgs},
};
use crate::{api::LetterLineView, cli::output, dead_letters::LetterTopics};
use clap::{Args, ValueEnum};
use saga_engine::letters::{EditedRecord, letter_row};
use saga_event_store::{LetterOrder, StoredLetter, StoredLetterFilter};
use serde::Serialize;
use std::process::ExitCode;

/// Rows that are read at a time.
const PAGE: u32 = 1_000;

/// Arguments of `saga dlq export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportLettersArgs {
    #[command(flatten)]
    filter: LetterFilterArgs,
    #[command(flatten)]
    table: TableFilterArgs,
    #[command(flatten)]
    source: LetterSourceArgs,
    /// Form of the rows
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormat,
    /// With key, value and headers of the originals, in base64, as the topics have them
    #[arg(long, conflicts_with = "format")]
    records: bool,
}

/// The form of exported rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// A JSON object per line
    #[default]
    Jsonl,
    /// CSV with a header. A cell that a spreadsheet would take for a formula begins with an apostrophe
    Csv,
}

const COLUMNS: [&str; 16] = [
    "place",
    "letter",
    "writtenAt",
    "code",
    "origin",
    "saga",
    "key",
    "message",
    "fingerprint",
    "redrives",
    "status",
    "changedAt",
    "who",
    "why",
    "result",
    "edited",
];

pub(super) async fn export(args: ExportLettersArgs) -> anyhow::Result<ExitCode> {
    let (config, store) = table::opened(&args.source).await?;
    let mut filter = StoredLetterFilter {
        limit: PAGE,
        after: Some(0),
        // What comes later is not of this export.
        before: Some(store.last_letter().await? + 1),
        ..args.table.stored(&args.filter, args.source.asked())?
    };
    let mut is_first = true;
    if args.format == ExportFormat::Csv {
        output::line(&COLUMNS.join(","))?;
    }
    let mut topics = if args.records { Some(args.source.open(&config).await?) } else { None };
    loop {
        let page = store.letters(&filter, LetterOrder::Oldest).await?;
        if is_first && page.is_empty() {
            naming::named_right(store.as_ref(), &config, &filter).await?;
        }
        is_first = false;
        let Some(last) = page.last() else { return Ok(ExitCode::SUCCESS) };
        filter.after = Some(last.number);
        for letter in page {
            let record = match &mut topics {
                Some(topics) => Some(original(topics, &letter).await?),
                None => None,
            };
            let line = LetterLineView::of(letter, &config.topics.dlq);
            output::line(&match args.format {
                ExportFormat::Jsonl => serde_json::to_string(&ExportedLine { line, record })?,
                ExportFormat::Csv => row(line),
            })?;
        }
    }
}

/// A row, and its record if it is asked for.
#[derive(Debug, Serialize)]
struct ExportedLine {
    #[serde(flatten)]
    line: LetterLineView,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    record: Option<ExportedRecord>,
}

/// The original of a letter, or why there is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ExportedRecord {
    /// The bytes; of a pointer those that it has.
    Original(EditedRecord),
    /// Why they are not here.
    Gone(String),
}

async fn original(topics: &mut LetterTopics, letter: &StoredLetter) -> anyhow::Result<ExportedRecord> {
    let Some(entry) = topics.at(&letter.place).await? else {
        return Ok(ExportedRecord::Gone("the topic does not have the record".to_owned()));
    };
    if letter_row(&entry.record).id != letter.letter.id {
        return Ok(ExportedRecord::Gone("another letter is at this place".to_owned()));
    }
    Ok(ExportedRecord::Original(EditedRecord::of(&entry.original())))
}

fn row(line: LetterLineView) -> String {
    let text = |text: Option<String>| text.unwrap_or_default();
    let cells = [
        line.place,
        line.letter,
        line.written_at,
        line.code,
        text(line.origin),
        text(line.saga),
        text(line.key),
        line.message,
        line.fingerprint,
        line.redrives.to_string(),
        line.status.to_owned(),
        text(line.changed_at),
        text(line.who),
        text(line.why),
        text(line.result),
        line.edited.to_string(),
    ];
    cells.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",")
}

/// A cell of CSV that no spreadsheet takes for a formula.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+49", "-1", "@SUM(A1)", "\tx", "\rx"] {
            let shown = cell(text);
            assert!(shown.trim_start_matches('"').starts_with('\''), "{shown}");
        }
        assert_eq!(cell("4711"), "4711");
    }

    #[test]
    fn commas_quotes_and_lines_stay_within_their_cell() {
        assert_eq!(cell("a \"b\", c\nd"), "\"a \"\"b\"\", c\nd\"");
    }
}
