//! `dlq job …`: jobs that bring dead letters back.

use crate::{
    cli::{
        OutputFormat, output,
        server::{ApiClient, ServerArgs, ServerOutputArgs, encoded},
    },
    shell::quoted,
    visible,
};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};
use uuid::Uuid;

/// Between two questions how a job goes on.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Subcommands of `saga dlq job`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LetterJobCommand {
    /// List the latest jobs of all engines, newest first
    List(ServerOutputArgs),
    /// Show the job and its letters
    Show(LetterJobArgs),
    /// Pause the job before its next letter
    Pause(LetterJobArgs),
    /// Go on: after a pause, a failure, or a crash of its engine. What was brought back is not brought again
    Resume(ResumeJobArgs),
    /// End the job before its next letter
    Stop(LetterJobArgs),
}

/// Arguments of an act on a job.
#[derive(Debug, Args)]
pub(in crate::cli) struct LetterJobArgs {
    /// Id of the job; `saga dlq redrive` printed it, and `saga dlq job list` shows it
    #[arg(value_parser = job_id)]
    job: Uuid,
    /// Format of the results
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn job_id(text: &str) -> Result<Uuid, String> {
    let example = "01890a5d-ac96-774b-bcce-b302099a8057";
    text.parse()
        .map_err(|_| format!("`{text}` is no id of a job: write a UUID like {example}; `saga dlq job list` has them"))
}

/// Arguments of `saga dlq job resume`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResumeJobArgs {
    #[command(flatten)]
    job: LetterJobArgs,
    /// Pass over letters that fail
    #[arg(long)]
    keep_going: bool,
}

pub(super) async fn run(command: LetterJobCommand) -> anyhow::Result<ExitCode> {
    match command {
        LetterJobCommand::List(args) => list(&args).await,
        LetterJobCommand::Show(LetterJobArgs { job, output, server }) => {
            follow(&server.open()?, job, output, &server).await
        }
        LetterJobCommand::Pause(args) => ask(&args, "pause").await,
        LetterJobCommand::Stop(args) => ask(&args, "stop").await,
        LetterJobCommand::Resume(ResumeJobArgs { job: LetterJobArgs { job, output, server }, keep_going }) => {
            let api = server.open()?;
            api.post(&format!("{}/resume", path(job)), &json!({"keepGoing": keep_going, "who": null})).await?;
            follow(&api, job, output, &server).await
        }
    }
}

async fn list(args: &ServerOutputArgs) -> anyhow::Result<ExitCode> {
    let answer = args.server.open()?.get("/api/dead-letters/jobs").await?;
    let jobs = answer["jobs"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    output::many(jobs, args.output, table)?;
    Ok(ExitCode::SUCCESS)
}

fn table(jobs: &[Value]) -> String {
    let row = |job: &Value| {
        let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
        let dry = if job["dryRun"] == true { "dry run: " } else { "" };
        let result = [counted(job), text("failure")].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>();
        let what = format!("{dry}{}", text("targets"));
        [text("startedAt"), text("id"), text("status"), what, result.join("; "), text("who"), text("reason")]
    };
    output::table(["started", "job", "status", "letters", "result", "who", "why"], jobs.iter().map(row))
}

/// Asks the engine to pause or stop a job.
async fn ask(args: &LetterJobArgs, act: &str) -> anyhow::Result<ExitCode> {
    let answer = args.server.open()?.post(&format!("{}/{act}", path(args.job)), &json!({"who": null})).await?;
    let job = &answer["job"];
    output::note(&match job["endedAt"].as_str() {
        Some(at) => format!("nothing to {act}: the job ended at {at}: {}", ended_as(job)),
        None => format!("the job ends its letter under way; `saga dlq job show {}` shows it", args.job),
    });
    Ok(ExitCode::SUCCESS)
}

fn path(job: Uuid) -> String {
    format!("/api/dead-letters/jobs/{}", encoded(&job.to_string()))
}

/// Prints what becomes of each letter until the job ends or pauses.
pub(super) async fn follow(
    server: &ApiClient,
    job: Uuid,
    format: OutputFormat,
    again: &ServerArgs,
) -> anyhow::Result<ExitCode> {
    let mut after = 0;
    loop {
        let answer = server.get(&format!("{}?after={after}", path(job))).await;
        let answer = answer.with_context(|| {
            format!(
                "the engine of job {job} does not answer any more: `saga dlq job resume {job}` goes on with it, on any \
                 engine, and brings nothing back twice"
            )
        })?;
        let items = answer["items"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        for item in items {
            output::next(item, format, line)?;
        }
        after = answer["next"].as_u64().unwrap_or_default();
        let status = answer["job"]["status"].as_str().unwrap_or_default();
        if status != "running" && items.is_empty() {
            return Ok(ended(job, &answer["job"], again));
        }
        if items.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

fn line(item: &Value) -> String {
    let text = |name: &str| item[name].as_str().unwrap_or_default();
    let parts = [text("place"), text("result"), text("saga"), text("message"), text("letter")];
    let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    visible::in_line(&said.join("  ")).into_owned()
}

/// How many letters had each result.
fn counted(job: &Value) -> String {
    let counts = job["counts"].as_object().into_iter().flatten();
    counts.map(|(result, letters)| format!("{letters} {result}")).collect::<Vec<_>>().join(", ")
}

/// How a job stands or ended, in a line.
fn ended_as(job: &Value) -> String {
    let said = match job["status"].as_str().unwrap_or_default() {
        "done" => "done",
        "paused" => "paused",
        "stoppedAtFailure" => "stopped at a letter that failed",
        "cancelled" => "stopped",
        "noEnd" => "no end is on record: another engine runs it, or its engine has stopped",
        _ => "failed",
    };
    let would = if job["dryRun"] == true { "would be: " } else { "" };
    format!("{said}; {} letters: {would}{}", job["lookedAt"], counted(job))
}

fn ended(id: Uuid, job: &Value, again: &ServerArgs) -> ExitCode {
    let status = job["status"].as_str().unwrap_or_default();
    output::note(&ended_as(job));
    if let Some(failure) = job["failure"].as_str() {
        output::note(failure);
    }
    if status != "done" && job["dryRun"] != true {
        let (option, value) = again.again();
        let passing = if status == "stoppedAtFailure" { " --keep-going" } else { "" };
        let told = if passing.is_empty() { "" } else { ", and passes over letters that fail" };
        output::note(&format!("hint: saga dlq job resume {id}{passing} {option} {} goes on{told}", quoted(&value)));
    }
    let is_good = |(result, _): (&String, &Value)| {
        matches!(result.as_str(), "started" | "answered" | "duplicate" | "accepted" | "before")
    };
    let all_good = job["counts"].as_object().into_iter().flatten().all(is_good);
    if all_good && matches!(status, "done" | "paused") { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
