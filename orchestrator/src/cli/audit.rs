//! `audit`: what operators did to sagas, guards and definitions, and what deployments and reloads changed.

use super::{OutputFormat, output, selection::StartedSince, store::StoreReadArgs};
use anyhow::{Context, bail};
use clap::Args;
use saga_engine::{
    journal::PlanCache,
    naming,
    replay::audit::{self, AuditEntry, AuditPlace, AuditRequest},
};
use std::{process::ExitCode, sync::Arc};

/// Arguments of `saga audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Only acts at this time or later: a time (RFC 3339), or how long ago, like 7d
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Only acts of this operator, or of the engine with this name
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only acts on the sagas with this id or business key, on the participant with this name, on the definition with
    /// this name or hash, or on participants.yaml
    #[arg(long, value_name = "ID|KEY|PARTICIPANT|DEFINITION")]
    on: Option<String>,
    /// Most acts, the newest first
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=9_999))]
    limit: u32,
    /// Go on after this place, which the command before printed
    #[arg(long, value_name = "PLACE")]
    after: Option<AuditPlace>,
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
        after: args.after,
        limit: usize::try_from(args.limit)?,
    };
    let report = audit::audit(Arc::clone(&store), &wanted).await.context("the event store did not answer")?;
    if let (Some(on), None, []) = (&wanted.on, &wanted.after, report.entries.as_slice())
        && let Some(unknown) = naming::unknown_target(store.as_ref(), &PlanCache::default(), on).await?
    {
        bail!(
            "{unknown}\nhint: --on takes an id or a key of a saga, a participant, a definition, or participants.yaml"
        );
    }
    output::many(&report.entries, args.output, table)?;
    if let Some(next) = &report.next {
        output::note(&format!("there are older acts; --after {next} shows them"));
    }
    for record in &report.unreadable {
        output::note(&format!("{record} cannot be read: acts may be missing"));
    }
    Ok(ExitCode::from(u8::from(!report.unreadable.is_empty())))
}

fn table(entries: &[AuditEntry]) -> String {
    let row = |entry: &AuditEntry| {
        let on = entry.on.name().to_owned();
        [entry.at.clone(), entry.who.clone(), entry.action.clone(), on, entry.reason.clone(), entry.id.clone()]
    };
    output::table(["time", "who", "what", "on", "why", "act"], entries.iter().map(row))
}
