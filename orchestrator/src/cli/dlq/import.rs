//! `dlq import`: puts back decisions on dead letters that `dlq export` wrote.

mod lines;

use crate::{
    cli::{
        OutputFormat,
        operator::OperatorArgs,
        output,
        server::{ApiClient, ServerArgs},
    },
    visible,
};
use anyhow::Context;
use clap::Args;
use lines::{DecisionLine, ExportLines, ImportLine};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, stdin},
    path::PathBuf,
    process::ExitCode,
};

/// Decisions of one request.
const BATCH: usize = 200;

/// Arguments of `saga dlq import`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportLettersArgs {
    /// What `saga dlq export` wrote, as JSON lines; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    operator: OperatorArgs,
    /// Import nothing; only tell what would become of each decision
    #[arg(long)]
    dry_run: bool,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

/// What became of a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeLine<'a> {
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<&'a str>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

pub(super) async fn import(args: ImportLettersArgs) -> anyhow::Result<ExitCode> {
    let server = args.server.open()?;
    let mut run = DecisionRun { server, args, counts: BTreeMap::new() };
    let file = run.args.file.clone();
    let input: Box<dyn BufRead + Send> = if file.as_os_str() == "-" {
        Box::new(BufReader::new(stdin()))
    } else {
        Box::new(BufReader::new(File::open(&file).with_context(|| format!("{} cannot be read", file.display()))?))
    };
    let mut batch = Vec::new();
    for line in ExportLines::new(input) {
        let expected = || format!("{} cannot be read; expected a file that `saga dlq export` wrote", file.display());
        match line.with_context(expected)? {
            ImportLine::Decision(decision) => batch.push(decision),
            ImportLine::Open => run.count("open"),
            ImportLine::Bad { line, message } => run.bad(line, &message)?,
        }
        if batch.len() == BATCH {
            run.send(&std::mem::take(&mut batch)).await?;
        }
    }
    run.send(&batch).await?;
    Ok(run.end())
}

/// An import under way.
struct DecisionRun {
    server: ApiClient,
    args: ImportLettersArgs,
    counts: BTreeMap<String, u64>,
}

impl DecisionRun {
    fn count(&mut self, outcome: &str) {
        *self.counts.entry(outcome.to_owned()).or_default() += 1;
    }

    fn bad(&mut self, line: usize, message: &str) -> anyhow::Result<()> {
        self.count("bad line");
        self.told(&OutcomeLine { line, place: None, letter: None, outcome: "bad line", message: Some(message) })
    }

    async fn send(&mut self, batch: &[DecisionLine]) -> anyhow::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut body = self.args.operator.body();
        body["dryRun"] = json!(self.args.dry_run);
        body["decisions"] = batch.iter().map(|one| one.decision.clone()).collect();
        let answer = self.server.post("/api/dead-letters/import", &body).await?;
        let outcomes = answer["outcomes"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        for (one, outcome) in batch.iter().zip(outcomes) {
            let outcome = outcome.as_str().unwrap_or_default();
            self.count(outcome);
            let is_told = self.args.output != OutputFormat::Table || !is_good(outcome) || self.args.dry_run;
            if is_told {
                let [place, letter] = ["place", "letter"].map(|name| one.decision[name].as_str());
                self.told(&OutcomeLine { line: one.line, place, letter, outcome, message: meaning(outcome) })?;
            }
        }
        Ok(())
    }

    fn told(&self, line: &OutcomeLine<'_>) -> anyhow::Result<()> {
        output::next(line, self.args.output, shown).map(drop)
    }

    fn end(&self) -> ExitCode {
        let told: Vec<String> = self.counts.iter().map(|(outcome, lines)| format!("{lines} {outcome}")).collect();
        let would = if self.args.dry_run { "would be: " } else { "" };
        output::note(&format!("{would}{}", if told.is_empty() { "no lines".to_owned() } else { told.join(", ") }));
        let all_good = self.counts.keys().all(|outcome| is_good(outcome));
        if all_good { ExitCode::SUCCESS } else { ExitCode::from(1) }
    }
}

fn is_good(outcome: &str) -> bool {
    matches!(outcome, "imported" | "before" | "open")
}

/// Why a decision was not imported.
fn meaning(outcome: &str) -> Option<&'static str> {
    match outcome {
        "unknown" => Some("the table has no letter at this place"),
        "otherLetter" => {
            Some("another letter is at this place: its topic was made anew, or the export is of another installation")
        }
        "decidedSince" => Some("somebody has acted on the letter since: it stays as it is"),
        _ => None,
    }
}

fn shown(line: &OutcomeLine<'_>) -> String {
    let OutcomeLine { line, place, letter, outcome, message } = line;
    let parts = [*place, *letter, Some(*outcome), *message];
    let said: Vec<&str> = parts.into_iter().flatten().collect();
    visible::in_line(&format!("line {line}: {}", said.join("  "))).into_owned()
}
