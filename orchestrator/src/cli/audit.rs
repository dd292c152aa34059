//! `audit`: what operators did to sagas, guards and definitions, and what deployments and reloads changed.

use super::{OutputFormat, output, selection::StartedSince, store::StoreReadArgs};
use anyhow::{Context, bail};
use clap::Args;
use saga_engine::{
    journal::PlanCache,
    naming,
    replay::audit::{self, AuditChain, AuditChainCheck, AuditEntry, AuditPlace, AuditRequest},
};
use saga_event_store::EventStore;
use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// Acts that an export reads at once.
const EXPORT_PAGE: usize = 1_000;

/// Arguments of `saga audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Only acts at this time or later: a time (RFC 3339), or how long ago, like 7d
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<StartedSince>,
    /// Only acts before this time: a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME|DURATION")]
    until: Option<StartedSince>,
    /// Only acts with this text or beginning: retry, "guard open", "redrive dead letter"
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,
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
    /// Write all acts that fit, whatever --limit says, to this file, as lines of JSON that are chained by their hashes
    #[arg(long, value_name = "FILE", conflicts_with = "verify")]
    export: Option<PathBuf>,
    /// Check an export: whether a line was changed, removed, added or moved. Asks no store
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn audit(args: AuditArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.verify {
        return verified(file);
    }
    let store = args.store.open().await?;
    let wanted = AuditRequest {
        since: args.since.map(|since| since.0),
        until: args.until.map(|until| until.0),
        action: args.action,
        who: args.who,
        on: args.on,
        after: args.after,
        limit: usize::try_from(args.limit)?,
    };
    if let Some(file) = &args.export {
        return exported(store, AuditRequest { limit: EXPORT_PAGE, ..wanted }, file).await;
    }
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

/// Writes page after page, and only then gives the file its name: what is there under it is whole.
async fn exported(store: Arc<dyn EventStore>, wanted: AuditRequest, file: &Path) -> anyhow::Result<ExitCode> {
    let unfinished = file.with_added_extension("unfinished");
    let made = File::create(&unfinished).with_context(|| format!("{} cannot be written", unfinished.display()))?;
    let (mut out, mut chain, mut page) = (BufWriter::new(made), AuditChain::default(), wanted);
    let mut acts = 0;
    let unreadable = loop {
        let report = audit::audit(Arc::clone(&store), &page).await.context("the event store did not answer")?;
        for entry in &report.entries {
            out.write_all(chain.line(entry).as_bytes())?;
        }
        acts += report.entries.len();
        let Some(next) = report.next else { break report.unreadable };
        page.after = Some(next);
    };
    out.write_all(chain.end(None).as_bytes())?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&unfinished, file).with_context(|| format!("{} cannot be written", file.display()))?;
    output::line(chain.hash())?;
    output::note(&format!(
        "{acts} acts are in {}; keep the hash of its last line, which is printed, in another place",
        file.display()
    ));
    for record in &unreadable {
        output::note(&format!("{record} cannot be read: acts may be missing"));
    }
    Ok(ExitCode::from(u8::from(!unreadable.is_empty())))
}

fn verified(file: &Path) -> anyhow::Result<ExitCode> {
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut check = AuditChainCheck::default();
    for line in BufReader::new(opened).lines() {
        let line = line.with_context(|| format!("{} cannot be read", file.display()))?;
        check.line(&line).with_context(|| format!("{} is not as it was written", file.display()))?;
    }
    let (acts, hash, older) = check.finish().with_context(|| format!("{} is not as it was written", file.display()))?;
    output::line(&hash)?;
    output::note(&format!(
        "{acts} acts, and the chain is whole; compare the hash with the one that the export printed"
    ));
    if let Some(place) = older {
        output::note(&format!("the file is one page: there are older acts from {place} on, which are not in it"));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(entries: &[AuditEntry]) -> String {
    let row = |entry: &AuditEntry| {
        let on = entry.on.name().to_owned();
        let (change, from) = (entry.change_told(), entry.origin_told());
        let (at, who, action) = (entry.at.clone(), entry.who.clone(), entry.action.clone());
        [at, who, action, on, change, entry.reason.clone(), from, entry.id.clone()]
    };
    output::table(["time", "who", "what", "on", "change", "why", "from", "act"], entries.iter().map(row))
}
