//! `replay what-if`: a changed definition tried on recorded sagas.

use super::{JournalSource, ReplayMeter};
use crate::{
    cli::{OutputFormat, archive::ArchiveSourceArgs, output, selection::StartedSince, store::StoreReadArgs},
    startup::{DefinitionFiles, plan_of_file},
};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::HumanCount;
use saga_core::{state::SagaPlan, what_if::AssumedAnswers};
use saga_engine::replay::what_if::{self, WhatIfEvent, WhatIfLine, WhatIfReport, WhatIfRequest, WhatIfVerdict};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    sync::Arc,
};

/// Arguments of `saga replay what-if`.
#[derive(Debug, Args)]
pub(in crate::cli) struct WhatIfArgs {
    /// File of the changed definition; participants.yaml is read beside it
    #[arg(long, value_name = "FILE")]
    definition: PathBuf,
    /// Use only sagas that started then or later: a time (RFC 3339), or how long ago, like 30d
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Most sagas, the oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Use only the sagas with this business key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Treat a step that was never called as answered with this result (JSON); for each added step
    #[arg(long, value_name = "STEP=JSON")]
    assume: Vec<AssumedResult>,
    /// Treat undos that were never sent as done
    #[arg(long)]
    assume_undos: bool,
    /// Exit with 1 if there is a saga of this kind
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    fail_on: Vec<FailOn>,
    /// Also print a line for every saga that is not the same
    #[arg(long)]
    each: bool,
    #[command(flatten)]
    source: ArchiveSourceArgs,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// What makes the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A saga ends otherwise, makes other calls, or does not start
    Difference,
    /// A saga cannot be decided, because an answer was never recorded
    Undecided,
    /// The journal of a saga cannot be read, or an archive is cut off
    Unreadable,
}

/// The result that a step is assumed to have.
#[derive(Clone, Debug)]
struct AssumedResult {
    step: String,
    result: Value,
}

impl FromStr for AssumedResult {
    type Err = String;

    fn from_str(text: &str) -> Result<AssumedResult, String> {
        let wrong = || format!("`{text}` is no result of a step: write step=JSON, like check={{\"score\":10}}");
        let (step, json) = text.split_once('=').ok_or_else(wrong)?;
        let result = serde_json::from_str(json).map_err(|error| format!("{}: {error}", wrong()))?;
        Ok(AssumedResult { step: step.to_owned(), result })
    }
}

