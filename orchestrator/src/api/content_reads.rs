//! Who saw what sagas and dead letters carry. A page refreshes itself and a command asks again and again, so the audit
//! has one row for each person, saga and hour, from each engine: it says who saw what and when, and not how often.

use super::{ApiState, auth::ApiCaller, errors::ApiError, statement::OperatorStatement};
use saga_base::sync::UnpoisonedMutex;
use saga_core::time::Timestamp;
use saga_engine::{
    act_log::ActedPart,
    journal::{payloads::PayloadDetail, sensitive::SensitiveDetail},
};
use serde_json::Value;
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

/// Puts on record that the caller sees all of `what`, or what is sensitive in it, before the answer is sent. Without a
/// login nobody is known, and shortened payloads with masks are no content.
///
/// # Errors
/// The event store does not take the row: then nothing is shown.
pub(super) async fn seen(
    backend: &ApiState,
    caller: &ApiCaller,
    (detail, sensitive): (PayloadDetail, SensitiveDetail),
    what: &str,
) -> Result<(), ApiError> {
    let who = caller.name();
    let action = match (detail, sensitive) {
        (PayloadDetail::Hidden, _) | (PayloadDetail::Short, SensitiveDetail::Masked) => return Ok(()),
        (PayloadDetail::Full, SensitiveDetail::Masked) => "see content",
        (PayloadDetail::Full | PayloadDetail::Short, SensitiveDetail::Shown) => "see sensitive content",
    };
    // What was seen with masks is seen anew without.
    let seen = format!("{action} {what}");
    if caller.identity().is_none() || !backend.content_reads.begins(who, &seen, backend.query.now()) {
        return Ok(());
    }
    let statement = OperatorStatement::short(caller, None, None)?;
    let on = (ActedPart::Content, what);
    let recorded = statement.record(&backend.operator, action, on, (Value::Null, Value::Null)).await;
    if recorded.is_err() {
        backend.content_reads.forget(who, &seen);
    }
    recorded
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
