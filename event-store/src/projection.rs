//! Projections: rows that are made of the feed's events, kept with the position up to which they are made.

mod archive_reading;

pub use archive_reading::{ArchiveReading, ArchiveReadingError};

use crate::{
    FeedPosition, StoreError,
    backend::{QueryBuilder, QueryPool, RowOf, SqlBackend, StoredRow},
    limits::{check_length, check_texts},
};
use async_trait::async_trait;

/// Most rows of one change: those of some thousand events.
pub const MAX_PROJECTED_ROWS: usize = 20_000;
/// Most bytes of the key of a projected row. It is part of an index entry.
pub const MAX_PROJECTED_KEY_BYTES: usize = 1_024;
/// Most bytes of the body of a projected row.
pub const MAX_PROJECTED_BYTES: usize = 256 * 1024;

/// One generation of a projection: its rows, made by one version of its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionGeneration {
    /// Name of the projection.
    pub name: String,
    /// 1, 2, 3, … within the projection.
    pub generation: i64,
    /// The version of the rules that make its rows.
    pub code_version: u32,
    /// Whether readers get its rows. One generation of a projection is live, or none.
    pub is_live: bool,
    /// The last row of the feed that was applied.
    pub position: FeedPosition,
    /// When that row was recorded, in milliseconds since the Unix epoch; `None`: none was applied.
    pub at_ms: Option<i64>,
    /// Why it does not go on; `None`: it does.
    pub problem: Option<String>,
    /// How far its rows are made of archives.
    pub archives: ArchiveReading,
    /// Which archives its rows lack, in the form of the caller; `None`: none.
    pub left_out: Option<String>,
}

/// A generation that is to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionStart {
    /// Name of the projection.
    pub name: String,
    /// The version of the rules that make its rows.
    pub code_version: u32,
    /// The position in the feed after which it begins.
    pub from: FeedPosition,
    /// Which archives are read before the feed.
    pub archives: ArchiveReading,
    /// Which archives are left out, in the form of the caller; `None`: none.
    pub left_out: Option<String>,
}

/// A row of a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectedRow {
    /// Distinguishes the row within its generation.
    pub key: String,
    /// What the row says.
    pub body: String,
}

/// A change of a generation: what a part of the feed does to its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionChange {
    /// Name of the projection.
    pub name: String,
    /// The generation that changes.
    pub generation: i64,
    /// The position that the generation has before the change.
    pub from: FeedPosition,
    /// The position that it has afterwards.
    pub to: FeedPosition,
    /// How far archives are read before the change.
    pub archives_from: ArchiveReading,
    /// How far archives are read afterwards.
    pub archives_to: ArchiveReading,
    /// Which archives the rows lack from now on; `None`: as before.
    pub left_out: Option<String>,
    /// When the row at `to` was recorded, if that is known.
    pub at_ms: Option<i64>,
    /// Rows that are written, each key once.
    pub put: Vec<ProjectedRow>,
    /// Keys of rows that are removed. Removing a row that is not there changes nothing.
    pub removed: Vec<String>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// Rows and position are committed.
    Applied,
    /// The generation has another position, does not go on, or is gone. Nothing was written.
    Outdated,
}

/// The part of a store that keeps projections.
#[async_trait]
pub trait StoreProjections: std::fmt::Debug + Send + Sync {
    /// All generations, by name and generation.
    async fn projections(&self) -> Result<Vec<ProjectionGeneration>, StoreError>;

    /// Begins a generation, unless one is being built by the same version of the rules.
    async fn begin_projection(&self, start: &ProjectionStart) -> Result<(), StoreError>;

    /// The rows of a generation with these keys, in an order of the store's own; keys without a row are left out.
    async fn projected(&self, name: &str, generation: i64, keys: &[String]) -> Result<Vec<ProjectedRow>, StoreError>;

