//! `dlq redrive`: records of dead letters are brought back by a job on an engine.

use super::{
    acts::place,
    job::{follow, job_id},
    source::LetterFilterArgs,
    table::TableFilterArgs,
};
use crate::{
    cli::{
        OutputFormat,
        operator::OperatorArgs,
        output,
        server::{ApiClient, ServerArgs},
    },
    dead_letters::LetterName,
};
use anyhow::bail;
use clap::{Args, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

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
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// Go on after a letter that fails; without it the job ends there
    #[arg(long)]
    keep_going: bool,
    /// The most letters that the job comes to
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Letters per second, 1 to 500 [default: 20]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=500))]
    pace: Option<u32>,
    /// Also letters that were redriven or discarded before
    #[arg(long)]
    again: bool,
    /// To every definition that reads the topic, and not only to the one that could not process the record
    #[arg(long, conflicts_with = "definition")]
    everybody: bool,
    /// By the text of the definition with this hash, or its beginning [default: the text in force]
    #[arg(long, value_name = "HASH", value_parser = hash)]
    definition: Option<String>,
    /// Id of the job. A repeat with the same id brings nothing back twice [default: a random id, which is printed]
    #[arg(long, value_name = "ID", value_parser = job_id)]
    job: Option<Uuid>,
    /// Format of the results
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    #[command(flatten)]
    server: ServerArgs,
}

/// The hash of a text, or its beginning. Which text it is the engine knows.
fn hash(text: &str) -> Result<String, String> {
    let is_hash = (6..=64).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let said =
        || format!("`{text}` is no hash: write 6 to 64 digits of one that `saga definitions list` shows, or current");
    (is_hash || text == "current").then(|| text.to_owned()).ok_or_else(said)
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
    let mut filter = args.table.body(&args.filter)?;
    if let Some(topic) = &args.dlq {
        filter.insert("dlq".to_owned(), json!(topic));
    }
    match (args.letters.is_empty(), filter.is_empty()) {
        (true, true) => {
            bail!("no letter is named\nhint: name places or ids, or choose letters: `--status open --code when`")
        }
        (false, false) => {
            let options: Vec<String> = filter.keys().map(|name| format!("--{name}")).collect();
            bail!("letters are named and chosen by {} at the same time: leave out one of both", options.join(" "))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hash_and_no_job_says_what_to_write_instead() {
        for good in ["current", "5f2c81", &"a".repeat(64)] {
            assert_eq!(hash(good).as_deref(), Ok(good));
        }
        for bad in ["", "zz", "5f2c8", "5f2c8g", &"a".repeat(65)] {
            assert!(hash(bad).is_err_and(|said| said.contains("write 6 to 64 digits")), "{bad}");
        }
        assert!(job_id("123").is_err_and(|said| said.contains("`saga dlq job list` has them")));
    }
}
