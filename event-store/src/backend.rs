//! What a database has to offer so that a statement that both take is bound, sent and read in one place.

use crate::{Error, tally::Among};
use sqlx::{
    Database, Decode, Encode, Postgres, Row as _, Sqlite, Type, database::HasStatementCache, postgres::PgRow,
    query::Query, sqlite::SqliteRow,
};

/// A statement with the values that are bound to it.
pub(crate) type Statement<DB> = Query<'static, DB, <DB as Database>::Arguments>;

/// A row of a [`Reader`]'s database.
pub(crate) type RowOf<R> = <<R as Reader>::Db as Database>::Row;

/// One of the two databases, with the statements that it needs in words of its own.
pub(crate) trait Backend: Database<Row: StoredRow> + HasStatementCache {
    /// Finds one stream in the read model.
    const SUMMARY: &'static str;
    /// Counts the streams that wait, by what they wait on.
    const WAITING_COUNTS: &'static str;
    /// Tells the time.
    const CLOCK: &'static str;

    /// Binds the next value.
    fn bind<T: Value>(statement: Statement<Self>, value: T) -> Statement<Self>;

    /// Lists streams; the values are those of [`crate::matching`].
    fn list(among: Among) -> &'static str;

    /// Counts streams; the values are those of [`crate::matching`].
    fn tally(among: Among) -> &'static str;
}

/// Where statements that read are sent.
pub(crate) trait Reader: Sync {
    /// The database that answers.
    type Db: Backend;

    /// All rows of one statement.
    fn rows(&self, statement: Statement<Self::Db>) -> impl Future<Output = Result<Vec<RowOf<Self>>, Error>> + Send;
}

/// A value that both databases take and give back.
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

/// A row whose columns are read by name.
pub(crate) trait StoredRow {
    /// The value of one column.
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

/// A statement that is being put together.
pub(crate) struct Ask<DB: Backend>(Statement<DB>);

impl<DB: Backend> Ask<DB> {
    /// Without values yet.
    pub(crate) fn new(text: &'static str) -> Ask<DB> {
        Ask(sqlx::query(text))
    }

    /// The same, planned for the values of this call.
    pub(crate) fn planned_for_its_values(text: &'static str) -> Ask<DB> {
        Ask(sqlx::query(text).persistent(false))
    }

    /// With the next value.
    pub(crate) fn with(self, value: impl Value) -> Ask<DB> {
        Ask(DB::bind(self.0, value))
    }

    /// What `read` makes of each row of the answer.
    pub(crate) async fn all<R: Reader<Db = DB>, T>(
        self,
        reader: &R,
        read: impl Fn(&DB::Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        reader.rows(self.0).await?.iter().map(read).collect()
    }

    /// What `read` makes of the first row, if there is one.
    pub(crate) async fn first<R: Reader<Db = DB>, T>(
        self,
        reader: &R,
        read: impl Fn(&DB::Row) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        reader.rows(self.0).await?.first().map(read).transpose()
    }
}

/// The text that reads `$read` in `$order` of the streams that match, from the folder `sql` beside the caller.
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
