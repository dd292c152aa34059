//! A point in the history of a saga.

use saga_core::time::{self, Timestamp, rfc3339};
use saga_event_store::StreamRow;
use std::{fmt, str::FromStr};

/// A point in the history of a saga: after the row with this version, or after the last row up to this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryPoint {
    /// After the row with this version, 1 or more.
    Version(u32),
    /// After the last row that was recorded at this time or before it.
    Time(Timestamp),
}

/// The text names no point in a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a point in a history: write a version, which is a whole number from 1, or a time such as \
     2026-01-31T12:00:00Z"
)]
pub struct HistoryPointError(String);

/// The saga has no state at the point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointOutOfRange {
    /// The saga began after the time.
    #[error("the saga began later, at {began}: write this time or a later one")]
    BeforeStart {
        /// Time of the saga's first row; RFC 3339, UTC.
        began: String,
    },
    /// The journal does not have so many rows.
    #[error("the saga has no version {asked}: its last version is {last}")]
    AfterEnd {
        /// The version of the point.
        asked: u32,
        /// The version of the last row.
        last: u32,
    },
}

impl fmt::Display for HistoryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryPoint::Version(version) => write!(f, "{version}"),
            HistoryPoint::Time(at) => f.write_str(&rfc3339(*at)),
        }
    }
}

impl FromStr for HistoryPoint {
    type Err = HistoryPointError;

    fn from_str(text: &str) -> Result<HistoryPoint, HistoryPointError> {
        let version = text.parse().ok().filter(|version| *version > 0).map(HistoryPoint::Version);
        let time = || time::from_rfc3339(text).map(HistoryPoint::Time);
        version.or_else(time).ok_or_else(|| HistoryPointError(text.to_owned()))
    }
}

impl HistoryPoint {
    /// Keeps the rows up to this point. `rows` are those of one saga, oldest first; there is at least one.
    ///
    /// # Errors
    /// When no row is up to this point, or the journal does not have the version.
    pub fn truncate(self, rows: &mut Vec<StreamRow>) -> Result<(), PointOutOfRange> {
        let is_kept = |row: &StreamRow| match self {
            HistoryPoint::Version(version) => row.version <= version,
            HistoryPoint::Time(at) => row.recorded_at_ms <= at.0,
        };
        let (first, last) = (rows.first(), rows.last());
        if let (HistoryPoint::Version(asked), Some(last)) = (self, last)
            && asked > last.version
        {
            return Err(PointOutOfRange::AfterEnd { asked, last: last.version });
        }
        if let Some(first) = first.filter(|first| !is_kept(first)) {
            return Err(PointOutOfRange::BeforeStart { began: rfc3339(Timestamp(first.recorded_at_ms)) });
        }
        // Times never go back within a journal, so the rows that are kept come first.
        rows.truncate(rows.partition_point(is_kept));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn rows() -> Vec<StreamRow> {
        let row = |version: u32, recorded_at_ms: i64| StreamRow {
            version,
            append_id: Uuid::nil(),
            recorded_at_ms,
            payload: Vec::new(),
        };
        vec![row(1, 1_000), row(2, 2_000), row(3, 2_000), row(4, 5_000)]
    }

    fn kept(point: &str) -> Result<Option<u32>, PointOutOfRange> {
        let mut rows = rows();
        let point: HistoryPoint = point.parse().expect(point);
        point.truncate(&mut rows).map(|()| rows.last().map(|row| row.version))
    }

    #[test]
    fn rows_are_kept_up_to_a_version_or_a_time() {
        assert_eq!(kept("1"), Ok(Some(1)));
        assert_eq!(kept("4"), Ok(Some(4)));
        assert_eq!(kept("1970-01-01T00:00:01Z"), Ok(Some(1)));
        assert_eq!(kept("1970-01-01T00:00:02Z"), Ok(Some(3)));
        assert_eq!(kept("1970-01-01T01:00:04.999+01:00"), Ok(Some(3)));
        assert_eq!(kept("2026-01-01T00:00:00Z"), Ok(Some(4)));
    }

    #[test]
    fn a_point_outside_of_the_journal_is_refused_with_what_there_is() {
        assert_eq!(kept("5"), Err(PointOutOfRange::AfterEnd { asked: 5, last: 4 }));
        let before = PointOutOfRange::BeforeStart { began: "1970-01-01T00:00:01.000Z".into() };
        assert_eq!(kept("1970-01-01T00:00:00.999Z"), Err(before));
    }

    #[test]
    fn a_text_that_is_no_point_is_refused() {
        for text in ["", "0", "-1", "1.5", "yesterday", "2026-01-01", "2026-01-01T00:00:00"] {
            assert!(text.parse::<HistoryPoint>().is_err(), "{text}");
        }
        assert_eq!("7".parse::<HistoryPoint>().map(|it| it.to_string()), Ok("7".to_owned()));
    }
}
