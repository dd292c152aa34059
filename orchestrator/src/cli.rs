//! The command line: data goes to stdout, everything else to stderr. Exit code 0: yes or done; 1: no or failed; 2: a
//! usage error.

mod act;
mod advise;
mod archive;
mod audit;
mod benchmark;
mod check;
mod definitions;
mod dlq;
mod events;
mod following;
mod guard;
mod health;
mod jobs;
mod kept_logins;
mod keys;
mod list;
mod login;
mod migrate;
mod operator;
mod output;
mod pause;
mod projections;
mod read;
mod recorded;
mod replay;
mod rerun;
mod run;
mod schemas;
mod selection;
mod server;
mod start;
mod store;
mod verify;
mod watch;
mod who;

use crate::telemetry::{self, LogFormat};
use clap::{Args, Parser, Subcommand, ValueEnum};
use saga_core::event::OperatorAction;
use std::{path::PathBuf, process::ExitCode};

/// Run sagas: business transactions of several steps, with retries and undos, started by Kafka events.
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
    /// Which log lines to write to stderr: a level (error, warn, info, debug) or a filter by module
    #[arg(long, global = true, env = "SAGA_LOG", value_name = "FILTER", value_parser = telemetry::filter)]
    log: Option<String>,
    /// Format of log lines
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Format of printed data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A table, for people
    #[default]
    Table,
    /// One JSON object; for a list, one object per line
    Json,
    /// One YAML document for each object
    Yaml,
}

/// Format of printed findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CheckOutputFormat {
    /// Text, for people
    #[default]
    Text,
    /// One JSON object per finding, one per line
    Json,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Try it out: run an engine, a Kafka broker, sample participants and sample orders in this process
    Dev(run::DevArgs),
    /// Run an engine
    Serve(run::ServeArgs),
    /// Check definitions for errors before they run
    Check(check::CheckArgs),
    /// Print the JSON Schema of a file format, for editors
    Schema {
        /// The file format
        #[arg(value_enum)]
        format: check::SchemaFormat,
    },
    /// List sagas, newest first, or count them in groups
    List(list::ListArgs),
    /// Show one saga with its steps, as it is or as it was
    Show(read::ShowArgs),
    /// Show all events of one saga: when, why, and how long each took
    History(read::HistoryArgs),
    /// Print what happens to one saga, as it happens, until it ends
    Watch(watch::WatchArgs),
    /// Show what changed in one saga between two versions or times
    Diff(read::DiffArgs),
    /// Start a saga without Kafka, and with --wait show how it ends
    Start(start::StartArgs),
    /// Try failed or waiting steps again now, in one saga or in many
    Retry(act::RetryArgs),
    /// Treat the step that a parked saga waits for as settled; the saga then continues
    Skip(act::StepActArgs),
    /// Cancel sagas: undo their steps. Not possible after the pivot
    Cancel(act::WholeActArgs),
    /// End sagas as they are, without undoing anything; the journal records which steps were not undone
    Abandon(act::WholeActArgs),
    /// Move open sagas to another text of their definition, where it fits; without --apply, only show where it would
    Migrate(migrate::MigrateArgs),
    /// Let a definition start no sagas, or send a participant no calls, until an operator resumes it
    #[command(subcommand)]
    Pause(pause::PauseCommand),
    /// End the pause of a definition or of a participant
    #[command(subcommand)]
    Resume(pause::ResumeCommand),
    /// Run an ended saga again, by a new saga: from the beginning, or from a step
    Rerun(rerun::RerunArgs),
    /// Remove for ever what ended sagas were given, sent and were answered, also in archives; steps, times and codes
    /// stay on record
    Erase(act::EraseArgs),
    /// Show jobs (acts on many sagas): their results, and who started them
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Ask the engine of the configuration, on this machine, whether it is ready
    Health(health::HealthArgs),
    /// Log in to an engine at its issuer, with a browser on any device; commands then use that login
    Login(login::LoginArgs),
    /// Forget the login to an engine
    Logout(login::LoginArgs),
    /// Make keys for the API
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Say which timeouts, retries, bulkheads, rate limits and breakers to change, from what journals tell, and
    /// forecast which participant is about to fail
    Advise(advise::AdviseArgs),
    /// Show operators' acts on sagas and guards: who did what, when and why
    Audit(audit::AuditArgs),
    /// Show the events of all sagas, in the order in which other systems get them
    Events(events::EventsArgs),
    /// Show the projections and how far they are, or the rows of one
    Projections(projections::ProjectionsArgs),
    /// Let ended sagas leave the event store, and look into the archives they went to
    #[command(subcommand)]
    Archive(archive::ArchiveCommand),
    /// Look into dead letters: the records that nobody could process
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Check schemas of events before they are deployed
    #[command(subcommand)]
    Schemas(schemas::SchemasCommand),
    /// Read what is recorded again: verify it, try a changed definition on it, publish its events once more, or make a
    /// projection or the list of sagas anew. Only `publish --send` sends, and only `rebuild` writes
    #[command(subcommand)]
    Replay(replay::ReplayCommand),
    /// Show the definitions that start sagas now, those by which sagas run, and their texts
    #[command(subcommand)]
    Definitions(definitions::DefinitionsCommand),
    /// Show and change the guards of participants: breakers and limits
    #[command(subcommand)]
    Guard(guard::GuardCommand),
    /// Test whether a participant follows the rules: repeated commands, an undo before its do, a do after its undo
    VerifyParticipant(verify::VerifyArgs),
    /// Measure this machine: sagas per second with a participant that does nothing
    Bench(benchmark::BenchArgs),
    /// Run the participant of a benchmark; `saga bench` starts it
    #[command(hide = true)]
    BenchParticipant,
}

