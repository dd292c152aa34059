//! `audit`: operators' acts, from journals and the log of acts on guards.

use super::{OutputFormat, output, replay::ReplayMeter, selection::StartedSince, store::StoreReadArgs};
use anyhow::Context;
use clap::Args;
use saga_engine::replay::audit::{self, AuditEntry, AuditRequest, AuditTarget};
use std::process::ExitCode;

/// Arguments of `saga audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Only acts at this time or later: a time (RFC 3339), or how long ago, like 7d
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Only acts of this operator
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only acts on the sagas with this id or business key, or on the participant with this name
    #[arg(long, value_name = "ID|KEY|PARTICIPANT")]
    on: Option<String>,
    /// Most acts, the newest first
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn audit(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open().await?;
    let wanted = AuditRequest {
        since: args.since.map(|since| since.0),
        who: args.who,
        on: args.on,
        limit: usize::try_from(args.limit)?,
    };
    let meter = ReplayMeter::new("read");
    let report = audit::audit(store, &wanted, |progress| meter.show(progress)).await;
    meter.end();
    let report = report.context("the event store was not read to its end")?;
    output::many(&report.entries, args.output, table)?;
    let left_out = report.found.saturating_sub(report.entries.len() as u64);
    if left_out > 0 {
        output::note(&format!("{left_out} older acts are not shown; --limit shows more"));
    }
    for reason in &report.unreadable {
        output::note(&format!("acts may be missing: {reason}"));
    }
    Ok(ExitCode::from(u8::from(!report.unreadable.is_empty())))
}

fn table(entries: &[AuditEntry]) -> String {
    let row = |entry: &AuditEntry| {
        let on = match &entry.on {
            AuditTarget::Saga { key, .. } => key.clone(),
            AuditTarget::Participant { name } => name.clone(),
        };
        [entry.at.clone(), entry.who.clone(), entry.action.clone(), on, entry.reason.clone(), entry.id.clone()]
    };
    output::table(["time", "who", "what", "on", "why", "act"], entries.iter().map(row))
}
