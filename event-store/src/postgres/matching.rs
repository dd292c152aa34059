//! Which streams a filter matches: as lines of the read model, and as counts.

use super::rows::PgQuery;
use crate::{
    MAX_PAGE, StoreError, StreamDimension, StreamFilter, StreamGroup, WaitFilter, standing, tally::IndexScope, waits,
};
use sqlx::{Row as _, postgres::PgRow};

/// What is read of the streams that match, among those that an index finds, in which order.
macro_rules! statement {
    ($read:literal, $among:literal, $order:literal) => {
        concat!(include_str!($read), $among, "\n", include_str!("sql/matching.sql"), include_str!($order))
    };
}

pub(super) fn list(filter: &StreamFilter) -> PgQuery {
    bound(
        match IndexScope::of(filter) {
            IndexScope::All => statement!("sql/list.sql", "WHERE true", "sql/page.sql"),
            IndexScope::Open => statement!("sql/list.sql", "WHERE open", "sql/page.sql"),
            IndexScope::Failed => statement!("sql/list.sql", "WHERE code = $10", "sql/page.sql"),
        },
        filter,
    )
}

pub(super) fn tally(filter: &StreamFilter, by: &[StreamDimension]) -> PgQuery {
    let query = bound(
        match IndexScope::of(filter) {
            IndexScope::All => statement!("sql/tally.sql", "WHERE true", "sql/groups.sql"),
            IndexScope::Open => statement!("sql/tally.sql", "WHERE open", "sql/groups.sql"),
            IndexScope::Failed => statement!("sql/tally.sql", "WHERE code = $10", "sql/groups.sql"),
        },
        filter,
    );
    StreamDimension::ALL.iter().fold(query, |query, dimension| query.bind(by.contains(dimension)))
}

fn bound(statement: &'static str, filter: &StreamFilter) -> PgQuery {
    let statuses: Vec<String> = filter.known_statuses().into_iter().map(str::to_owned).collect();
    // Planned for the values of each call: one plan for all filters is one that reads the whole table.
    sqlx::query(statement)
        .persistent(false)
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

pub(super) fn read_tally(row: &PgRow) -> Result<StreamGroup, StoreError> {
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
