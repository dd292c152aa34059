//! `dlq review`, `discard`, `reopen`, `purge`: what people decide about letters, through the API of an engine.

use crate::{
    cli::{
        operator::OperatorArgs,
        output,
        server::{ApiClient, ServerArgs, encoded},
    },
    dead_letters::{LetterAddress, LetterName},
    visible,
};
use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};
use std::{
    io::{IsTerminal as _, Write as _, stdin, stdout},
    process::ExitCode,
};

/// Arguments of an act on named letters.
#[derive(Debug, Args)]
pub(in crate::cli) struct LetterActArgs {
    /// The dead letters: their places in the DLQ topic, or their ids
    #[arg(value_name = "PARTITION/OFFSET|ID", required = true)]
    letters: Vec<LetterName>,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `saga dlq purge`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PurgeLettersArgs {
    /// Rows of letters that were redriven or discarded before: a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME|DURATION", default_value = "30d", allow_hyphen_values = true)]
    ended_before: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn act(args: LetterActArgs, action: &str) -> anyhow::Result<ExitCode> {
    let server = args.server.open()?;
    let mut refused = 0_u32;
    for name in &args.letters {
        if let Err(error) = one(&server, name, action, &args.operator).await {
            refused += 1;
            output::note(&format!("{action} {name}: {error:#}"));
        }
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn one(server: &ApiClient, name: &LetterName, action: &str, operator: &OperatorArgs) -> anyhow::Result<()> {
    let place = place(server, name).await?;
    let answer = server.post(&format!("/api/dead-letters/{place}/{action}"), &operator.body()).await?;
    let status = answer["letter"]["status"].as_str().unwrap_or("?");
    output::line(&visible::in_line(&format!("{action} {place}: {status}")))
}

/// The place of a letter that a person names. Of several with one id the newest is meant.
pub(super) async fn place(server: &ApiClient, name: &LetterName) -> anyhow::Result<String> {
    let id = match name {
        LetterName::Place(place) => return Ok(place.to_string()),
        LetterName::Id(id) => id,
    };
    let answer = server.get(&format!("/api/dead-letters?limit=1&id={}", encoded(id))).await?;
    match answer["letters"][0]["place"].as_str() {
        Some(place) => Ok(place.to_owned()),
        // A place in another topic than the usual one looks like an id.
        None if id.parse::<LetterAddress>().is_ok() && server.get(&format!("/api/dead-letters/{id}")).await.is_ok() => {
            Ok(id.clone())
        }
        None => bail!("the table has no dead letter {id}\nhint: `saga dlq list` shows those that are in the topic"),
    }
}

pub(super) async fn purge(args: PurgeLettersArgs) -> anyhow::Result<ExitCode> {
    if !args.yes && !is_confirmed(&args.ended_before)? {
        output::note("nothing has changed");
        return Ok(ExitCode::from(1));
    }
    let mut body = args.operator.body();
    body["endedBefore"] = json!(args.ended_before);
    let answer: Value = args.server.open()?.post("/api/dead-letters/purge", &body).await?;
    output::line(&format!("{} rows of dead letters removed; their records stay in the topic", answer["removed"]))?;
    Ok(ExitCode::SUCCESS)
}

fn is_confirmed(before: &str) -> anyhow::Result<bool> {
    if !stdin().is_terminal() {
        bail!("purge removes rows for good and asks before it does; where nobody can answer, write --yes");
    }
    let mut out = stdout().lock();
    write!(out, "Remove the rows of all dead letters that were redriven or discarded before {before}? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
