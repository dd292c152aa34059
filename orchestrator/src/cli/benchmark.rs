//! `bench`.

mod herd;

use super::{ConfigFileArgs, OutputFormat, output};
use crate::{
    bench::{self, BenchRound},
    config::{self, ConfigSources, EngineConfig},
};
use clap::{Args, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    other: Option<BenchSubcommand>,
    #[command(flatten)]
    rounds: RoundsArgs,
}

#[derive(Debug, Subcommand)]
enum BenchSubcommand {
    /// Measure how an engine takes over many sagas that were open before its start and all become due at once
    /// (thundering herd)
    Herd(herd::HerdArgs),
}

#[derive(Debug, Args)]
struct RoundsArgs {
    /// Number of sagas per round
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    sagas: u32,
    /// Numbers of sagas in flight; one round for each number
    #[arg(long, value_delimiter = ',', default_value = "64,256",
        value_parser = clap::value_parser!(u32).range(1..=4096))]
    in_flight: Vec<u32>,
    #[command(flatten)]
    store: StoreArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// The event store of a benchmark.
#[derive(Debug, Args)]
struct StoreArgs {
    #[command(flatten)]
    file: ConfigFileArgs,
    /// Address of an event store that no engine uses [default: the key store of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    store: Option<String>,
}

impl StoreArgs {
    fn config(self) -> anyhow::Result<EngineConfig> {
        let flags = self.store.map(|store| vec![("store", store)]).unwrap_or_default();
        Ok(config::load(&ConfigSources::of_process(self.file.config.as_deref(), flags))?)
    }
}

pub(super) async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match args.other {
        Some(BenchSubcommand::Herd(args)) => herd::run(args).await,
        None => rounds(args.rounds).await,
    }
}

async fn rounds(args: RoundsArgs) -> anyhow::Result<ExitCode> {
    let config = args.store.config()?;
    let rounds = bench::run(&config, args.sagas, &args.in_flight).await?;
    output::many(&rounds, args.output, table)?;
    Ok(if rounds.iter().all(BenchRound::is_whole) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn table(rounds: &[BenchRound]) -> String {
    let row = |round: &BenchRound| {
        [
            round.in_flight.to_string(),
            format!("{:.0}", round.sagas_per_second),
            format!("{:.1}", round.p50_ms),
            format!("{:.1}", round.p99_ms),
            counted(round.commits_per_saga, 3),
            format!("{:.2}", round.rows_per_saga),
            counted(round.wal_bytes_per_saga, 0),
            format!("{:.3}", round.engine_cpu_seconds_per_1000),
            format!("{:.3}", round.participant_cpu_seconds_per_1000),
            format!("{}/{}", round.completed, round.sagas),
            if round.is_whole() { "four each".into() } else { format!("{:?}", round.calls) },
        ]
    };
    output::table(
        [
            "in flight",
            "sagas/s",
            "p50 ms",
            "p99 ms",
            "commits",
            "rows",
            "WAL bytes",
            "CPU-s/1000",
            "participant",
            "completed",
            "calls",
        ],
        rounds.iter().map(row),
    )
}

/// Every saga has a commit: a database that reports zero does not count commits.
fn counted(figure: f64, digits: usize) -> String {
    if figure > 0.0 { format!("{figure:.digits$}") } else { "–".to_owned() }
}

pub(super) async fn participant() -> anyhow::Result<ExitCode> {
    bench::participant::run(|address| drop(output::line(&address.to_string()))).await?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn what_a_database_does_not_count_is_not_shown_as_zero() {
        assert_eq!((counted(0.0, 0).as_str(), counted(1.2345, 3).as_str()), ("–", "1.234"));
    }
}
