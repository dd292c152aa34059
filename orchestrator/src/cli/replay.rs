//! `replay …`: the event store read again. Only `publish --send` sends anything.

mod publish;
mod rebuild;
mod what_if;

use super::{
    OutputFormat,
    archive::{ArchiveSourceArgs, CutArchive},
    output,
    selection::{StartedSince, known_saga},
    store::StoreReadArgs,
};
use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use saga_engine::replay::{
    ScanProgress,
    verify::{self, SagaDivergence, VerifyEvent, VerifyReport, VerifyRequest},
};
use saga_event_store::JournalReader;
use serde::Serialize;
use serde_json::Value;
use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

/// Subcommands of `saga replay`.
#[derive(Debug, Subcommand)]
pub(super) enum ReplayCommand {
    /// Check all journals: this build can read each one, the read model agrees with it, and the rules make the same
    /// decisions again
    Verify(VerifyJournalsArgs),
    /// Send recorded outcome or step events to a topic once more, marked by the header ce_replay; without --send, only
    /// count them
    Publish(publish::PublishEventsArgs),
    /// Run recorded sagas by a changed definition, and show what would differ
    WhatIf(what_if::WhatIfArgs),
    /// Build a projection anew beside the live one, while engines run; or write rows of the list of sagas (`sagas`)
    /// that say something else than the journals
    Rebuild(rebuild::RebuildArgs),
}

/// Arguments of `saga replay verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyJournalsArgs {
    /// Check only sagas that started then or later: a time (RFC 3339), or how long ago, like 7d
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Check only sagas of this definition
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    #[command(flatten)]
    source: ArchiveSourceArgs,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(command: ReplayCommand) -> anyhow::Result<ExitCode> {
    match command {
        ReplayCommand::Verify(args) => verify(args).await,
        ReplayCommand::Publish(args) => publish::publish(args).await,
        ReplayCommand::WhatIf(args) => what_if::what_if(args).await,
        ReplayCommand::Rebuild(args) => rebuild::rebuild(args).await,
    }
}

/// A line of the output: a divergence, an archive that is cut off, or at the end the report.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum VerifyLine<'a> {
    Divergence(&'a SagaDivergence),
    CutArchive(&'a CutArchive),
    Report(&'a VerifyReport),
}

async fn verify(args: VerifyJournalsArgs) -> anyhow::Result<ExitCode> {
    let JournalSource { journals, cut } = journals(&args.source, &args.store, args.saga.as_deref()).await?;
    let wanted = VerifyRequest { since: args.since.map(|since| since.0), saga: args.saga.clone() };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let meter = ReplayMeter::new("verified");
    let mut printed = Ok(());
    let report = verify::verify(journals, &wanted, workers, |event| match event {
        VerifyEvent::Progress(progress) => meter.show(progress),
        VerifyEvent::Diverged(it) => {
            let print = || output::one(&VerifyLine::Divergence(&it), args.output, |_| divergence_text(&it));
            let result = meter.beside(print);
            printed = std::mem::replace(&mut printed, Ok(())).and(result);
        }
    });
    let report = report.await.context("the event store was not read to its end")?;
    meter.end();
    printed?;
    for it in &cut {
        output::one(&VerifyLine::CutArchive(it), args.output, |_| it.to_string())?;
    }
    output::one(&VerifyLine::Report(&report), args.output, |_| report_text(&report, meter.took()))?;
    Ok(ExitCode::from(u8::from(report.divergences > 0 || !cut.is_empty())))
}

/// What a command reads: archives, or the event store.
pub(super) struct JournalSource {
    pub(super) journals: Arc<dyn JournalReader>,
    /// Archives of which not all sagas are there.
    pub(super) cut: Vec<CutArchive>,
}

/// The archives that are named, or the event store.
///
/// # Errors
/// When they cannot be read, or none of them has a saga of a definition that is called `saga`.
pub(super) async fn journals(
    source: &ArchiveSourceArgs,
    store: &StoreReadArgs,
    saga: Option<&str>,
) -> anyhow::Result<JournalSource> {
    if let Some((journals, cut)) = source.open(store, saga).await? {
        return Ok(JournalSource { journals, cut });
    }
    let store = store.open().await?;
    if let Some(saga) = saga {
        known_saga(store.as_ref(), saga).await?;
    }
    Ok(JournalSource { journals: store, cut: Vec::new() })
}

fn divergence_text(it: &SagaDivergence) -> String {
    let key = if it.key.is_empty() { String::new() } else { format!(" (key {})", it.key) };
    format!(
        "saga {}{key}, version {}: {}\n  expected  {}\n  found     {}",
        it.id,
        it.version,
        format!("{} {}", it.kind.as_str(), it.place).trim_end(),
        short(&it.expected),
        short(&it.found)
    )
}

/// Characters of a value in a line.
const VALUE_CHARS: usize = 400;

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}… (--output json shows all)", &text[..end]),
        None => text,
    }
}

