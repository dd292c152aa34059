//! Decisions beside a running shard. The caller says how every admission ends; nothing is asked of limits,
//! capabilities or remembered answers.

use saga_core::{
    answerable::ALWAYS,
    decide::{AdmissionVerdict, DecisionContext, JitterSource},
    time::Timestamp,
};

/// Calls `decide` with a context in which every admission ends with `admission`.
pub(crate) fn decided_at<T>(
    now: Timestamp,
    random: u64,
    admission: AdmissionVerdict,
    decide: impl FnOnce(&mut DecisionContext<'_>) -> T,
) -> T {
    decide(&mut DecisionContext {
        now,
        answerable: &ALWAYS,
        random: JitterSource::Seed(random),
        admission: &mut |_| admission,
        room: &|_| None,
        choose: &mut |_| None,
        recall: &mut |_| None,
    })
}
