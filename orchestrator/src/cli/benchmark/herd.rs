//! Arguments and output of `saga bench herd`.

use super::{OutputFormat, StoreArgs, output};
use crate::bench::herd::{self, HerdOptions, HerdReport, HerdWaitKind};
use clap::Args;
use std::{num::NonZeroU32, process::ExitCode};

#[derive(Debug, Args)]
pub(super) struct HerdArgs {
    /// Number of sagas that are open when the engine starts
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    sagas: u32,
    /// Number of sagas that have to end [default: all]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    until: Option<u32>,
    /// What all sagas wait for
    #[arg(long, value_enum, default_value_t = HerdWaitKind::Time)]
    waiting_for: HerdWaitKind,
    /// Permits of the participant: calls in flight at once
    #[arg(long, default_value = "64")]
    bulkhead: NonZeroU32,
    #[command(flatten)]
    store: StoreArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(args: HerdArgs) -> anyhow::Result<ExitCode> {
    let until = args.until.unwrap_or(args.sagas).min(args.sagas);
    let asked = HerdOptions { waiting_for: args.waiting_for, sagas: args.sagas, until, places: args.bulkhead };
    let config = args.store.config()?;
    let herd = herd::run(&config, asked).await?;
    output::one(&herd, args.output, table)?;
    Ok(ExitCode::SUCCESS)
}

fn table(herd: &HerdReport) -> String {
    let or_none =
        |figure: Option<f64>, digits: usize| figure.map_or("–".into(), |figure| format!("{figure:.digits$}"));
    let row = [
        herd.sagas.to_string(),
        format!("{:.1}", herd.made_seconds),
        format!("{:.1}", herd.first_row_seconds),
        or_none(herd.taken_over_seconds, 1),
        or_none(herd.waiting_peak_mb, 0),
        format!("{:.0}", herd.peak_mb),
        herd.ended.to_string(),
        format!("{:.0}", herd.sagas_per_second),
        format!("{:.0}", herd.slowest_per_second),
        format!("{:.2}", herd.rows_per_saga),
    ];
    output::table(
        [
            "sagas",
            "made s",
            "first row s",
            "taken over s",
            "waiting MB",
            "peak MB",
            "ended",
            "sagas/s",
            "slowest 5 s",
            "rows",
        ],
        [row],
    )
}
