//! Times since when and until when something is asked for.

use saga_core::time::{Timestamp, rfc3339};

/// No time is in the range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nothing is in this range: `since` is {}, which is not before `until`, {}; `since` is the earlier one: \
     since 2h until 1h is the hour before the last", rfc3339(*.since), rfc3339(*.until)
)]
pub(crate) struct EmptyRange {
    since: Timestamp,
    until: Timestamp,
}

/// The range, whose beginning is in it and whose end is not.
///
/// # Errors
/// No time is in it: an empty answer would not say so.
pub(crate) fn time_range(
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), EmptyRange> {
    match (since, until) {
        (Some(since), Some(until)) if since >= until => Err(EmptyRange { since, until }),
        range => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_without_any_time_is_an_error() {
        let at = |ms: i64| Some(Timestamp(ms));
        assert_eq!(time_range(at(1), at(2)), Ok((at(1), at(2))));
        assert!(time_range(None, at(2)).is_ok() && time_range(at(2), None).is_ok());
        let said = time_range(at(2_000), at(2_000)).expect_err("empty").to_string();
        assert!(said.contains("1970-01-01T00:00:02.000Z"), "{said}");
        assert!(time_range(at(3), at(2)).is_err());
    }
}
