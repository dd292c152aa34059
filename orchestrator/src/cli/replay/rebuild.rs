//! `replay rebuild`: builds a projection anew, or repairs the list of sagas.

mod sagas;

use super::{
    super::{OutputFormat, output, recorded, server, store::StoreReadArgs},
    ReplayMeter,
};
use anyhow::{Context, bail};
use clap::Args;
use indicatif::HumanCount;
use saga_engine::{
    act_log::ActedPart,
    projection::{self, ArchiveFolder, MissingArchives, RebuildProgress, RebuildReport, SAGA_LIST},
    replay::ScanProgress,
};
use saga_event_store::StoreError;
use serde_json::{Value, json};
use std::{cell::Cell, process::ExitCode, time::Duration};

/// Time between two questions to an engine that builds.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Arguments of `saga replay rebuild`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RebuildArgs {
    /// The projection; `saga projections` shows them. `sagas` is the list of sagas: rows that say something else than
    /// their journals are written anew
    name: String,
    /// Leave out archives whose files are missing or damaged; without this, nothing is built then
    #[arg(long)]
    without_archives: bool,
    /// Only show which rows of `sagas` would be written
    #[arg(long)]
    dry_run: bool,
    /// Address of an engine, for an SQLite file that an engine has open [default: api.listen of the configuration]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn rebuild(args: RebuildArgs) -> anyhow::Result<ExitCode> {
    if args.name == SAGA_LIST {
        return sagas::rebuild(&args).await;
    }
    if args.dry_run {
        bail!("--dry-run goes with `{SAGA_LIST}` only: a projection is built beside the live one");
    }
    let store = match args.store.open_to_write().await? {
        Ok(store) => store,
        Err(StoreError::Locked { .. }) => return by_the_engine(&args).await,
        Err(error) => return Err(error).context("the event store cannot be opened (key `store`)"),
    };
    recorded::act(store.as_ref(), "rebuild projection", ActedPart::Projection, &args.name).await?;
    let meter = ReplayMeter::new("applied");
    let (mut first, rows) = (None, Cell::new(0));
    let missing = if args.without_archives { MissingArchives::LeftOut } else { MissingArchives::Refused };
    let folder = ArchiveFolder { folder: args.store.archive_folder()?, missing };
    let report = projection::rebuild(store, &args.name, folder, |progress| {
        rows.set(progress.rows);
        let share = share(*first.get_or_insert(progress.at_ms), progress);
        meter.show_rows(ScanProgress { sagas: 0, events: progress.rows, share });
    });
    let report = unless_stopped(report).await;
    meter.end();
    let Some(report) = report else {
        return Ok(stopped(&format!("{} rows are applied", HumanCount(rows.get()))));
    };
    let report = report?;
    let took = meter.took();
    output::one(&report, args.output, |report| text(report, took))?;
    Ok(ExitCode::SUCCESS)
}

/// What `work` returns; `None`: Ctrl-C came first, and the work is dropped.
async fn unless_stopped<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        Ok(()) = tokio::signal::ctrl_c() => None,
    }
}

/// Says how far a command was that Ctrl-C stopped.
fn stopped(how_far: &str) -> ExitCode {
    output::note(&format!("stopped: {how_far}; the same command goes on from there"));
    ExitCode::from(1)
}

fn share(first_ms: Option<i64>, progress: RebuildProgress) -> f64 {
    let (Some(first), Some(at), Some(newest)) = (first_ms, progress.at_ms, progress.newest_at_ms) else { return 0.0 };
    ((at - first) as f64 / (newest - first).max(1) as f64).clamp(0.0, 1.0)
}

fn text(report: &RebuildReport, took: Duration) -> String {
    let RebuildReport { projection, generation, rows, left_out } = report;
    let lacks: String = left_out.iter().map(|it| format!("\nwithout {it}")).collect();
    format!("{projection}: generation {generation} is live; {rows} rows in {:.1} s{lacks}", took.as_secs_f64())
}

/// An engine has the file: it builds, and this command waits. After Ctrl-C the engine goes on.
async fn by_the_engine(args: &RebuildArgs) -> anyhow::Result<ExitCode> {
    let client = server::ServerArgs::of(args.server.clone(), args.store.file.clone()).open()?;
    let path = format!("/api/projections/{}/rebuild", server::encoded(&args.name));
    client.post(&path, &json!({"withoutArchives": args.without_archives, "who": null})).await?;
    output::note("an engine has the file and builds the projection; after Ctrl-C it goes on");
    loop {
        let all = client.get("/api/projections").await?;
        let all = all["projections"].as_array().cloned().unwrap_or_default();
        let it = all.into_iter().find(|it| it["projection"] == args.name.as_str()).unwrap_or(Value::Null);
        if let Some(problem) = it["building"]["problem"].as_str() {
            anyhow::bail!("the projection cannot be built: {problem}");
        }
        if it["building"].is_null() {
            output::one(&it, args.output, |it| {
                format!("{}: generation {} is live", args.name, it["live"]["generation"])
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
