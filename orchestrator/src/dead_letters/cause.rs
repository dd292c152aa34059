//! Dead letters by cause, as the command line, the API and the pages show them.

use saga_core::time::{Timestamp, rfc3339};
use saga_event_store::LetterGroup;
use serde::Serialize;

/// The period that counts as recent.
pub(crate) const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// Letters with the same cause.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CauseView {
    pub(crate) fingerprint: String,
    pub(crate) code: String,
    pub(crate) saga: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) letters: i64,
    pub(crate) open: i64,
    /// Of all letters, with one digit behind the point.
    pub(crate) share_percent: f64,
    pub(crate) last_day: i64,
    pub(crate) day_before: i64,
    /// Letters per hour in the last 24 hours, with one digit behind the point.
    pub(crate) per_hour: f64,
    /// Why somebody should look at it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attention: Option<CauseAttention>,
    pub(crate) first_at: String,
    pub(crate) last_at: String,
    pub(crate) message: String,
}

/// Why a cause with open letters needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CauseAttention {
    /// Its first letter came in the last 24 hours.
    New,
    /// There was none in the day before, and there are letters again.
    Back,
    /// More than twice as many came in the last 24 hours as in the day before.
    Rising,
    /// None came in the last 24 hours, and older ones are still open.
    Waiting,
}

impl CauseAttention {
    fn of(group: &LetterGroup) -> Option<CauseAttention> {
        match (group.open, group.recent, group.before) {
            (..=0, _, _) => None,
            (_, 0, _) => Some(CauseAttention::Waiting),
            (_, recent, _) if recent == group.letters => Some(CauseAttention::New),
            (_, _, 0) => Some(CauseAttention::Back),
            (_, recent, before) => (recent > 2 * before).then_some(CauseAttention::Rising),
        }
    }

    /// The word for it.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CauseAttention::New => "new",
            CauseAttention::Back => "back",
            CauseAttention::Rising => "rising",
            CauseAttention::Waiting => "waiting",
        }
    }
}

impl CauseView {
    /// The views of all causes, in the order of the groups.
    pub(crate) fn of_all(groups: &[LetterGroup]) -> Vec<CauseView> {
        let all = groups.iter().map(|group| group.letters).sum();
        groups.iter().map(|group| CauseView::of(group, all)).collect()
    }

    fn of(group: &LetterGroup, all: i64) -> CauseView {
        CauseView {
            fingerprint: group.fingerprint.clone(),
            code: group.code.clone(),
            saga: group.definition.clone(),
            topic: group.origin_topic.clone(),
            letters: group.letters,
            open: group.open,
            share_percent: quotient(group.letters * 100, all),
            last_day: group.recent,
            day_before: group.before,
            per_hour: quotient(group.recent, 24),
            attention: CauseAttention::of(group),
            first_at: rfc3339(Timestamp(group.first_ms)),
            last_at: rfc3339(Timestamp(group.last_ms)),
            message: group.message.clone(),
        }
    }
}

fn quotient(part: i64, whole: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let exact = part as f64 / whole.max(1) as f64;
    (exact * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(letters: i64, open: i64, recent: i64, before: i64) -> LetterGroup {
        LetterGroup {
            fingerprint: "5f2c".into(),
            code: "key".into(),
            definition: None,
            origin_topic: None,
            message: "no value".into(),
            letters,
            open,
            first_ms: 0,
            last_ms: 1_000,
            recent,
            before,
        }
    }

    #[test]
    fn a_cause_with_open_letters_needs_attention_when_it_changes_or_waits() {
        for (found, expected) in [
            (group(9, 0, 9, 0), None),
            (group(9, 1, 9, 0), Some(CauseAttention::New)),
            (group(9, 1, 3, 0), Some(CauseAttention::Back)),
            (group(90, 1, 21, 10), Some(CauseAttention::Rising)),
            (group(90, 1, 20, 10), None),
            (group(90, 1, 0, 10), Some(CauseAttention::Waiting)),
        ] {
            assert_eq!(CauseAttention::of(&found), expected, "{found:?}");
        }
    }

    #[test]
    fn shares_and_rates_have_one_digit_behind_the_point() {
        let [one, other] = &CauseView::of_all(&[group(2, 1, 2, 0), group(1, 1, 0, 0)])[..] else { panic!("two") };
        assert_eq!((one.share_percent, other.share_percent, one.per_hour), (66.7, 33.3, 0.1));
    }
}