fn report_text(report: &VerifyReport, took: Duration) -> String {
    let per_second = report.events as f64 / took.as_secs_f64().max(0.001);
    let undecided: u64 = report.undecided.values().sum();
    let reasons = report.undecided.iter().map(|(reason, rows)| format!("\n  {rows} rows depend on {reason}"));
    let erased = match report.erased {
        0 => String::new(),
        erased => format!("{} sagas are erased and could not be decided again\n", HumanCount(erased)),
    };
    let undecided = match undecided {
        0 => String::new(),
        rows => format!("{rows} rows could not be decided again:{}\n", reasons.collect::<String>()),
    };
    let snapshots = match report.snapshots {
        0 => String::new(),
        snapshots => format!("{} snapshots compared\n", HumanCount(snapshots)),
    };
    format!(
        "{} sagas, {} rows, {} events in {:.1} s ({} events/s)\n{snapshots}{undecided}{erased}{} divergences",
        HumanCount(report.sagas),
        HumanCount(report.rows),
        HumanCount(report.events),
        took.as_secs_f64(),
        HumanCount(per_second as u64),
        HumanCount(report.divergences)
    )
}

/// How far a command is, with rate and time left, on a terminal; nothing where stderr is none.
pub(super) struct ReplayMeter {
    bar: ProgressBar,
    began: Instant,
}

impl ReplayMeter {
    /// Thousandths of the way.
    const STEPS: u64 = 1_000;

    pub(super) fn new(done: &'static str) -> ReplayMeter {
        let bar = ProgressBar::with_draw_target(Some(ReplayMeter::STEPS), ProgressDrawTarget::stderr_with_hz(5));
        let template = format!("{{bar:30}} {{percent:>3}} %  {{msg}} {done}");
        let style = ProgressStyle::with_template(&template).expect("the template is written here");
        bar.set_style(style);
        ReplayMeter { bar, began: Instant::now() }
    }

    /// For a command that does not know how much there is.
    pub(super) fn spinner(done: &'static str) -> ReplayMeter {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        let template = format!("{{spinner}} {{human_pos}} records {done} ({{per_sec}})");
        bar.set_style(ProgressStyle::with_template(&template).expect("the template is written here"));
        ReplayMeter { bar, began: Instant::now() }
    }

    pub(super) fn count(&self, records: u64) {
        self.bar.set_position(records);
    }

    pub(super) fn show(&self, progress: ScanProgress) {
        let counts = format!("{} sagas, {} events", HumanCount(progress.sagas), HumanCount(progress.events));
        self.show_counts(&counts, progress);
    }

    /// For a command that reads rows of the feed.
    pub(super) fn show_rows(&self, progress: ScanProgress) {
        self.show_counts(&format!("{} rows", HumanCount(progress.events)), progress);
    }

    fn show_counts(&self, counts: &str, ScanProgress { events, share, .. }: ScanProgress) {
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = HumanCount((events as f64 / seconds.max(0.001)) as u64);
        let left = Duration::from_secs_f64((seconds / share.max(0.001) - seconds).clamp(0.0, 1e6));
        self.bar.set_message(format!("{counts} ({rate}/s, {} left)", HumanDuration(left)));
        self.bar.set_position((share * ReplayMeter::STEPS as f64) as u64);
    }

    /// Prints lines without disturbing the bar.
    pub(super) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_engine::replay::verify::DivergenceKind;
    use serde_json::json;

    #[test]
    fn a_divergence_names_saga_version_expected_and_found() {
        let it = SagaDivergence {
            id: "01a1fd79-2b8e-7002-908c-c8bc2b40dbf8".into(),
            key: "4711".into(),
            version: 4,
            kind: DivergenceKind::ReadModel,
            place: "status".into(),
            expected: json!("completed"),
            found: json!("running"),
        };
        let expected = "saga 01a1fd79-2b8e-7002-908c-c8bc2b40dbf8 (key 4711), version 4: read model status\n  \
                        expected  \"completed\"\n  found     \"running\"";
        assert_eq!(divergence_text(&it), expected);
    }

    #[test]
    fn the_report_says_what_could_not_be_decided() {
        let undecided = [("an outage", 2)].into_iter().collect();
        let report = VerifyReport {
            sagas: 1_000,
            rows: 5_000,
            events: 9_000,
            divergences: 0,
            snapshots: 2,
            erased: 2,
            undecided,
        };
        let expected = "1,000 sagas, 5,000 rows, 9,000 events in 2.0 s (4,500 events/s)\n2 snapshots compared\n2 rows could not be decided \
                        again:\n  2 rows depend on an outage\n2 sagas are erased and could not be decided again\n0 divergences";
        assert_eq!(report_text(&report, Duration::from_secs(2)), expected);
    }
}
