//! What the two databases have in common, so that shared statements are bound, sent and read in one place.

use crate::{Error, tally::Among};
use sqlx::{
    Database, Decode, Encode, Postgres, Row as _, Sqlite, Type, database::HasStatementCache, postgres::PgRow,
    query::Query, sqlite::SqliteRow,
};

/// A statement with the values that are bound to it.
pub(crate) type Statement<DB> = Query<'static, DB, <DB as Database>::Arguments>;

/// A row of a [`Reader`]'s database.
pub(crate) type RowOf<R> = <<R as Reader>::Db as Database>::Row;

/// One of the two databases, with the statements that differ between them.
pub(crate) trait Backend: Database<Row: StoredRow> + HasStatementCache {
    /// Reads the row of one stream in the read model.
    const SUMMARY: &'static str;
    /// Counts the streams that wait, by what they wait on.
    const WAITING_COUNTS: &'static str;
    /// Reads the clock.
    const CLOCK: &'static str;

    /// Binds the next value.
    fn bind<T: Value>(statement: Statement<Self>, value: T) -> Statement<Self>;

    /// Lists streams; the values are those of [`crate::matching`].
    fn list(among: Among) -> &'static str;

    /// Counts streams; the values are those of [`crate::matching`].
    fn tally(among: Among) -> &'static str;
}

/// A pool of connections that runs queries.
pub(crate) trait Reader: Sync {
    /// The database that answers.
    type Db: Backend;

    /// Runs one statement and returns all rows.
    fn rows(&self, statement: Statement<Self::Db>) -> impl Future<Output = Result<Vec<RowOf<Self>>, Error>> + Send;
}

/// A type that both databases can store and read.
pub(crate) trait Value:
    Type<Postgres>
    + Type<Sqlite>
    + for<'q> Encode<'q, Postgres>
    + for<'q> Encode<'q, Sqlite>
    + for<'r> Decode<'r, Postgres>
    + for<'r> Decode<'r, Sqlite>
{
}

impl<T> Value for T where
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
    fn column<T: Value>(&self, name: &str) -> Result<T, sqlx::Error>;
}

impl StoredRow for PgRow {
    fn column<T: Value>(&self, name: &str) -> Result<T, sqlx::Error> {
        self.try_get(name)
    }
}

impl StoredRow for SqliteRow {
    fn column<T: Value>(&self, name: &str) -> Result<T, sqlx::Error> {
        self.try_get(name)
    }
}

/// Builds a statement and runs it.
pub(crate) struct Ask<DB: Backend>(Statement<DB>);

impl<DB: Backend> Ask<DB> {
    /// A statement without values.
    pub(crate) fn new(text: &'static str) -> Ask<DB> {
        Ask(sqlx::query(text))
    }

    /// A statement that the database plans for the values of each call.
    pub(crate) fn planned_for_its_values(text: &'static str) -> Ask<DB> {
        Ask(sqlx::query(text).persistent(false))
    }

    /// Binds the next value.
    pub(crate) fn with(self, value: impl Value) -> Ask<DB> {
        Ask(DB::bind(self.0, value))
    }

    /// Runs the statement and reads each row.
    pub(crate) async fn all<R: Reader<Db = DB>, T>(
        self,
        reader: &R,
        read: impl Fn(&DB::Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        reader.rows(self.0).await?.iter().map(read).collect()
    }

    /// Runs the statement and reads the first row, if there is one.
    pub(crate) async fn first<R: Reader<Db = DB>, T>(
        self,
        reader: &R,
        read: impl Fn(&DB::Row) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        reader.rows(self.0).await?.first().map(read).transpose()
    }
}

/// Puts a statement together: what it reads, from which streams, the conditions of a filter, and the order. The files
/// are in the folder `sql` beside the caller.
macro_rules! matching {
    ($among:expr, $read:literal, $order:literal) => {
        match $among {
            Among::All => matching!(@ $read, "all", $order),
            Among::Open => matching!(@ $read, "open", $order),
            Among::Failed => matching!(@ $read, "failed", $order),
            Among::Waiting => matching!(@ $read, "waiting", $order),
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
