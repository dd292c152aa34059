//! Which streams a filter matches: as lines of the read model, and as counts.

use super::read_summary;
use crate::{
    MAX_PAGE, StoreError, StreamDimension, StreamFilter, StreamGroup, StreamSummary, WaitFilter, standing,
    tally::IndexScope, waits,
};
use sqlx::{
    Row as _, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

type SqliteQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

/// What is read of the streams that match, among those that an index finds, in which order.
macro_rules! statement {
    ($read:literal, $among:literal, $order:literal) => {
        concat!(include_str!($read), $among, "\n", include_str!("sql/matching.sql"), include_str!($order))
    };
}

pub(super) async fn list(readers: &SqlitePool, filter: &StreamFilter) -> Result<Vec<StreamSummary>, StoreError> {
    let query = bound(
        match IndexScope::of(filter) {
            IndexScope::All => statement!("sql/list.sql", "WHERE 1", "sql/page.sql"),
            IndexScope::Open => statement!("sql/list.sql", "WHERE open = 1", "sql/page.sql"),
            IndexScope::Failed => statement!("sql/list.sql", "WHERE code = ?10", "sql/page.sql"),
        },
        filter,
    );
    query.fetch_all(readers).await?.iter().map(read_summary).collect()
}

pub(super) async fn tally(
    readers: &SqlitePool,
    filter: &StreamFilter,
    by: &[StreamDimension],
) -> Result<Vec<StreamGroup>, StoreError> {
    let query = bound(
        match IndexScope::of(filter) {
            IndexScope::All => statement!("sql/tally.sql", "WHERE 1", "sql/groups.sql"),
            IndexScope::Open => statement!("sql/tally.sql", "WHERE open = 1", "sql/groups.sql"),
            IndexScope::Failed => statement!("sql/tally.sql", "WHERE code = ?10", "sql/groups.sql"),
        },
        filter,
    );
    let query = StreamDimension::ALL.iter().fold(query, |query, dimension| query.bind(by.contains(dimension)));
    query.fetch_all(readers).await?.iter().map(read_tally).collect()
}

fn bound(statement: &'static str, filter: &StreamFilter) -> SqliteQuery<'static> {
    let statuses =
        if filter.statuses.is_empty() { String::new() } else { format!(",{},", filter.known_statuses().join(",")) };
    sqlx::query(statement)
        .bind(statuses)
        .bind(filter.category.clone())
        .bind(filter.key.clone())
        .bind(filter.before)
        .bind(i64::from(filter.limit.min(MAX_PAGE)))
        .bind(filter.waiting.as_ref().map(WaitFilter::part))
        .bind(filter.flag.as_deref().map(standing::part))
        .bind(filter.flagged)
        .bind(filter.step.clone())
        .bind(filter.code.clone())
        .bind(filter.document.clone())
        .bind(filter.unchanged_since_ms)
        .bind(filter.from)
        .bind(filter.only_open)
}

fn read_tally(row: &SqliteRow) -> Result<StreamGroup, StoreError> {
    Ok(StreamGroup {
        category: row.try_get("category")?,
        status: row.try_get("status")?,
        step: row.try_get("step")?,
        code: row.try_get("code")?,
        waits_on: waits::read(row.try_get("waits_on")?),
        document: row.try_get("document")?,
        streams: row.try_get("streams")?,
        oldest_started_ms: row.try_get("oldest_started")?,
        oldest_changed_ms: row.try_get("oldest_changed")?,
    })
}
