//! `archive …`: sagas that have left the event store.

mod reading;

pub(super) use reading::{ArchiveSourceArgs, CutArchive, archived, note_earlier};

use super::{
    ConfigFileArgs, OutputFormat, output, recorded,
    store::{StoreReadArgs, open_to_write},
};
use crate::{
    config::{self, ConfigSources},
    source_files::lookup,
    startup::{DefinitionFiles, load_files},
};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use saga_base::clock::EngineClock;
use saga_core::time::{Timestamp, from_rfc3339, rfc3339};
use saga_engine::{
    act_log::ActedPart,
    archiving::{ArchivePass, ArchivePassReport, ArchivedPeriod, left, retention_of},
    journal::PlanCache,
};
use saga_event_store::{
    ArchiveRecord, MAX_PAGE, StartPeriod,
    archive::{ArchiveFile, ArchivedStream},
};
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use uuid::Uuid;

/// Subcommands of `saga archive`.
#[derive(Debug, Subcommand)]
pub(super) enum ArchiveCommand {
    /// Let ended sagas leave the event store now, as `retention` of their definitions says; engines do so by themselves
    Run(RunArchiveArgs),
    /// List the archives on record
    List(ListArchivesArgs),
    /// Check a file, and list the sagas in it
    Show(ShowArchiveArgs),
}

/// Arguments of `saga archive run`.
#[derive(Debug, Args)]
pub(super) struct RunArchiveArgs {
    #[command(flatten)]
    file: ConfigFileArgs,
    /// Folder for the files [default: the key archive.folder of the configuration]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// What would leave at this time leaves now (RFC 3339); for trials of `retention`
    #[arg(long, value_name = "TIME", value_parser = time)]
    as_of: Option<Timestamp>,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

fn time(text: &str) -> Result<Timestamp, String> {
    from_rfc3339(text).ok_or_else(|| format!("`{text}` is no time: expected RFC 3339, like 2026-11-30T12:00:00Z"))
}

/// Arguments of `saga archive list`.
#[derive(Debug, Args)]
pub(super) struct ListArchivesArgs {
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Arguments of `saga archive show`.
#[derive(Debug, Args)]
pub(super) struct ShowArchiveArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read the whole sagas of a file that ends in the middle
    #[arg(long)]
    damaged: bool,
    /// Most sagas to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn run(command: ArchiveCommand) -> anyhow::Result<ExitCode> {
    match command {
        ArchiveCommand::Run(args) => pass(args).await,
        ArchiveCommand::List(args) => list(args).await,
        ArchiveCommand::Show(args) => show(&args),
    }
}

/// An archive as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArchiveOutput {
    number: i64,
    state: &'static str,
    file: Option<String>,
    from: String,
    to: String,
    sagas: u64,
    rows: u64,
    dropped: u64,
    bytes: u64,
    sha256: Option<String>,
    definitions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause_ms: Option<u64>,
}

impl From<&ArchiveRecord> for ArchiveOutput {
    fn from(it: &ArchiveRecord) -> ArchiveOutput {
        let content = &it.content;
        let StartPeriod { from_ms, to_ms } = it.period;
        ArchiveOutput {
            number: it.number,
            state: it.state.as_str(),
            file: content.file.clone(),
            from: rfc3339(Timestamp(from_ms)),
            to: rfc3339(Timestamp(to_ms)),
            sagas: content.streams,
            rows: content.rows,
            dropped: content.dropped,
            bytes: content.bytes,
            sha256: content.sha256.clone(),
            definitions: content.categories.clone(),
            pause_ms: None,
        }
    }
}

impl From<&ArchivedPeriod> for ArchiveOutput {
    fn from(it: &ArchivedPeriod) -> ArchiveOutput {
        let record = ArchiveRecord {
            number: it.number,
            state: saga_event_store::ArchiveState::Done,
            period: it.period,
            content: it.content.clone(),
            begun_ms: 0,
            ended_ms: None,
            replaced: None,
        };
        let pause_ms = it.pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        ArchiveOutput { pause_ms, ..ArchiveOutput::from(&record) }
    }
}

