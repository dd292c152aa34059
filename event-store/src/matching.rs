//! Lists and counts of the streams that meet a filter.

use crate::{
    MAX_PAGE, StoreError, StreamDimension, StreamFilter, StreamGroup, StreamSummary, WaitFilter,
    backend::{QueryBuilder, QueryPool, SqlBackend, StoredRow},
    rows, standing,
    tally::IndexScope,
};
use uuid::Uuid;

pub(crate) async fn list<R: QueryPool>(reader: &R, filter: &StreamFilter) -> Result<Vec<StreamSummary>, StoreError> {
    if filter.finds_nothing() {
        return Ok(Vec::new());
    }
    bound(R::Db::list(IndexScope::of(filter)), filter).all(reader, rows::summary).await
}

pub(crate) async fn stream_below<R: QueryPool>(
    reader: &R,
    before: Option<Uuid>,
    places: u32,
) -> Result<Option<Uuid>, StoreError> {
    let ask = QueryBuilder::planned_for_its_values(include_str!("sql/stream_below.sql"));
    ask.with(before).with(i64::from(places)).first(reader, |row| Ok(row.column("stream")?)).await
}

pub(crate) async fn tally<R: QueryPool>(
    reader: &R,
    filter: &StreamFilter,
    by: &[StreamDimension],
) -> Result<Vec<StreamGroup>, StoreError> {
    if filter.finds_nothing() {
        return Ok(Vec::new());
    }
    let ask = bound(R::Db::tally(IndexScope::of(filter)), filter);
    let ask = StreamDimension::ALL.iter().fold(ask, |ask, dimension| ask.with(by.contains(dimension)));
    ask.all(reader, rows::tally).await
}

/// The database plans each call for its values. A plan for all values would read the whole table.
fn bound<DB: SqlBackend>(text: &'static str, filter: &StreamFilter) -> QueryBuilder<DB> {
    QueryBuilder::planned_for_its_values(text)
        .with(filter.statuses_as_text())
        .with(filter.category.clone())
        .with(filter.key.clone())
        .with(filter.before)
        .with(i64::from(filter.limit.min(MAX_PAGE)))
        .with(filter.waiting.as_ref().and_then(WaitFilter::term))
        .with(filter.flag.as_deref().map(standing::part))
        .with(filter.flagged)
        .with(filter.step.clone())
        .with(filter.code.clone())
        .with(filter.document.clone())
        .with(filter.unchanged_since_ms)
        .with(filter.from)
        .with(filter.only_open)
        .with(filter.ended_from_ms)
        .with(filter.ended_before_ms)
        .with(filter.reason.clone())
        .with(filter.text.clone())
}
