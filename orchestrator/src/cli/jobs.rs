//! `jobs …`: acts on many sagas, as engines have recorded them.

use super::{
    OutputFormat,
    act::results,
    output,
    server::{NEWER_ENGINE, ServerArgs, ServerOutputArgs, encoded},
};
use anyhow::Context;
use clap::{Args, Subcommand};
use saga_core::event::OperatorAction;
use serde_json::Value;
use std::{collections::HashSet, process::ExitCode};

/// Subcommands of `saga jobs`.
#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// List the recorded jobs of all engines, newest first
    List(ServerOutputArgs),
    /// Show the result of a job for each saga, from the engine that runs or ran the job
    Show(JobArgs),
    /// Stop a job; acts that are done stay done
    Stop(JobArgs),
}

#[derive(Debug, Args)]
pub(super) struct JobArgs {
    /// Id of the job; the command that started the job printed it
    job: String,
    #[command(flatten)]
    server: ServerArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(command: JobsCommand) -> anyhow::Result<ExitCode> {
    match command {
        JobsCommand::List(args) => list(&args).await,
        JobsCommand::Show(args) => show(&args).await,
        JobsCommand::Stop(args) => stop(&args).await,
    }
}

async fn list(args: &ServerOutputArgs) -> anyhow::Result<ExitCode> {
    let answer = args.server.open()?.get("/api/jobs").await?;
    output::many(&latest(&answer), args.output, table)?;
    Ok(ExitCode::SUCCESS)
}

/// Each job once: from the memory of the engine that answers, else from the last record.
fn latest(answer: &Value) -> Vec<Value> {
    let here = answer["jobs"].as_array().into_iter().flatten();
    let record = answer["record"].as_array().into_iter().flatten().map(|line| &line["job"]);
    let mut seen = HashSet::new();
    let mut jobs: Vec<Value> = here.chain(record).filter(|job| seen.insert(id(job))).cloned().collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(word(job, "startedAt")));
    jobs
}

async fn show(args: &JobArgs) -> anyhow::Result<ExitCode> {
    let server = args.server.open()?;
    let mut after = 0;
    loop {
        let answer = server.get(&format!("{}?after={after}", path(args))).await?;
        let action = action(&answer["job"])?;
        let items = answer["items"].as_array().map_or(&[] as &[Value], Vec::as_slice);
        for item in items {
            output::next(item, args.output, |item| results::item(action, item))?;
        }
        after = answer["next"].as_u64().unwrap_or_default();
        if items.is_empty() || answer["job"]["status"] != "running" {
            output::note(&results::summary(action, &answer["job"]));
            return Ok(ExitCode::SUCCESS);
        }
    }
}

async fn stop(args: &JobArgs) -> anyhow::Result<ExitCode> {
    let server = args.server.open()?;
    server.delete(&path(args)).await?;
    let answer = server.get(&path(args)).await?;
    let action = action(&answer["job"])?;
    output::one(&answer["job"], args.output, |job| results::summary(action, job))?;
    Ok(ExitCode::SUCCESS)
}

fn path(args: &JobArgs) -> String {
    format!("/api/jobs/{}", encoded(&args.job))
}

/// The act of a job.
fn action(job: &Value) -> anyhow::Result<OperatorAction> {
    serde_json::from_value(job["action"].clone()).context(NEWER_ENGINE)
}

fn id(job: &Value) -> String {
    word(job, "id")
}

fn word(job: &Value, key: &str) -> String {
    job[key].as_str().unwrap_or_default().to_owned()
}

fn table(jobs: &[Value]) -> String {
    let row = |job: &Value| {
        let counts = results::counts(job);
        let what = [word(job, "action"), word(job, "targets")].join(" ");
        [word(job, "startedAt"), id(job), word(job, "status"), what, counts, word(job, "who"), word(job, "reason")]
    };
    output::table(["started", "job", "status", "act", "result", "who", "why"], jobs.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_is_listed_once_as_it_is_known_last() {
        let job = |id: &str, at: &str, status: &str| json!({"id": id, "startedAt": at, "status": status});
        let record = |job: Value| json!({"number": 1, "at": "x", "job": job});
        let answer = json!({
            "jobs": [job("a", "2026-11-29T08:00:00.000Z", "running")],
            "record": [
                record(job("b", "2026-11-29T09:00:00.000Z", "done")),
                record(job("b", "2026-11-29T09:00:00.000Z", "running")),
                record(job("a", "2026-11-29T08:00:00.000Z", "running")),
            ],
        });
        let told: Vec<_> = latest(&answer).iter().map(|job| (id(job), word(job, "status"))).collect();
        assert_eq!(told, [("b".to_owned(), "done".to_owned()), ("a".to_owned(), "running".to_owned())]);
    }
}
