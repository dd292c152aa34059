//! `retry`, `skip`, `cancel`, `abandon`: ask the API, which brings the act to the saga's owner.

use super::{ConfigFile, output};
use crate::config::{self, Sources};
use anyhow::{Context, bail};
use clap::Args;
use reqwest::StatusCode;
use saga_core::event::OperatorAction;
use serde_json::{Value, json};
use std::{
    net::{IpAddr, Ipv4Addr},
    process::ExitCode,
    time::Duration,
};

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
    /// Which definition, where several have sagas with this key
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    /// Address of an engine's API, instead of the configuration's api.listen
    #[arg(long, env = "SAGA_SERVER", value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

impl ActArgs {
    fn server(&self) -> anyhow::Result<String> {
        if let Some(server) = &self.server {
            return Ok(server.trim_end_matches('/').to_owned());
        }
        let mut address = config::load(&Sources::of_process(self.file.config.as_deref(), Vec::new()))?.listen;
        // Who listens everywhere is also here.
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        Ok(format!("http://{address}"))
    }

    fn url(&self, server: &str, word: &str) -> String {
        let encoded =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let url = format!("{server}/api/sagas/{}/{word}", encoded(&self.name));
        match &self.saga {
            Some(saga) => format!("{url}?saga={}", encoded(saga)),
            None => url,
        }
    }
}

pub(super) async fn act(args: ActArgs, action: OperatorAction) -> anyhow::Result<ExitCode> {
    let word = serde_json::to_value(action)?.as_str().unwrap_or_default().to_owned();
    let server = args.server()?;
    let url = args.url(&server, &word);
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
