//! Lists and counts of the streams that meet a filter.

use crate::{
    Dimension, Error, Filter, MAX_PAGE, StreamSummary, Tally, Waiting,
    backend::{Ask, Backend, Reader},
    rows, standing,
    tally::Among,
};

pub(crate) async fn list<R: Reader>(reader: &R, filter: &Filter) -> Result<Vec<StreamSummary>, Error> {
    if filter.finds_nothing() {
        return Ok(Vec::new());
    }
    bound(R::Db::list(Among::of(filter)), filter).all(reader, rows::summary).await
}

pub(crate) async fn tally<R: Reader>(reader: &R, filter: &Filter, by: &[Dimension]) -> Result<Vec<Tally>, Error> {
    if filter.finds_nothing() {
        return Ok(Vec::new());
    }
    let ask = bound(R::Db::tally(Among::of(filter)), filter);
    let ask = Dimension::ALL.iter().fold(ask, |ask, dimension| ask.with(by.contains(dimension)));
    ask.all(reader, rows::tally).await
}

/// The database plans each call for its values. A plan for all values would read the whole table.
fn bound<DB: Backend>(text: &'static str, filter: &Filter) -> Ask<DB> {
    Ask::planned_for_its_values(text)
        .with(filter.statuses_as_text())
        .with(filter.category.clone())
        .with(filter.key.clone())
        .with(filter.before)
        .with(i64::from(filter.limit.min(MAX_PAGE)))
        .with(filter.waiting.as_ref().and_then(Waiting::term))
        .with(filter.flag.as_deref().map(standing::part))
        .with(filter.flagged)
        .with(filter.step.clone())
        .with(filter.code.clone())
        .with(filter.document.clone())
        .with(filter.unchanged_since_ms)
        .with(filter.from)
        .with(filter.only_open)
}