/// The configuration file, for commands that read it.
#[derive(Clone, Debug, Default, Args)]
struct ConfigFileArgs {
    /// Configuration file [default: $SAGA_CONFIG, or ./config.yaml if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs one command to its end and returns the exit code of the process.
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
    // A consumer thread or a blocking call that still runs must not keep the process from ending.
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
        CliCommand::Watch(args) => watch::watch(args).await,
        CliCommand::Start(args) => start::start(args).await,
        CliCommand::Diff(args) => read::diff(args).await,
        CliCommand::Retry(args) => act::retry(args).await,
        CliCommand::Skip(args) => act::act_on_step(args, OperatorAction::Skip).await,
        CliCommand::Cancel(args) => act::act(args, OperatorAction::Cancel).await,
        CliCommand::Abandon(args) => act::act(args, OperatorAction::Abandon).await,
        CliCommand::Migrate(args) => migrate::migrate(args).await,
        CliCommand::Pause(command) => pause::pause(command).await,
        CliCommand::Resume(command) => pause::resume(command).await,
        CliCommand::Rerun(args) => rerun::rerun(args).await,
        CliCommand::Erase(args) => act::erase(args).await,
        CliCommand::Jobs(command) => jobs::run(command).await,
        CliCommand::Health(args) => health::run(args).await,
        CliCommand::Login(args) => login::login(args).await,
        CliCommand::Logout(args) => login::logout(&args),
        CliCommand::Keys(command) => keys::run(command),
        CliCommand::Advise(args) => advise::advise(args).await,
        CliCommand::Audit(args) => audit::audit(args).await,
        CliCommand::Events(args) => events::events(args).await,
        CliCommand::Projections(args) => projections::projections(args).await,
        CliCommand::Archive(command) => archive::run(command).await,
        CliCommand::Dlq(command) => dlq::run(command).await,
        CliCommand::Schemas(command) => schemas::run(command).await,
        CliCommand::Replay(command) => replay::run(command).await,
        CliCommand::Definitions(command) => definitions::run(command).await,
        CliCommand::Guard(command) => guard::run(command).await,
        CliCommand::VerifyParticipant(args) => verify::run(args).await,
        CliCommand::Bench(args) => benchmark::run(args).await,
        CliCommand::BenchParticipant => benchmark::participant().await,
    }
}