/// A line of the output: a saga, or at the end the report.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum WhatIfOutput<'a> {
    Saga(&'a WhatIfLine),
    Report(&'a WhatIfReport),
}

pub(super) async fn what_if(args: WhatIfArgs) -> anyhow::Result<ExitCode> {
    let plan = plan(&args.definition)?;
    let assumed = AssumedAnswers { results: assumed(&plan, &args.assume)?, undos_are_done: args.assume_undos };
    let JournalSource { journals, cut } =
        super::journals(&args.source, &args.store, Some(&plan.definition.name)).await?;
    cut.iter().for_each(|it| output::note(&it.to_string()));
    let wanted = WhatIfRequest {
        plan: Arc::clone(&plan),
        since: args.since.map(|since| since.0),
        limit: args.limit,
        key: args.key.clone(),
        assumed,
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let meter = ReplayMeter::new("run");
    let mut printed = Ok(());
    let report = what_if::what_if(journals, wanted, workers, |event| match event {
        WhatIfEvent::Progress(progress) => meter.show(progress),
        WhatIfEvent::Saga(line) if args.each && line.verdict != WhatIfVerdict::Same => {
            let print = || output::one(&WhatIfOutput::Saga(&line), args.output, |_| line_text(&line));
            let result = meter.beside(print);
            printed = std::mem::replace(&mut printed, Ok(())).and(result);
        }
        WhatIfEvent::Saga(_) => {}
    });
    let report = report.await.context("the event store was not read to its end")?;
    meter.end();
    printed?;
    if report.sagas == 0 {
        bail!(
            "no recorded saga of `{}` fits\nhint: `saga list --saga {}` shows the sagas",
            plan.definition.name,
            plan.definition.name
        );
    }
    output::one(&WhatIfOutput::Report(&report), args.output, |_| report_text(&report))?;
    let is_cut = !cut.is_empty() && args.fail_on.contains(&FailOn::Unreadable);
    Ok(ExitCode::from(u8::from(is_cut || args.fail_on.iter().any(|on| on.is_met(&report)))))
}

impl FailOn {
    fn is_met(self, report: &WhatIfReport) -> bool {
        report.verdicts.keys().any(|verdict| match self {
            FailOn::Difference => verdict.is_difference(),
            FailOn::Undecided => *verdict == WhatIfVerdict::Undecided,
            FailOn::Unreadable => *verdict == WhatIfVerdict::Unreadable,
        })
    }
}

fn plan(path: &Path) -> anyhow::Result<Arc<SagaPlan>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Schemas prove fields when a definition is checked; here the recorded events are the proof.
    let mut files = DefinitionFiles::beside(folder, Path::new("")).with_context(|| folder.display().to_string())?;
    files.add_definitions([&path.to_path_buf()])?;
    plan_of_file(&files).context("the definition cannot be used; `saga check` shows the same findings")
}

/// # Errors
/// When the definition has no step of that name.
fn assumed(plan: &SagaPlan, all: &[AssumedResult]) -> anyhow::Result<BTreeMap<String, Value>> {
    if let Some(unknown) = all.iter().find(|it| plan.definition.find(&it.step).is_none()) {
        let steps: Vec<&str> = plan.definition.steps.iter().map(|step| step.name.as_str()).collect();
        bail!("--assume: the definition has no step `{}`; its steps are {}", unknown.step, steps.join(", "));
    }
    Ok(all.iter().map(|it| (it.step.clone(), it.result.clone())).collect())
}

fn line_text(line: &WhatIfLine) -> String {
    let end = line.simulated.as_ref().map(|simulated| format!(" → {simulated}")).unwrap_or_default();
    let calls = [
        ("also calls", &line.added_calls),
        ("does not call", &line.missing_calls),
        ("calls otherwise", &line.changed_calls),
    ];
    let calls = calls.iter().filter(|(_, names)| !names.is_empty());
    let calls: String = calls.map(|(what, names)| format!("; {what} {}", names.join(", "))).collect();
    let parts = line.parts_at.as_ref().map(|at| format!("; parts at {at}")).unwrap_or_default();
    let reason = line.reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
    format!("{} {}: {}: {}{end}{parts}{calls}{reason}", line.id, line.key, line.verdict.as_str(), line.recorded)
}

fn report_text(report: &WhatIfReport) -> String {
    let count = |count: &u64| HumanCount(*count).to_string();
    let verdicts = report.verdicts.iter().map(|(verdict, sagas)| {
        let share = *sagas as f64 * 100.0 / report.sagas.max(1) as f64;
        [verdict.as_str().to_owned(), count(sagas), format!("{share:.1} %")]
    });
    let mut parts = vec![output::table(["verdict", "sagas", "share"], verdicts)];
    if !report.other_ends.is_empty() {
        let row = |it: &what_if::CountedChange| {
            let parts_at = it.parts_at.clone().unwrap_or_default();
            [count(&it.sagas), it.recorded.clone(), it.simulated.clone(), parts_at, it.example.clone()]
        };
        let columns = ["sagas", "ended", "would end", "parts at", "for example"];
        parts.push(output::table(columns, report.other_ends.iter().map(row)));
    }
    let named = [
        ("calls that only the new definition makes", &report.added_calls),
        ("calls that only the recorded sagas made", &report.missing_calls),
        ("calls with another request", &report.changed_calls),
        ("why sagas are undecided or not started", &report.reasons),
    ];
    for (title, counts) in named.into_iter().filter(|(_, counts)| !counts.is_empty()) {
        parts.push(output::table([title, "sagas"], counts.iter().map(|(name, sagas)| [name.clone(), count(sagas)])));
    }
    parts.push(format!("{} recorded sagas; nothing was sent", count(&report.sagas)));
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumed_result_is_json() {
        let read = |text: &str| text.parse::<AssumedResult>().map(|it| (it.step, it.result.to_string()));
        assert_eq!(read("check={\"a\":1}"), Ok(("check".into(), "{\"a\":1}".into())));
        assert_eq!(read("check=null"), Ok(("check".into(), "null".into())));
        for wrong in ["check", "check=", "check=x"] {
            assert!(read(wrong).is_err_and(|error| error.contains("write step=JSON")), "{wrong}");
        }
    }

    #[test]
    fn a_difference_or_an_undecided_saga_fails_where_that_is_asked_for() {
        let of = |verdict| WhatIfReport { verdicts: [(verdict, 1)].into_iter().collect(), ..WhatIfReport::default() };
        assert!(FailOn::Difference.is_met(&of(WhatIfVerdict::OtherCalls)));
        assert!(!FailOn::Difference.is_met(&of(WhatIfVerdict::Undecided)));
        assert!(FailOn::Undecided.is_met(&of(WhatIfVerdict::Undecided)));
        assert!(!FailOn::Undecided.is_met(&of(WhatIfVerdict::Same)));
        assert!(FailOn::Unreadable.is_met(&of(WhatIfVerdict::Unreadable)));
        assert!(!FailOn::Unreadable.is_met(&of(WhatIfVerdict::Erased)));
    }
}
