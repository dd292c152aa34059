//! `retry`, `skip`, `cancel`, `abandon`: ask the API, which brings the act to the saga's owner.

use super::{
    output,
    server::{ServerArgs, encoded},
};
use clap::Args;
use saga_core::event::OperatorAction;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct ActArgs {
    /// The saga's id, or its business key
    #[arg(value_name = "ID|KEY")]
    name: String,
    /// Why; goes into the saga's journal
    #[arg(long)]
    reason: String,
    /// Who; goes into the saga's journal
    #[arg(long, env = "USER")]
    who: String,
    /// Which definition, where several have sagas with this key
    #[arg(long, value_name = "NAME")]
    saga: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

impl ActArgs {
    fn path(&self, word: &str) -> String {
        let path = format!("/api/sagas/{}/{word}", encoded(&self.name));
        match &self.saga {
            Some(saga) => format!("{path}?saga={}", encoded(saga)),
            None => path,
        }
    }
}

pub(super) async fn act(args: ActArgs, action: OperatorAction) -> anyhow::Result<ExitCode> {
    let word = serde_json::to_value(action)?.as_str().unwrap_or_default().to_owned();
    let server = args.server.open()?;
    let answer = server.post(&args.path(&word), &json!({"who": args.who, "reason": args.reason})).await?;
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    output::line(&format!("{word} {}: {}", text("saga"), text("status")))?;
    Ok(ExitCode::SUCCESS)
}
