//! What differs, line by line, and how much of it there is.

use crate::{
    cli::{OutputFormat, output},
    visible,
};
use saga_engine::letters::letter_place;
use saga_event_store::LetterCoordinates;
use serde::Serialize;
use std::{collections::BTreeMap, process::ExitCode};

/// How topic, table and event store differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum LetterFinding {
    /// The table has not come to these records.
    Behind,
    /// The table has passed by the record and has no row of it.
    RowMissing,
    /// The topic no longer has the record of the row.
    RecordGone,
    /// Row and record are of different letters.
    OtherLetter,
    /// The saga that a redrive started is nowhere.
    SagaMissing,
    /// The store does not have the saga that a redrive started, and the archive of its time cannot be asked.
    SagaUndecided,
    /// The letter is open, and a saga has its key.
    KeyTaken,
    /// Several letters of one record are open.
    Repeated,
}

impl LetterFinding {
    fn as_str(self) -> &'static str {
        match self {
            LetterFinding::Behind => "behind",
            LetterFinding::RowMissing => "row missing",
            LetterFinding::RecordGone => "record gone",
            LetterFinding::OtherLetter => "other letter",
            LetterFinding::SagaMissing => "saga missing",
            LetterFinding::SagaUndecided => "saga undecided",
            LetterFinding::KeyTaken => "key taken",
            LetterFinding::Repeated => "repeated",
        }
    }
}

/// A line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingLine<'a> {
    place: String,
    finding: LetterFinding,
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<&'a str>,
    message: &'a str,
}

/// The last line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryLine<'a> {
    compared: u64,
    forgotten: u64,
    findings: &'a BTreeMap<LetterFinding, u64>,
}

/// Prints what differs, and counts.
#[derive(Debug)]
pub(super) struct LetterFindings {
    format: OutputFormat,
    usual: String,
    compared: u64,
    forgotten: u64,
    counts: BTreeMap<LetterFinding, u64>,
}

impl LetterFindings {
    pub(super) fn new(format: OutputFormat, usual: &str) -> LetterFindings {
        LetterFindings { format, usual: usual.to_owned(), compared: 0, forgotten: 0, counts: BTreeMap::new() }
    }

    /// A record and a row were compared.
    pub(super) fn compared(&mut self) {
        self.compared += 1;
    }

    /// A record has no row because its letter ended.
    pub(super) fn forgotten(&mut self) {
        self.forgotten += 1;
    }

    pub(super) fn place(&self, place: &LetterCoordinates) -> String {
        letter_place(place, &self.usual)
    }

    pub(super) fn add(
        &mut self,
        finding: LetterFinding,
        place: &LetterCoordinates,
        letter: Option<&str>,
        message: &str,
    ) -> anyhow::Result<()> {
        *self.counts.entry(finding).or_default() += 1;
        let line = FindingLine { place: self.place(place), finding, letter, message };
        output::next(&line, self.format, shown).map(drop)
    }

    /// The summary, and the exit code: 1 where anything differs.
    pub(super) fn end(self) -> anyhow::Result<ExitCode> {
        let LetterFindings { compared, forgotten, counts, .. } = &self;
        match self.format {
            OutputFormat::Json | OutputFormat::Yaml => {
                output::line(&serde_json::to_string(&SummaryLine {
                    compared: *compared,
                    forgotten: *forgotten,
                    findings: counts,
                })?)?;
            }
            OutputFormat::Table => {
                let told: Vec<String> =
                    counts.iter().map(|(finding, count)| format!("{count} {}", finding.as_str())).collect();
                let told = if told.is_empty() { "all agree".to_owned() } else { told.join(", ") };
                output::line(&format!(
                    "{compared} letters compared, {forgotten} without a row because they ended: {told}"
                ))?;
            }
        }
        Ok(if counts.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn shown(line: &FindingLine<'_>) -> String {
    let FindingLine { place, finding, letter, message } = line;
    let letter = letter.map(|letter| format!("  {letter}")).unwrap_or_default();
    visible::in_line(&format!("{place}  {}{letter}: {message}", finding.as_str())).into_owned()
}
