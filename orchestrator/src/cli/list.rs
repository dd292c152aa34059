//! `list`: sagas page by page, or counted; the command reads the store and talks to no engine.

mod archived;
mod table;

use super::{OutputFormat, output, selection::SelectionArgs, store::StoreReadArgs};
use anyhow::bail;
use clap::{Args, builder::NonEmptyStringValueParser};
use saga_core::id::SagaId;
use saga_engine::{
    journal::{
        PlanCache,
        counts::{self, CountDimension, SagaGroup},
        reading::{self, RefreshScope, SagaLine, SagaQuery},
        search::{self, FoundSagas},
    },
    naming,
};
use saga_event_store::EventStore;
use std::process::ExitCode;

/// Lines that are read and printed at a time: the outlines of their journals are in memory.
const PAGE: u32 = 500;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    store: StoreReadArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Only sagas of the definition whose hash begins like this
    #[arg(long, value_name = "HASH", value_parser = NonEmptyStringValueParser::new())]
    definition: Option<String>,
    /// Only sagas with this business key
    #[arg(long)]
    key: Option<String>,
    /// Only sagas older than the saga with this id: the last saga of the list before
    #[arg(long, value_name = "ID")]
    before: Option<SagaId>,
    /// Maximum number of sagas
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All sagas, page by page
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Count sagas in groups; only open sagas, unless --status or --started-within is given
    #[arg(long, conflicts_with_all = ["all", "limit", "before"])]
    count: bool,
    /// Properties of the groups, separated by commas: saga, status, step, code, waitingOn, definition
    #[arg(long, value_name = "WORDS", value_delimiter = ',', requires = "count", default_value = "status,step,code")]
    by: Vec<CountDimension>,
    /// List sagas that have left the event store, from the files of archives; --saga, --status and --key choose
    #[arg(long, conflicts_with_all = ["count", "before"])]
    archived: bool,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

impl ListArgs {
    fn wanted(&self) -> SagaQuery {
        let (key, definition) = (self.key.clone(), self.definition.clone());
        SagaQuery { key, definition, before: self.before, ..self.selection.wanted() }
    }
}

pub(super) async fn list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let store = args.store.open().await?;
    if args.archived {
        return archived::list(store.as_ref(), &args).await;
    }
    if args.count { count(store.as_ref(), &args).await } else { lines(store.as_ref(), &args).await }
}

/// Sagas of several definitions with one key, as a table.
pub(super) fn several(lines: &[SagaLine]) -> String {
    table::lines(lines, table::TableHeader::Shown)
}

async fn lines(store: &dyn EventStore, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let plans = PlanCache::default();
    let mut wanted = args.wanted();
    let mut left = if args.all { u32::MAX } else { args.limit };
    let mut header = table::TableHeader::Shown;
    loop {
        wanted.limit = left.min(PAGE);
        let FoundSagas { lines: mut page, searched_to } = search::search(store, &wanted).await?;
        let scope = RefreshScope::of_list(page.len());
        reading::refresh(store, &plans, &mut page, scope).await?;
        if page.is_empty() && searched_to.is_none() && header == table::TableHeader::Shown {
            found_nothing(store, &plans, &wanted).await?;
        }
        if !page.is_empty() || searched_to.is_none() && header == table::TableHeader::Shown {
            output::many(&page, args.output, |page| table::lines(page, header))?;
            header = table::TableHeader::Left;
        }
        let count = u32::try_from(page.len()).unwrap_or(u32::MAX);
        left -= count.min(left);
        if searched_to.is_some() {
            wanted.before = searched_to;
            continue;
        }
        let Some(last) = page.last().filter(|_| count == wanted.limit) else { return Ok(ExitCode::SUCCESS) };
        if left == 0 {
            let last = &last.id;
            output::note(&format!(
                "hint: there may be more sagas: --before {last} goes on, --all shows all, --count counts them"
            ));
            return Ok(ExitCode::SUCCESS);
        }
        wanted.before = last.id.parse().ok();
    }
}

/// A mistyped name is an error, instead of an empty answer.
async fn found_nothing(store: &dyn EventStore, plans: &PlanCache, wanted: &SagaQuery) -> anyhow::Result<()> {
    match naming::misnamed(store, plans, wanted, &[]).await? {
        Some(misnamed) => bail!("{misnamed}"),
        None => Ok(()),
    }
}

async fn count(store: &dyn EventStore, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let wanted = match counts::countable(args.wanted()) {
        Ok(wanted) => wanted,
        Err(unbounded) => bail!("{unbounded}\nhint: --started-within 1d"),
    };
    let groups: Vec<SagaGroup> = counts::count(store, &wanted, &args.by).await?;
    if groups.is_empty() {
        found_nothing(store, &PlanCache::default(), &wanted).await?;
    }
    output::many(&groups, args.output, |groups| table::groups(groups, &args.by))?;
    Ok(ExitCode::SUCCESS)
}
