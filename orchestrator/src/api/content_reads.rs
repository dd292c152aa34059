//! Who saw what sagas and dead letters carry. A page refreshes itself and a command asks again and again, so the audit
//! has one row for each person, saga and hour, from each engine: it says who saw what and when, and not how often.

use super::{ApiState, auth::ApiCaller, errors::ApiError};
use saga_base::sync::UnpoisonedMutex;
use saga_core::{act_author::ActAuthor, time::Timestamp};
use saga_engine::{
    act_log::{ActedPart, PartAct},
    journal::payloads::PayloadDetail,
};
use std::{collections::HashMap, time::Duration};

/// What is seen again within it has a row already.
const SPAN: Duration = Duration::from_secs(3_600);
/// Pairs of a person and a saga that are remembered. If there are more, all are forgotten: then there are more rows,
/// and none is missing.
const REMEMBERED: usize = 4_096;

/// What has a row.
#[derive(Debug, Default)]
pub(super) struct ContentReads(UnpoisonedMutex<HashMap<(String, String), Timestamp>>);

impl ContentReads {
    /// Whether it needs a row now.
    fn begins(&self, who: &str, what: &str, now: Timestamp) -> bool {
        let mut known = self.0.lock();
        let pair = (who.to_owned(), what.to_owned());
        if known.get(&pair).is_some_and(|since| now.minus(SPAN) < *since) {
            return false;
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(pair, now);
        true
    }

    fn forget(&self, who: &str, what: &str) {
        self.0.lock().remove(&(who.to_owned(), what.to_owned()));
    }
}

/// Puts on record that the caller sees all of `what`, before the answer is sent. Without a login nobody is known, and
/// shortened payloads are no content.
///
/// # Errors
/// The event store does not take the row: then nothing is shown.
pub(super) async fn seen(
    backend: &ApiState,
    caller: &ApiCaller,
    detail: PayloadDetail,
    what: &str,
) -> Result<(), ApiError> {
    let who = caller.name();
    let is_content = detail == PayloadDetail::Full && caller.identity().is_some();
    if !is_content || !backend.content_reads.begins(who, what, backend.query.now()) {
        return Ok(());
    }
    let by = ActAuthor { who: who.to_owned(), reason: String::new(), origin: caller.origin() };
    let recorded = backend.operator.record_act(&PartAct::new(&by, "see content", ActedPart::Content, what)).await;
    if recorded.is_err() {
        backend.content_reads.forget(who, what);
    }
    Ok(recorded.map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_a_row_for_each_saga_and_hour() {
        let reads = ContentReads::default();
        let at = |minutes: i64| Timestamp(1_700_000_000_000 + minutes * 60_000);
        assert!(reads.begins("anna", "s-1", at(0)) && !reads.begins("anna", "s-1", at(59)));
        assert!(reads.begins("ben", "s-1", at(1)) && reads.begins("anna", "s-2", at(1)));
        assert!(reads.begins("anna", "s-1", at(60)), "an hour is over");
        reads.forget("anna", "s-1");
        assert!(reads.begins("anna", "s-1", at(61)), "the row was not written");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let reads = ContentReads::default();
        (0..=REMEMBERED).for_each(|saga| assert!(reads.begins("anna", &saga.to_string(), Timestamp(0))));
        assert!(reads.0.lock().len() <= REMEMBERED);
    }
}
