//! Positions in the feed, and their text.

use std::{cmp::Ordering, fmt, str::FromStr};
use uuid::Uuid;

/// A position in the feed: the place of a row, or the start. Positions are compared by their order in the feed.
///
/// Its text is a cursor, for example `1.48213.2.9c0d1e2f`. A reader keeps it as it is. It contains a part of the row's
/// append id, so that a store which does not have this row refuses the cursor.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedPosition {
    era: u32,
    transaction: i64,
    /// 1, 2, 3, … within the transaction; 0: before its first row.
    place: u32,
    /// The first bytes of the row's append id; 0: not known.
    check: u32,
}

/// The place of a position that stands behind all rows of its transaction.
const END: u32 = u32::MAX;

impl FeedPosition {
    /// The position before the first row.
    pub const START: FeedPosition = FeedPosition { era: 0, transaction: 0, place: 0, check: 0 };

    /// The position directly before the row at this one.
    #[must_use]
    pub fn before(self) -> FeedPosition {
        FeedPosition { place: self.place.saturating_sub(1), check: 0, ..self }
    }

    pub(crate) fn of_row(era: u32, transaction: i64, place: u32, append_id: Option<Uuid>) -> FeedPosition {
        let check = append_id.map_or(0, |id| u32::try_from(id.as_u128() >> 96).unwrap_or_default());
        FeedPosition { era, transaction, place, check }
    }

    /// The position behind all rows of a transaction.
    pub(crate) fn end_of(era: u32, transaction: i64) -> FeedPosition {
        let place = if transaction == 0 { 0 } else { END };
        FeedPosition { era, transaction, place, check: 0 }
    }

    /// Whether the store has to have a row at this position.
    pub(crate) fn names_a_row(self) -> bool {
        self.check != 0
    }

    /// Whether both name the same row. What is not known of a row is not compared.
    #[must_use]
    pub fn agrees_with(self, other: FeedPosition) -> bool {
        self == other && (self.check == other.check || self.check == 0 || other.check == 0)
    }

    pub(crate) fn era(self) -> u32 {
        self.era
    }

    pub(crate) fn transaction(self) -> i64 {
        self.transaction
    }

    pub(crate) fn place(self) -> u32 {
        self.place
    }

    fn order(self) -> (u32, i64, u32) {
        (self.era, self.transaction, self.place)
    }
}

impl PartialEq for FeedPosition {
    fn eq(&self, other: &FeedPosition) -> bool {
        self.order() == other.order()
    }
}

impl Eq for FeedPosition {}

impl PartialOrd for FeedPosition {
    fn partial_cmp(&self, other: &FeedPosition) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FeedPosition {
    fn cmp(&self, other: &FeedPosition) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl fmt::Display for FeedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FeedPosition { era, transaction, place, check } = self;
        write!(f, "{era}.{transaction}.{place}.{check:08x}")
    }
}

/// The text is not a cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a cursor of the feed: use the `cursor` of an event or the `next` of a page, or leave it out to begin \
     with the oldest event"
)]
pub struct PositionSyntaxError(pub String);

impl FromStr for FeedPosition {
    type Err = PositionSyntaxError;

    fn from_str(text: &str) -> Result<FeedPosition, PositionSyntaxError> {
        parse(text).ok_or_else(|| PositionSyntaxError(text.chars().take(100).collect()))
    }
}

fn parse(text: &str) -> Option<FeedPosition> {
    let mut parts = text.split('.');
    let era = parts.next()?.parse().ok().filter(|era| *era <= i32::MAX.unsigned_abs())?;
    let transaction = parts.next()?.parse().ok().filter(|it| *it >= 0)?;
    let place = parts.next()?.parse().ok()?;
    let check = parts.next().filter(|it| it.len() == 8)?;
    let position = FeedPosition { era, transaction, place, check: u32::from_str_radix(check, 16).ok()? };
    // One text for each position: a sign or a leading zero is somebody's mistake.
    (parts.next().is_none() && position.to_string() == text).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let id = Uuid::from_u128(0x9c0d_1e2f_0000_0000_0000_0000_0000_0000);
        let position = FeedPosition::of_row(1, 48_213, 2, Some(id));
        assert_eq!(position.to_string(), "1.48213.2.9c0d1e2f");
        let read: FeedPosition = position.to_string().parse().unwrap();
        assert!(read.agrees_with(position) && read.names_a_row());
        assert_eq!("0.0.0.00000000".parse::<FeedPosition>().unwrap(), FeedPosition::START);
    }

    #[test]
    fn what_is_no_cursor_is_refused_with_what_to_write() {
        for text in [
            "",
            "1.2.3",
            "1.2.3.4",
            "1.2.3.0000000g",
            "-1.2.3.00000000",
            "1.-2.3.00000000",
            "01.2.3.00000000",
            "1.2.3.00000000.",
            "1.2.3.9C0D1E2F",
            "4294967295.2.3.00000000",
            "1.99999999999999999999.1.00000000",
            "ü",
        ] {
            let error = text.parse::<FeedPosition>().unwrap_err().to_string();
            assert!(error.contains("use the `cursor` of an event"), "{text}: {error}");
        }
    }

    #[test]
    fn another_row_at_the_same_place_does_not_agree() {
        let (one, two) = (Uuid::from_u128(1 << 100), Uuid::from_u128(2 << 100));
        let at = |id| FeedPosition::of_row(1, 7, 1, id);
        assert!(!at(Some(one)).agrees_with(at(Some(two))));
        assert!(at(Some(one)).agrees_with(at(None)));
        assert!(at(Some(one)).before() < at(Some(one)) && at(Some(one)).before() > FeedPosition::of_row(1, 6, 9, None));
    }
}