async fn pass(args: RunArchiveArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(&ConfigSources::of_process(args.file.config.as_deref(), Vec::new()))?;
    let files = DefinitionFiles::of_folders(&config.sagas, &config.schemas)?;
    let loaded = load_files(&files, &lookup)?;
    let pass = ArchivePass {
        store: open_to_write(&config).await?.context("the event store cannot be used (key `store`)")?,
        plans: Arc::new(PlanCache::default()),
        retention: retention_of(loaded.plans.iter().map(|plan| plan.definition.as_ref())),
        folder: args.folder.or(config.archive.folder),
        width: config.archive.partition,
        clock: args.as_of.map_or(EngineClock::Wall, EngineClock::since),
        present: EngineClock::Wall,
    };
    if pass.retention.is_empty() {
        bail!("no definition has `retention`, so all sagas stay in the event store\nhint: write `retention: 90d`");
    }
    recorded::act(pass.store.as_ref(), "archive sagas", ActedPart::Archives, "archives").await?;
    let ArchivePassReport { archives, is_busy } = pass.run().await?;
    if is_busy {
        bail!("another process archives at the moment; try again when it has ended");
    }
    if archives.is_empty() {
        output::note("no saga is old enough to leave the event store");
        return Ok(ExitCode::SUCCESS);
    }
    print(&archives.iter().map(ArchiveOutput::from).collect::<Vec<_>>(), args.output)
}

async fn list(args: ListArchivesArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open().await?;
    let archives = store.archives().await?;
    let printed = print(&archives.iter().map(ArchiveOutput::from).collect::<Vec<_>>(), args.output)?;
    let pending = left::in_files(&store.pending_erasures(Uuid::nil(), MAX_PAGE).await?, &archives);
    if pending > 0 {
        output::note(&format!(
            "{pending} erased sagas may still have content in files. The next pass writes these anew; if it cannot, the \
             engine's log says why"
        ));
    }
    Ok(printed)
}

fn print(archives: &[ArchiveOutput], format: OutputFormat) -> anyhow::Result<ExitCode> {
    output::many(archives, format, table)?;
    Ok(ExitCode::SUCCESS)
}

fn table(archives: &[ArchiveOutput]) -> String {
    let row = |it: &ArchiveOutput| {
        [
            it.number.to_string(),
            it.state.to_owned(),
            it.from.clone(),
            it.to.clone(),
            it.sagas.to_string(),
            it.dropped.to_string(),
            HumanBytes(it.bytes).to_string(),
            it.file.clone().unwrap_or_default(),
        ]
    };
    let columns = ["archive", "state", "started from", "before", "sagas", "dropped", "size", "file"];
    output::table(columns, archives.iter().map(row))
}

/// A saga of a file as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArchivedSagaOutput {
    id: String,
    saga: String,
    key: String,
    status: String,
    started_at: String,
    updated_at: String,
    rows: usize,
}

fn show(args: &ShowArchiveArgs) -> anyhow::Result<ExitCode> {
    let file = if args.damaged { ArchiveFile::open_damaged(&args.file)? } else { ArchiveFile::open(&args.file)? };
    if !args.damaged {
        file.check()?;
    }
    let mut sagas = Vec::new();
    for block in file.streams() {
        sagas.extend(block?.iter().take(args.limit - sagas.len()).map(saga));
        if sagas.len() >= args.limit {
            break;
        }
    }
    output::many(&sagas, args.output, saga_table)?;
    let totals = file.totals();
    let sum = if file.is_whole() { file.sha256() } else { "unknown: the file ends in the middle".to_owned() };
    output::note(&format!("{} sagas with {} rows; SHA-256 {sum}", totals.sagas, totals.rows));
    Ok(ExitCode::SUCCESS)
}

fn saga(it: &ArchivedStream) -> ArchivedSagaOutput {
    ArchivedSagaOutput {
        id: it.summary.stream.to_string(),
        saga: it.summary.category.clone(),
        key: it.summary.key.clone(),
        status: it.summary.status.clone(),
        started_at: rfc3339(Timestamp(it.summary.started_at_ms)),
        updated_at: rfc3339(Timestamp(it.summary.updated_at_ms)),
        rows: it.rows.len(),
    }
}

fn saga_table(sagas: &[ArchivedSagaOutput]) -> String {
    let row = |it: &ArchivedSagaOutput| {
        let texts = [&it.id, &it.saga, &it.key, &it.status, &it.started_at, &it.updated_at];
        let [id, saga, key, status, started, changed] = texts.map(Clone::clone);
        [id, saga, key, status, started, changed, it.rows.to_string()]
    };
    output::table(["id", "saga", "key", "status", "started", "changed", "rows"], sagas.iter().map(row))
}
