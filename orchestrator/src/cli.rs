//! The command line: data goes to stdout, all else to stderr; 0 is yes, 1 is no or failed, 2 is a usage error.

mod act;
mod benchmark;
mod check;
mod definitions;
mod guard;
mod jobs;
mod list;
mod output;
mod read;
mod run;
mod selection;
mod server;
mod verify;
mod who;

use crate::telemetry::{self, LogFormat};
use clap::{Args, Parser, Subcommand, ValueEnum};
use saga_core::event::OperatorAction;
use std::{path::PathBuf, process::ExitCode};

/// Runs business transactions that Kafka events start: steps, retries, and an undo for each.
#[derive(Debug, Parser)]
#[command(name = "saga", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Which log lines go to stderr: error, warn, info, debug, or by module
    #[arg(long, global = true, env = "SAGA_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Where data is printed as what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Table,
    /// One object; of a list one object per line
    Json,
    /// The same as YAML documents
    Yaml,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CheckOutput {
    /// For people
    #[default]
    Text,
    /// One object per finding and line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: an engine, a broker, sample participants and orders, all in this process
    Dev(run::DevArgs),
    /// Run an engine
    Serve(run::ServeArgs),
    /// Check definitions for errors, before anything runs
    Check(check::CheckArgs),
    /// Print the JSON Schema of a file format, for editors
    Schema {
        /// Which format
        #[arg(value_enum)]
        format: check::Format,
    },
    /// List sagas, newest first, or count them by what they have in common
    List(list::ListArgs),
    /// Show one saga with its steps
    Show(read::OneArgs),
    /// Show everything that happened to one saga
    History(read::OneArgs),
    /// Try again what failed or waits, now; of one saga or of many
    Retry(act::RetryArgs),
    /// Mark the step that a parked saga waits for as done, and go on
    Skip(act::StepActArgs),
    /// Undo sagas that have not passed their pivot
    Cancel(act::WholeActArgs),
    /// End sagas as they are; what is left undone is recorded
    Abandon(act::WholeActArgs),
    /// Show acts on many sagas: what they came to, and who gave them
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Show which definitions start sagas
    #[command(subcommand)]
    Definitions(definitions::DefinitionsCommand),
    /// Show and change the guards of participants: breakers and limits
    #[command(subcommand)]
    Guard(guard::GuardCommand),
    /// Test whether a participant follows the rules: repeats, undo before do, late do
    VerifyParticipant(verify::VerifyArgs),
    /// Measure this machine: sagas per second against a no-op participant
    Bench(benchmark::BenchArgs),
    /// Be the participant of a benchmark; started by `bench`
    #[command(hide = true)]
    BenchParticipant,
}

/// The configuration file of commands that have one.
#[derive(Clone, Debug, Default, Args)]
struct ConfigFile {
    /// Configuration file; else SAGA_CONFIG, else ./config.yaml if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs one command to its end.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let quiet = !matches!(cli.command, Command::Serve(_));
    let filter = cli.global.log.clone().unwrap_or_else(|| if quiet { "warn".into() } else { "info".into() });
    telemetry::start(&filter, cli.global.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failed(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let done = runtime.block_on(dispatch(cli.command));
    // Whatever a consumer thread or a blocking call still does must not keep the process from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done.unwrap_or_else(|error| output::failed(&error))
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dev(args) => run::dev(args).await,
        Command::Serve(args) => run::serve(args).await,
        Command::Check(args) => check::check(&args),
        Command::Schema { format } => check::schema(format),
        Command::List(args) => list::list(args).await,
        Command::Show(args) => read::show(args).await,
        Command::History(args) => read::history(args).await,
        Command::Retry(args) => act::retry(args).await,
        Command::Skip(args) => act::act_on_step(args, OperatorAction::Skip).await,
        Command::Cancel(args) => act::act(args, OperatorAction::Cancel).await,
        Command::Abandon(args) => act::act(args, OperatorAction::Abandon).await,
        Command::Jobs(command) => jobs::run(command).await,
        Command::Definitions(command) => definitions::run(command).await,
        Command::Guard(command) => guard::run(command).await,
        Command::VerifyParticipant(args) => verify::run(args).await,
        Command::Bench(args) => benchmark::run(args).await,
        Command::BenchParticipant => benchmark::participant().await,
    }
}
