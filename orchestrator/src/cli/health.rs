//! `saga health`: for probes that start a process.

use super::{ConfigFileArgs, output, server};
use anyhow::Context;
use clap::Args;
use reqwest::Client;
use saga_base::secrets::address_shown;
use std::{process::ExitCode, time::Duration};

/// Maximum time for an answer: probes ask every few seconds.
const WITHIN: Duration = Duration::from_secs(3);

/// Options of `saga health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Only ask whether the engine lives, not whether it takes work
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    file: ConfigFileArgs,
}

/// Exit code 0 if the engine of the configuration, on this machine, is ready, or lives.
pub(super) async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let address = server::own_address(&args.file)?;
    let path = if args.live { "/health/live" } else { "/health/ready" };
    saga_resilience::transport::install_tls();
    // Its certificate names the engine as others reach it, not this machine. Nothing secret is sent.
    let client = Client::builder().no_proxy().timeout(WITHIN).tls_danger_accept_invalid_certs(true).build()?;
    let asked = client.get(format!("{address}{path}")).send().await;
    let answer = asked.with_context(|| format!("no engine answers at {}", address_shown(&address)))?;
    let is_well = answer.status().is_success();
    output::line(answer.text().await.unwrap_or_default().trim_end())?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
