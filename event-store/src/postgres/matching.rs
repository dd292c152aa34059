//! Which streams a filter matches: as lines of the read model, and as counts.

use super::batch::PgQuery;
use crate::{Dimension, Filter, MAX_PAGE, Waiting, standing, tally::Among};

/// What is read of the streams that match, among those that an index finds, in which order.
macro_rules! statement {
    ($read:literal, $among:literal, $order:literal) => {
        concat!(include_str!($read), include_str!($among), include_str!("sql/matching.sql"), include_str!($order))
    };
}

pub(super) fn list(filter: &Filter) -> PgQuery {
    bound(
        match Among::of(filter) {
            Among::All => statement!("sql/list.sql", "sql/among_all.sql", "../sql/page.sql"),
            Among::Open => statement!("sql/list.sql", "sql/among_open.sql", "../sql/page.sql"),
            Among::Failed => statement!("sql/list.sql", "sql/among_failed.sql", "../sql/page.sql"),
            Among::Waiting => statement!("sql/list.sql", "sql/among_waiting.sql", "../sql/page.sql"),
        },
        filter,
    )
}

pub(super) fn tally(filter: &Filter, by: &[Dimension]) -> PgQuery {
    let query = bound(
        match Among::of(filter) {
            Among::All => statement!("sql/tally.sql", "sql/among_all.sql", "../sql/groups.sql"),
            Among::Open => statement!("sql/tally.sql", "sql/among_open.sql", "../sql/groups.sql"),
            Among::Failed => statement!("sql/tally.sql", "sql/among_failed.sql", "../sql/groups.sql"),
            Among::Waiting => statement!("sql/tally.sql", "sql/among_waiting.sql", "../sql/groups.sql"),
        },
        filter,
    );
    Dimension::ALL.iter().fold(query, |query, dimension| query.bind(by.contains(dimension)))
}

fn bound(statement: &'static str, filter: &Filter) -> PgQuery {
    let statuses: Vec<String> = filter.known_statuses().into_iter().map(str::to_owned).collect();
    // Planned for the values of each call: one plan for all filters is one that reads the whole table.
    sqlx::query(statement)
        .persistent(false)
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
