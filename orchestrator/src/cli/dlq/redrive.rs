//! `dlq redrive` and `dlq job`: records of dead letters are brought back by a job on an engine.

use super::{acts::place, source::LetterFilterArgs, table::TableFilterArgs};
use crate::{
    cli::{
        OutputFormat,
        operator::OperatorArgs,
        output,
        server::{ApiClient, ServerArgs, encoded},
    },
    dead_letters::LetterName,
    shell::quoted,
    visible,
};
use anyhow::bail;
use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};
use uuid::Uuid;

/// Between two questions how a job goes on.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Arguments of `saga dlq redrive`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RedriveLettersArgs {
    /// The dead letters: their places in the DLQ topic, or their ids; without any, options choose them
    #[arg(value_name = "PARTITION/OFFSET|ID")]
    letters: Vec<LetterName>,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten, next_help_heading = "Choose letters (without places and ids)")]
    filter: LetterFilterArgs,
    #[command(flatten, next_help_heading = "Choose letters (without places and ids)")]
    table: TableFilterArgs,
    /// Only letters of this topic of dead letters [default: all]
    #[arg(
        long,
        value_name = "TOPIC",
        value_parser = NonEmptyStringValueParser::new(),
        help_heading = "Choose letters (without places and ids)"
    )]
    dlq: Option<String>,
    /// Bring nothing back; only tell what would become of each
    #[arg(long)]
    dry_run: bool,
    /// Pause after so many letters, until `saga dlq job resume`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// Go on after a letter that fails; without it the job ends there
    #[arg(long)]
    keep_going: bool,
    /// The most letters that the job comes to
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Letters per second, 1 to 500 [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pace: Option<u32>,
    /// Also letters that were redriven or discarded before
    #[arg(long)]
    again: bool,
    /// To every definition that reads the topic, and not only to the one that could not process the record
    #[arg(long, conflicts_with = "definition")]
    everybody: bool,
    /// By the text of the definition with this hash, or its beginning [default: the text in force]
    #[arg(long, value_name = "HASH")]
    definition: Option<String>,
    /// Id of the job. A repeat with the same id brings nothing back twice [default: a random id, which is printed]
    #[arg(long, value_name = "ID")]
    job: Option<Uuid>,
    /// Format of the results
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

/// What to do with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum JobAct {
    /// Show the job and its letters
    Show,
    /// Pause it before its next letter
    Pause,
    /// Go on: after a pause, a failure, or a crash of its engine. What was brought back is not brought again
    Resume,
    /// End it before its next letter
    Stop,
}

/// Arguments of `saga dlq job`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LetterJobArgs {
    /// What to do
    act: JobAct,
    /// Id of the job; `saga dlq redrive` printed it
    job: Uuid,
    /// With `resume`: pass over letters that fail
    #[arg(long)]
    keep_going: bool,
    /// Format of the results
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn redrive(args: RedriveLettersArgs) -> anyhow::Result<ExitCode> {
    let server = args.server.open()?;
    let id = args.job.unwrap_or_else(Uuid::new_v4);
    let body = body(&server, &args, id).await?;
    server.post("/api/dead-letters/jobs", &body).await?;
    if !args.dry_run {
        output::note(&format!("job {id}"));
    }
    follow(&server, id, args.output, &args.server).await
}

async fn body(server: &ApiClient, args: &RedriveLettersArgs, id: Uuid) -> anyhow::Result<Value> {
    let mut body = args.operator.body();
    body["id"] = json!(id);
    let mut filter = args.table.body(&args.filter);
    if let Some(topic) = &args.dlq {
        filter.insert("dlq".to_owned(), json!(topic));
    }
    match (args.letters.is_empty(), filter.is_empty()) {
        (true, true) => {
            bail!("no letter is named\nhint: name places or ids, or choose letters: `--status open --code when`")
        }
        (false, false) => bail!("name letters, or choose them by options, not both"),
        (true, false) => body["filter"] = Value::Object(filter),
        (false, true) => {
            let mut places = Vec::new();
            for name in &args.letters {
                places.push(place(server, name).await?);
            }
            body["letters"] = json!(places);
        }
    }
    for (name, said) in
        [("dryRun", args.dry_run), ("keepGoing", args.keep_going), ("again", args.again), ("everybody", args.everybody)]
    {
        body[name] = json!(said);
    }
    for (name, said) in [("canary", args.canary), ("limit", args.limit), ("pace", args.pace)] {
        if let Some(number) = said {
            body[name] = json!(number);
        }
    }
    if let Some(hash) = &args.definition {
        body["definition"] = json!(hash);
    }
    Ok(body)
}

pub(super) async fn job(args: LetterJobArgs) -> anyhow::Result<ExitCode> {
    let server = args.server.open()?;
    let path = path(args.job);
    match args.act {
        JobAct::Show => return follow(&server, args.job, args.output, &args.server).await,
        JobAct::Resume => {
            server.post(&format!("{path}/resume"), &json!({"keepGoing": args.keep_going})).await?;
            return follow(&server, args.job, args.output, &args.server).await;
        }
        JobAct::Pause => server.post(&format!("{path}/pause"), &json!({})).await?,
        JobAct::Stop => server.post(&format!("{path}/stop"), &json!({})).await?,
    };
    output::note(&format!("the job ends its letter under way; `saga dlq job show {}` shows it", args.job));
    Ok(ExitCode::SUCCESS)
}

fn path(job: Uuid) -> String {
    format!("/api/dead-letters/jobs/{}", encoded(&job.to_string()))
}

/// Prints what becomes of each letter until the job ends or pauses.
async fn follow(server: &ApiClient, job: Uuid, format: OutputFormat, again: &ServerArgs) -> anyhow::Result<ExitCode> {
    let mut after = 0;
    loop {
        let answer = server.get(&format!("{}?after={after}", path(job))).await?;
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

fn ended(id: Uuid, job: &Value, again: &ServerArgs) -> ExitCode {
    let counts = job["counts"].as_object();
    let counted: Vec<String> =
        counts.into_iter().flatten().map(|(result, letters)| format!("{letters} {result}")).collect();
    let status = job["status"].as_str().unwrap_or_default();
    let said = match status {
        "done" => "done",
        "paused" => "paused",
        "stoppedAtFailure" => "stopped at a letter that failed",
        "cancelled" => "stopped",
        _ => "failed",
    };
    let would = if job["dryRun"] == true { "would be: " } else { "" };
    output::note(&format!("{said}; {} letters: {would}{}", job["lookedAt"], counted.join(", ")));
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
    let all_good = counts.into_iter().flatten().all(is_good);
    if all_good && matches!(status, "done" | "paused") { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
