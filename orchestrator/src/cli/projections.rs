//! `projections`: rows about all sagas, and how far they are.

use super::{OutputFormat, output, store::StoreReadArgs};
use clap::Args;
use saga_engine::projection::{self, BuildView, ProjectionView};
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `saga projections`.
#[derive(Debug, Args)]
pub(super) struct ProjectionsArgs {
    /// The projection whose rows are shown; without it, all projections and how far they are
    name: Option<String>,
    /// Only rows whose keys begin with this text
    #[arg(long, value_name = "TEXT", default_value = "", requires = "name")]
    prefix: String,
    /// Only rows after this key
    #[arg(long, value_name = "KEY", default_value = "", requires = "name")]
    after: String,
    /// Most rows
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    store: StoreReadArgs,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub(super) async fn projections(args: ProjectionsArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open().await?;
    let Some(name) = &args.name else {
        output::many(&projection::views(store.as_ref()).await?, args.output, table)?;
        return Ok(ExitCode::SUCCESS);
    };
    let page = projection::page(store.as_ref(), name, (&args.prefix, &args.after), args.limit).await??;
    output::many(&page.rows, args.output, rows)?;
    output::note(&how_far(&page.view));
    if let Some(next) = page.next {
        output::note(&format!("there are more rows: --after {next:?} goes on, --limit shows more"));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(views: &[ProjectionView]) -> String {
    let line = |view: &ProjectionView| {
        let far = |build: Option<&BuildView>| build.map_or_else(String::new, progress);
        if view.current {
            let [none, nothing] = [String::new(), String::new()];
            return [view.projection.clone(), "current: written with each append".to_owned(), none, nothing];
        }
        let problems = [view.live.as_ref(), view.building.as_ref()].into_iter().flatten();
        let problem = problems.filter_map(problem).next().unwrap_or_default();
        [view.projection.clone(), far(view.live.as_ref()), far(view.building.as_ref()), problem]
    };
    output::table(["projection", "live", "building", "problem"], views.iter().map(line))
}

/// Why it does not go on, or what its rows lack.
fn problem(build: &BuildView) -> Option<String> {
    let lacks: Vec<String> = build.left_out.iter().map(|it| format!("without {it}")).collect();
    build.problem.clone().or_else(|| (!lacks.is_empty()).then(|| lacks.join("; ")))
}

fn progress(build: &BuildView) -> String {
    if let Some(until) = build.reads_archives {
        return format!("{} reads the archives up to {until}", build.generation);
    }
    let at = build.at.as_deref().unwrap_or("nothing yet");
    format!("{} at {at}, behind {} ms", build.generation, build.behind_ms)
}

/// What is shown says how far it is.
fn how_far(view: &ProjectionView) -> String {
    match &view.live {
        Some(live) => {
            let lacks = problem(live).map(|problem| format!("; {problem}")).unwrap_or_default();
            format!("generation {}{lacks}", progress(live))
        }
        None => "the first generation is not complete yet: an engine builds it".to_owned(),
    }
}

fn rows(rows: &[Value]) -> String {
    let line = |row: &Value| [row["key"].as_str().unwrap_or_default().to_owned(), row["row"].to_string()];
    output::table(["key", "row"], rows.iter().map(line))
}
