//! Queries whose text differs from the one for Postgres, while their rows are the same.

use crate::{
    backend::{BindValue, SqlBackend, SqlStatement, matching},
    tally::IndexScope,
};
use sqlx::Sqlite;

impl SqlBackend for Sqlite {
    const SUMMARY: &'static str = concat!(include_str!("sql/list.sql"), include_str!("../sql/of_stream.sql"));
    const SCAN: &'static str = include_str!("sql/scan.sql");
    const FEED: &'static str = include_str!("sql/feed.sql");
    const FEED_HEAD: &'static str = include_str!("sql/feed_head.sql");
    const PROJECTED: &'static str = include_str!("sql/projected.sql");
    const WAITING_COUNTS: &'static str = include_str!("sql/waiting_counts.sql");
    const CLOCK: &'static str = include_str!("sql/clock.sql");

    fn bind<T: BindValue>(statement: SqlStatement<Sqlite>, value: T) -> SqlStatement<Sqlite> {
        statement.bind(value)
    }

    fn list(among: IndexScope) -> &'static str {
        matching!(among, "list", "page")
    }

    fn tally(among: IndexScope) -> &'static str {
        matching!(among, "tally", "groups")
    }
}
