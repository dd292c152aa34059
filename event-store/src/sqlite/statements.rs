//! Queries whose text differs from the one for Postgres, while their rows are the same.

use crate::{
    backend::{Backend, Statement, Value, matching},
    tally::Among,
};
use sqlx::Sqlite;

impl Backend for Sqlite {
    const SUMMARY: &'static str = concat!(include_str!("sql/list.sql"), include_str!("../sql/of_stream.sql"));
    const WAITING_COUNTS: &'static str = include_str!("sql/waiting_counts.sql");
    const CLOCK: &'static str = include_str!("sql/clock.sql");

    fn bind<T: Value>(statement: Statement<Sqlite>, value: T) -> Statement<Sqlite> {
        statement.bind(value)
    }

    fn list(among: Among) -> &'static str {
        matching!(among, "list", "page")
    }

    fn tally(among: Among) -> &'static str {
        matching!(among, "tally", "groups")
    }
}
