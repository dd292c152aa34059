//! The command line: data goes to stdout, all else to stderr; 0 is yes, 1 is no or failed, 2 is a usage error.

mod act;
mod benchmark;
mod check;
mod definitions;
mod guard;
mod jobs;
mod list;
mod operator;
mod output;
mod read;
mod run;
mod selection;
mod server;
mod store;
mod verify;
mod who;

use crate::telemetry::{self, LogFormat};
use clap::{Args, Parser, Subcommand, ValueEnum};
use saga_core::event::OperatorAction;
use std::{path::PathBuf, process::ExitCode};

/// Runs business transactions that Kafka events start: steps, retries, and an undo for each.
#[derive(Debug, Parser)]
#[command(name = "saga", version, arg_required_else_help = true, max_term_width = 100)]
pub struct CliArgs {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Args)]
struct GlobalArgs {
    /// Which log lines go to stderr: error, warn, info, debug, or by module
    #[arg(long, global = true, env = "SAGA_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Where data is printed as what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
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
enum CheckOutputFormat {
    /// For people
    #[default]
    Text,
    /// One object per finding and line
    Json,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
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
        format: check::SchemaFormat,
    },
    /// List sagas, newest first, or count them by what they have in common
    List(list::ListArgs),
    /// Show one saga with its steps
    Show(read::SagaReadArgs),
    /// Show everything that happened to one saga
    History(read::SagaReadArgs),
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
struct ConfigFileArgs {
    /// Configuration file; else SAGA_CONFIG, else ./config.yaml if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs one command to its end.
#[must_use]
pub fn run(cli: CliArgs) -> ExitCode {
    let quiet = !matches!(cli.command, CliCommand::Serve(_));
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

async fn dispatch(command: CliCommand) -> anyhow::Result<ExitCode> {
    match command {
        CliCommand::Dev(args) => run::dev(args).await,
        CliCommand::Serve(args) => run::serve(args).await,
        CliCommand::Check(args) => check::check(&args),
        CliCommand::Schema { format } => check::schema(format),
        CliCommand::List(args) => list::list(args).await,
        CliCommand::Show(args) => read::show(args).await,
        CliCommand::History(args) => read::history(args).await,
        CliCommand::Retry(args) => act::retry(args).await,
        CliCommand::Skip(args) => act::act_on_step(args, OperatorAction::Skip).await,
        CliCommand::Cancel(args) => act::act(args, OperatorAction::Cancel).await,
        CliCommand::Abandon(args) => act::act(args, OperatorAction::Abandon).await,
        CliCommand::Jobs(command) => jobs::run(command).await,
        CliCommand::Definitions(command) => definitions::run(command).await,
        CliCommand::Guard(command) => guard::run(command).await,
        CliCommand::VerifyParticipant(args) => verify::run(args).await,
        CliCommand::Bench(args) => benchmark::run(args).await,
        CliCommand::BenchParticipant => benchmark::participant().await,
    }
}
