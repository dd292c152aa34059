//! `guard …`: the state of the guards of participants, and acts on them, through the API of an engine.

mod print;
mod watch;

use super::{
    OutputFormat,
    operator::{self, OperatorArgs},
    output,
    server::{NEWER_ENGINE, ServerArgs, ServerOutputArgs, encoded},
};
use crate::api::CriticalPathLine;
use anyhow::Context;
use clap::{ArgGroup, Args, Subcommand};
use saga_resilience::overrides::ManualRate;
use serde_json::{Value, json};
use std::{num::NonZeroU32, process::ExitCode};
use uuid::Uuid;

/// Subcommands of `saga guard`.
#[derive(Debug, Subcommand)]
pub(super) enum GuardCommand {
    /// Show the guards of all participants
    List(ServerOutputArgs),
    /// Show the guards of one participant, and the acts on them
    Show(GuardShowArgs),
    /// Force the breaker open: no call is sent until an operator changes it
    Open(GuardActArgs),
    /// Force the breaker closed: every call is sent and none is counted, until an operator changes it
    Close(GuardActArgs),
    /// Remove all overrides, and start with a closed breaker and an empty window
    Reset(GuardActArgs),
    /// Send every call and count it, so that the metrics show what the breaker would do
    MetricsOnly(GuardActArgs),
    /// Override limits of participants.yaml; a limit that is not given stays
    Set(GuardSetArgs),
    /// Show the acts on guards, with operator and reason, newest first
    Acts(GuardActsArgs),
    /// Follow the guard events, one line per event
    Watch(GuardWatchArgs),
    /// Read participants.yaml again now; an engine notices a change within seconds without this
    Reload(GuardReloadArgs),
}

#[derive(Debug, Args)]
pub(super) struct GuardReloadArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(super) struct GuardShowArgs {
    /// Name of the participant in participants.yaml
    participant: String,
    #[command(flatten)]
    server: ServerArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

#[derive(Debug, Args)]
pub(super) struct GuardActArgs {
    /// Name of the participant in participants.yaml
    participant: String,
    #[command(flatten)]
    operator: OperatorArgs,
    /// Id of the act. A repeat with the same id changes nothing [default: a random id, which is printed]
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("limits").args(["share", "bulkhead", "rate"]).required(true).multiple(true)))]
pub(super) struct GuardSetArgs {
    #[command(flatten)]
    act: GuardActArgs,
    /// Use only this share of the permits and of the rate: above 0, at most 1
    #[arg(long, value_parser = share)]
    share: Option<f64>,
    /// Permits: calls that may be in flight at once
    #[arg(long, value_name = "CALLS", value_parser = permits)]
    bulkhead: Option<NonZeroU32>,
    /// Calls per second, minute or hour: 50/s, 600/m, 1000/h
    #[arg(long)]
    rate: Option<ManualRate>,
}

fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "write a number above 0 and at most 1, like 0.25; `saga guard open` stops all calls".into())
}

fn permits(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "write a number of calls, 1 or more; `saga guard open` stops all calls".into())
}

#[derive(Debug, Args)]
pub(super) struct GuardActsArgs {
    /// Only this participant
    #[arg(long)]
    participant: Option<String>,
    /// Maximum number of acts
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

#[derive(Debug, Args)]
pub(super) struct GuardWatchArgs {
    /// Only this participant
    #[arg(long)]
    participant: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(command: GuardCommand) -> anyhow::Result<ExitCode> {
    match command {
        GuardCommand::List(args) => list(args).await,
        GuardCommand::Show(args) => show(args).await,
        GuardCommand::Open(args) => act(args, "open", &[]).await,
        GuardCommand::Close(args) => act(args, "close", &[]).await,
        GuardCommand::Reset(args) => act(args, "reset", &[]).await,
        GuardCommand::MetricsOnly(args) => act(args, "metrics-only", &[]).await,
        GuardCommand::Set(args) => set(args).await,
        GuardCommand::Acts(args) => acts(args).await,
        GuardCommand::Watch(args) => watch::watch(args).await,
        GuardCommand::Reload(args) => reload(args).await,
    }
}

async fn list(args: ServerOutputArgs) -> anyhow::Result<ExitCode> {
    let answer = args.server.open()?.get("/api/guards").await?;
    let path =
        serde_json::from_value::<Option<CriticalPathLine>>(answer["criticalPath"].clone()).context(NEWER_ENGINE)?;
    let path = path.as_ref().map(print::critical_path).unwrap_or_default();
    output::many(&items(&answer, "guards"), args.output, |guards| format!("{}{path}", print::guards(guards)))?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: GuardShowArgs) -> anyhow::Result<ExitCode> {
    let answer = args.server.open()?.get(&format!("/api/guards/{}", encoded(&args.participant))).await?;
    output::one(&answer, args.output, print::guard)?;
    Ok(ExitCode::SUCCESS)
}

async fn acts(args: GuardActsArgs) -> anyhow::Result<ExitCode> {
    let whose = args.participant.as_deref().map(|name| format!("&participant={}", encoded(name))).unwrap_or_default();
    let answer = args.server.open()?.get(&format!("/api/guards/acts?limit={}{whose}", args.limit)).await?;
    output::many(&items(&answer, "acts"), args.output, print::acts)?;
    Ok(ExitCode::SUCCESS)
}

async fn set(args: GuardSetArgs) -> anyhow::Result<ExitCode> {
    let GuardSetArgs { act: whom, share, bulkhead, rate } = args;
    act(whom, "set", &[("share", json!(share)), ("bulkhead", json!(bulkhead)), ("rate", json!(rate))]).await
}

async fn act(args: GuardActArgs, action: &str, limits: &[(&str, Value)]) -> anyhow::Result<ExitCode> {
    let mut body = args.operator.body();
    let id = args.id.unwrap_or_else(Uuid::new_v4);
    body["id"] = json!(id);
    limits.iter().for_each(|(name, value)| body[*name] = value.clone());
    let path = format!("/api/guards/{}/{action}", encoded(&args.participant));
    let answer = args.server.open()?.post(&path, &body).await?;
    let status = answer["status"].as_str().unwrap_or_default();
    output::line(&operator::line(action, &args.participant, &format!("{status} (act {id})")))?;
    if operator::is_only_accepted(&answer) {
        output::note(&format!("hint: the same command with --id {id} asks for the result, and does nothing twice"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn reload(args: GuardReloadArgs) -> anyhow::Result<ExitCode> {
    let answer = args.server.open()?.post("/api/participants/reload", &json!({"who": null})).await?;
    output::line(&format!("participants.yaml: {}", answer["status"].as_str().unwrap_or_default()))?;
    Ok(ExitCode::SUCCESS)
}

fn items(answer: &Value, key: &str) -> Vec<Value> {
    answer[key].as_array().cloned().unwrap_or_default()
}
