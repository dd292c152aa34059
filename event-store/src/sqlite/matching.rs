//! Which streams a filter matches: as lines of the read model, and as counts.

use crate::{
    Dimension, Error, Filter, MAX_PAGE, StreamSummary, Tally, Waiting, backend::Statement, rows, standing, tally::Among,
};
use sqlx::{Sqlite, SqlitePool};

/// What is read of the streams that match, among those that an index finds, in which order.
macro_rules! statement {
    ($read:literal, $among:literal, $order:literal) => {
        concat!(include_str!($read), include_str!($among), include_str!("sql/matching.sql"), include_str!($order))
    };
}

pub(super) async fn list(readers: &SqlitePool, filter: &Filter) -> Result<Vec<StreamSummary>, Error> {
    let query = bound(
        match Among::of(filter) {
            Among::All => statement!("sql/list.sql", "sql/among_all.sql", "../sql/page.sql"),
            Among::Open => statement!("sql/list.sql", "sql/among_open.sql", "../sql/page.sql"),
            Among::Failed => statement!("sql/list.sql", "sql/among_failed.sql", "../sql/page.sql"),
            Among::Waiting => statement!("sql/list.sql", "sql/among_waiting.sql", "../sql/page.sql"),
        },
        filter,
    );
    query.fetch_all(readers).await?.iter().map(rows::summary).collect()
}

pub(super) async fn tally(readers: &SqlitePool, filter: &Filter, by: &[Dimension]) -> Result<Vec<Tally>, Error> {
    let query = bound(
        match Among::of(filter) {
            Among::All => statement!("sql/tally.sql", "sql/among_all.sql", "../sql/groups.sql"),
            Among::Open => statement!("sql/tally.sql", "sql/among_open.sql", "../sql/groups.sql"),
            Among::Failed => statement!("sql/tally.sql", "sql/among_failed.sql", "../sql/groups.sql"),
            Among::Waiting => statement!("sql/tally.sql", "sql/among_waiting.sql", "../sql/groups.sql"),
        },
        filter,
    );
    let query = Dimension::ALL.iter().fold(query, |query, dimension| query.bind(by.contains(dimension)));
    query.fetch_all(readers).await?.iter().map(rows::tally).collect()
}

fn bound(statement: &'static str, filter: &Filter) -> Statement<Sqlite> {
    let statuses =
        if filter.statuses.is_empty() { String::new() } else { format!(",{},", filter.known_statuses().join(",")) };
    sqlx::query(statement)
        .bind(statuses)
        .bind(filter.category.clone())
        .bind(filter.key.clone())
        .bind(filter.before)
        .bind(i64::from(filter.limit.min(MAX_PAGE)))
        .bind(filter.waiting.as_ref().and_then(Waiting::term))
        .bind(filter.flag.as_deref().map(standing::part))
        .bind(filter.flagged)
        .bind(filter.step.clone())
        .bind(filter.code.clone())
        .bind(filter.document.clone())
        .bind(filter.unchanged_since_ms)
        .bind(filter.from)
        .bind(filter.only_open)
}
