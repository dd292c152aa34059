//! Reads the feed.

use crate::{
    FeedError, FeedExtent, FeedPage, FeedPosition, FeedRow, MAX_PAGE, StoreError,
    backend::{QueryBuilder, QueryPool, RowOf, SqlBackend, StoredRow},
    rows,
};
use uuid::Uuid;

/// Reads a page of the feed; see [`crate::EventStore::feed`].
pub(crate) async fn read<R: QueryPool>(
    reader: &R,
    after: FeedPosition,
    limit: u32,
    max_bytes: u64,
) -> Result<FeedPage, FeedError> {
    let mut rows = page(reader, after, limit, max_bytes).await?;
    // Asked for afterwards: what is forgotten while the page is read is noticed.
    let extent = extent(reader).await?;
    if after < extent.oldest && after != FeedPosition::START {
        return Err(FeedError::Forgotten { after, oldest: extent.oldest });
    }
    let own = if rows.first().is_some_and(|(is_own, _)| *is_own) { Some(rows.remove(0).1.position) } else { None };
    if after.names_a_row() && after > extent.oldest && !own.is_some_and(|own| own.agrees_with(after)) {
        return Err(FeedError::Unknown { after, oldest: extent.oldest, newest: extent.newest });
    }
    let most = usize::try_from(limit_of(limit)).unwrap_or(usize::MAX);
    Ok(FeedPage { rows: rows.into_iter().take(most).map(|(_, row)| row).collect(), extent })
}

/// Reads how far the feed goes.
pub(crate) async fn extent<R: QueryPool>(reader: &R) -> Result<FeedExtent, StoreError> {
    let ask = QueryBuilder::new(R::Db::FEED_HEAD).first(reader, read_extent::<R>);
    ask.await?.ok_or_else(|| StoreError::Schema("the feed of the store is not complete: start the engine once".into()))
}

fn read_extent<R: QueryPool>(row: &RowOf<R>) -> Result<FeedExtent, StoreError> {
    let newest = match row.column::<Option<i64>>("xid")? {
        Some(transaction) => position(row, transaction, row.column("append_id")?)?,
        None => FeedPosition::START,
    };
    let floor_era: i64 = row.column("floor_era")?;
    let oldest = FeedPosition::end_of(small(floor_era)?, row.column("floor_xid")?);
    Ok(FeedExtent {
        oldest,
        newest: newest.max(oldest),
        newest_at_ms: row.column("newest_at")?,
        held_since_ms: row.column("held_since")?,
    })
}

/// Each row with whether it is the row at `after` itself, which comes first.
async fn page<R: QueryPool>(
    reader: &R,
    after: FeedPosition,
    limit: u32,
    max_bytes: u64,
) -> Result<Vec<(bool, FeedRow)>, StoreError> {
    QueryBuilder::new(R::Db::FEED)
        .with(i64::from(after.era()))
        .with(after.transaction())
        .with(i64::from(after.place()))
        .with(limit_of(limit))
        .with(i64::try_from(max_bytes).unwrap_or(i64::MAX).max(1))
        .all(reader, |row| Ok((row.column("is_own")?, feed_row::<R>(row)?)))
        .await
}

/// A page has at least one row: a reader that asks for none would never come further.
fn limit_of(limit: u32) -> i64 {
    i64::from(limit.clamp(1, MAX_PAGE))
}

fn feed_row<R: QueryPool>(row: &RowOf<R>) -> Result<FeedRow, StoreError> {
    let append_id: Option<Uuid> = row.column("append_id")?;
    let (own, kept): (bool, bool) = (row.column("is_own")?, append_id.is_some());
    Ok(FeedRow {
        position: position(row, row.column("xid")?, append_id)?,
        stream: row.column("stream")?,
        version: rows::version(row.column("version")?)?,
        row: if kept && !own { Some(rows::row(row)?) } else { None },
    })
}

fn position(row: &impl StoredRow, transaction: i64, append_id: Option<Uuid>) -> Result<FeedPosition, StoreError> {
    let (era, place) = (small(row.column("era")?)?, small(row.column("place")?)?);
    Ok(FeedPosition::of_row(era, transaction, place, append_id))
}

fn small(stored: i64) -> Result<u32, StoreError> {
    u32::try_from(stored).map_err(|_| StoreError::Damaged(format!("a stored position of the feed has {stored}")))
}
