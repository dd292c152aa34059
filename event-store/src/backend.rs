//! What the two databases have in common, so that shared statements are bound, sent and read in one place.

use crate::{StoreError, tally::IndexScope};
use sqlx::{
    Database, Decode, Encode, Postgres, Row as _, Sqlite, Type, database::HasStatementCache, postgres::PgRow,
    query::Query, sqlite::SqliteRow,
};

/// A statement with the values that are bound to it.
pub(crate) type SqlStatement<DB> = Query<'static, DB, <DB as Database>::Arguments>;

/// A row of a [`QueryPool`]'s database.
pub(crate) type RowOf<R> = <<R as QueryPool>::Db as Database>::Row;

/// One of the two databases, with the statements that differ between them.
pub(crate) trait SqlBackend: Database<Row: StoredRow> + HasStatementCache {
    /// Reads the row of one stream in the read model.
    const SUMMARY: &'static str;
    /// Reads a page of the rows of all streams after a position.
    const SCAN: &'static str;
    /// Reads a page of the feed after a position, beginning with the row at it.
    const FEED: &'static str;
    /// Reads how far the feed goes.
    const FEED_HEAD: &'static str;
    /// Reads rows of a projection by their keys, a JSON list.
    const PROJECTED: &'static str;
    /// Counts the streams that wait, by what they wait on.
    const WAITING_COUNTS: &'static str;
    /// Reads the database's clock, in milliseconds since the Unix epoch.
    const CLOCK: &'static str;

    /// Binds the next value.
    fn bind<T: BindValue>(statement: SqlStatement<Self>, value: T) -> SqlStatement<Self>;

    /// Lists streams; the values are those of [`crate::matching`].
    fn list(among: IndexScope) -> &'static str;

    /// Counts streams; the values are those of [`crate::matching`].
    fn tally(among: IndexScope) -> &'static str;
}

/// A pool of connections that runs queries.
pub(crate) trait QueryPool: Sync {
    /// The database that answers.
    type Db: SqlBackend;

    /// Runs one statement and returns all rows.
    fn rows(
        &self,
        statement: SqlStatement<Self::Db>,
    ) -> impl Future<Output = Result<Vec<RowOf<Self>>, StoreError>> + Send;
}

/// A type that both databases can store and read.
pub(crate) trait BindValue:
    Type<Postgres>
    + Type<Sqlite>
    + for<'q> Encode<'q, Postgres>
    + for<'q> Encode<'q, Sqlite>
    + for<'r> Decode<'r, Postgres>
    + for<'r> Decode<'r, Sqlite>
{
}

impl<T> BindValue for T where
    T: Type<Postgres>
        + Type<Sqlite>
        + for<'q> Encode<'q, Postgres>
        + for<'q> Encode<'q, Sqlite>
        + for<'r> Decode<'r, Postgres>
        + for<'r> Decode<'r, Sqlite>
{
}

/// A row of either database.
pub(crate) trait StoredRow {
    /// The value of the column with this name.
    fn column<T: BindValue>(&self, name: &str) -> Result<T, sqlx::Error>;
}

impl StoredRow for PgRow {
    fn column<T: BindValue>(&self, name: &str) -> Result<T, sqlx::Error> {
        self.try_get(name)
    }
}

impl StoredRow for SqliteRow {
    fn column<T: BindValue>(&self, name: &str) -> Result<T, sqlx::Error> {
        self.try_get(name)
    }
}

/// Builds a statement and runs it.
pub(crate) struct QueryBuilder<DB: SqlBackend>(SqlStatement<DB>);

impl<DB: SqlBackend> QueryBuilder<DB> {
    /// A statement without values.
    pub(crate) fn new(text: &'static str) -> QueryBuilder<DB> {
        QueryBuilder(sqlx::query(text))
    }

    /// A statement that the database plans for the values of each call.
    pub(crate) fn planned_for_its_values(text: &'static str) -> QueryBuilder<DB> {
        QueryBuilder(sqlx::query(text).persistent(false))
    }

    /// Binds the next value.
    pub(crate) fn with(self, value: impl BindValue) -> QueryBuilder<DB> {
        QueryBuilder(DB::bind(self.0, value))
    }

    /// Runs the statement and reads each row.
    pub(crate) async fn all<R: QueryPool<Db = DB>, T>(
        self,
        reader: &R,
        read: impl Fn(&DB::Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        reader.rows(self.0).await?.iter().map(read).collect()
    }

    /// Runs the statement and reads the first row, if there is one.
    pub(crate) async fn first<R: QueryPool<Db = DB>, T>(
        self,
        reader: &R,
        read: impl Fn(&DB::Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        reader.rows(self.0).await?.first().map(read).transpose()
    }
}

/// Puts a statement together: what it reads, from which streams, the conditions of a filter, and the order. The files
/// are in the folder `sql` beside the caller.
macro_rules! matching {
    ($among:expr, $read:literal, $order:literal) => {
        match $among {
            IndexScope::All => matching!(@ $read, "all", $order),
            IndexScope::Open => matching!(@ $read, "open", $order),
            IndexScope::Failed => matching!(@ $read, "failed", $order),
            IndexScope::Waiting => matching!(@ $read, "waiting", $order),
        }
    };
    (@ $read:literal, $among:literal, $order:literal) => {
        concat!(
            include_str!(concat!("sql/", $read, ".sql")),
            include_str!(concat!("sql/among_", $among, ".sql")),
            include_str!("../sql/matching.sql"),
            include_str!("sql/matching.sql"),
            include_str!(concat!("../sql/", $order, ".sql"))
        )
    };
}
pub(crate) use matching;
