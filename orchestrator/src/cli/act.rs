//! `retry`, `skip`, `cancel`, `abandon`: ask the API, which brings the act to the saga's owner.

use super::output;
use anyhow::{Context, bail};
use clap::Args;
use reqwest::StatusCode;
use saga_core::event::OperatorAction;
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};

/// Longer than the API waits for the disposition.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct ActArgs {
    /// The saga's id, or its business key
    #[arg(value_name = "ID|KEY")]
    name: String,
    /// Why; goes into the saga's journal
    #[arg(long)]
    reason: String,
    /// Who; goes into the saga's journal
    #[arg(long, env = "USER", default_value = "unknown")]
    who: String,
    /// Address of an engine's API
    #[arg(long, env = "SAGA_SERVER", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    server: String,
}

pub(super) async fn act(args: ActArgs, action: OperatorAction) -> anyhow::Result<ExitCode> {
    let word = serde_json::to_value(action)?.as_str().unwrap_or_default().to_owned();
    let server = args.server.trim_end_matches('/');
    let name = percent_encoding::utf8_percent_encode(&args.name, percent_encoding::NON_ALPHANUMERIC);
    let url = format!("{server}/api/sagas/{name}/{word}");
    crate::participants::install_tls();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let body = serde_json::to_vec(&json!({"who": args.who, "reason": args.reason}))?;
    let request = client.post(&url).header("content-type", "application/json").body(body);
    let response =
        request.send().await.with_context(|| format!("no engine answers at {server}\nhint: --server names one"))?;
    let status = response.status();
    let answer: Value = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
    told(status, &answer, &word)
}

fn told(status: StatusCode, answer: &Value, word: &str) -> anyhow::Result<ExitCode> {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    match status {
        StatusCode::OK | StatusCode::ACCEPTED => {
            output::line(&format!("{word} {}: {}", text("/saga"), text("/status")))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("{}\nhint: {}", text("/error/message"), text("/error/hint")),
    }
}