    /// A page of the rows of a generation whose keys begin with `prefix` and stand after `after`, by key.
    async fn projection_page(
        &self,
        name: &str,
        generation: i64,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ProjectedRow>, StoreError>;

    /// Writes rows and position in one transaction, if the generation has the position that the change begins with,
    /// and has read archives as far as the change says. So of several processes that apply the same part of the feed,
    /// one does.
    ///
    /// # Errors [`StoreError::Limit`] when the change breaks a limit. After an error that [`StoreError::is_transient`]
    /// the change may be committed; the same change again is [`ChangeOutcome::Outdated`] then.
    async fn apply_projection(&self, change: &ProjectionChange) -> Result<ChangeOutcome, StoreError>;

    /// Makes a generation the live one, in one transaction with the end of the older one. False: it has a problem, is
    /// gone, or a newer one is live.
    async fn switch_projection(&self, name: &str, generation: i64) -> Result<bool, StoreError>;

    /// Records why a generation does not go on.
    async fn fail_projection(&self, name: &str, generation: i64, problem: &str) -> Result<(), StoreError>;

    /// Removes at most `limit` rows of a generation, and the generation itself after its last row. Returns how many
    /// rows it removed; fewer than `limit`: the generation is gone. Never removes the live generation itself.
    async fn drop_projection(&self, name: &str, generation: i64, limit: u32) -> Result<u64, StoreError>;
}

pub(crate) async fn generations<R: QueryPool>(reader: &R) -> Result<Vec<ProjectionGeneration>, StoreError> {
    QueryBuilder::new(include_str!("sql/projections.sql")).all(reader, generation::<R>).await
}

fn generation<R: QueryPool>(row: &RowOf<R>) -> Result<ProjectionGeneration, StoreError> {
    let (position, version): (String, i64) = (row.column("position")?, row.column("code_version")?);
    let archives: Option<String> = row.column("archives")?;
    let damaged = |what: &str| StoreError::Damaged(format!("a projection has {what}"));
    Ok(ProjectionGeneration {
        name: row.column("name")?,
        generation: row.column("generation")?,
        code_version: u32::try_from(version).map_err(|_| damaged(&format!("the version {version}")))?,
        is_live: row.column("is_live")?,
        position: position.parse().map_err(|_| damaged(&format!("the position `{position}`")))?,
        at_ms: row.column("at")?,
        problem: row.column("problem")?,
        archives: archives
            .map_or(Ok(ArchiveReading::None), |text| text.parse())
            .map_err(|it| damaged(&it.to_string()))?,
        left_out: row.column("left_out")?,
    })
}

pub(crate) async fn begin<R: QueryPool>(writer: &R, start: &ProjectionStart) -> Result<(), StoreError> {
    check_texts([start.name.as_str()])?;
    check_texts(start.left_out.as_deref())?;
    QueryBuilder::new(include_str!("sql/begin_projection.sql"))
        .with(start.name.clone())
        .with(i64::from(start.code_version))
        .with(start.from.to_string())
        .with(start.archives.stored())
        .with(start.left_out.clone())
        .all(writer, |_| Ok(()))
        .await
        .map(drop)
}

pub(crate) async fn rows_of<R: QueryPool>(
    reader: &R,
    name: &str,
    generation: i64,
    keys: &[String],
) -> Result<Vec<ProjectedRow>, StoreError> {
    let query = QueryBuilder::new(R::Db::PROJECTED).with(name.to_owned()).with(generation);
    query.with(json_list(keys)).all(reader, projected::<R>).await
}

fn projected<R: QueryPool>(row: &RowOf<R>) -> Result<ProjectedRow, StoreError> {
    Ok(ProjectedRow { key: row.column("row_key")?, body: row.column("body")? })
}

/// A JSON list of texts: the one form of a list that both databases take.
fn json_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(","))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for sign in text.chars() {
        match sign {
            '"' | '\\' => quoted.extend(['\\', sign]),
            sign if sign < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(sign))),
            sign => quoted.push(sign),
        }
    }
    quoted.push('"');
    quoted
}

pub(crate) async fn page<R: QueryPool>(
    reader: &R,
    (name, generation): (&str, i64),
    prefix: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<ProjectedRow>, StoreError> {
    check_texts([name, prefix, after])?;
    // No key has the last character of Unicode.
    let end = format!("{prefix}\u{10ffff}");
    QueryBuilder::new(include_str!("sql/projection_page.sql"))
        .with(name.to_owned())
        .with(generation)
        .with(prefix.to_owned())
        .with(end)
        .with(after.to_owned())
        .with(i64::from(limit.min(crate::MAX_PAGE)))
        .all(reader, projected::<R>)
        .await
}

pub(crate) async fn fail<R: QueryPool>(
    writer: &R,
    name: &str,
    generation: i64,
    problem: &str,
) -> Result<(), StoreError> {
    let problem = problem.replace('\0', " ");
    let query = QueryBuilder::new(include_str!("sql/fail_projection.sql")).with(name.to_owned()).with(generation);
    query.with(problem).all(writer, |_| Ok(())).await.map(drop)
}

pub(crate) async fn drop_rows<R: QueryPool>(
    writer: &R,
    name: &str,
    generation: i64,
    limit: u32,
) -> Result<u64, StoreError> {
    let limit = limit.clamp(1, crate::MAX_PAGE);
    let query = QueryBuilder::new(include_str!("sql/drop_projection_rows.sql")).with(name.to_owned()).with(generation);
    let dropped = query.with(i64::from(limit)).all(writer, |_| Ok(())).await?.len();
    if dropped < limit as usize {
        let query = QueryBuilder::new(include_str!("sql/drop_projection.sql")).with(name.to_owned()).with(generation);
        query.all(writer, |_| Ok(())).await?;
    }
    Ok(dropped as u64)
}

/// # Errors
/// [`StoreError::Limit`] names the limit that the change breaks.
pub(crate) fn check_change(change: &ProjectionChange) -> Result<(), StoreError> {
    let rows = change.put.len() + change.removed.len();
    if rows > MAX_PROJECTED_ROWS {
        return Err(StoreError::Limit(format!("a change has {rows} rows, the limit is {MAX_PROJECTED_ROWS}")));
    }
    check_texts(change.left_out.as_deref())?;
    let keys = change.put.iter().map(|row| &row.key).chain(&change.removed);
    for key in keys {
        check_length("key of a projected row", key, MAX_PROJECTED_KEY_BYTES)?;
        check_texts([key.as_str()])?;
    }
    for row in &change.put {
        check_length("projected row", &row.body, MAX_PROJECTED_BYTES)?;
        check_texts([row.body.as_str()])?;
    }
    Ok(())
}
