//! Rows of earlier formats, brought to the format of this build, one format at a time.
//!
//! A change of [`FORMAT`] adds one module here, `v` and the number of the format that it reads, and one line to
//! [`CHAIN`]. A step is pure, and knows the two formats that it stands between and no other: the types of this build
//! may change later, and the step stays as it is. Rows of the current format never come here.

#[cfg(test)]
mod v0;

use super::FORMAT;
use serde_json::Value;

/// Brings the events of one row from a format to the next; the error says what the row lacks.
type UpcastStep = fn(Vec<Value>) -> Result<Vec<Value>, String>;

/// Every format that was written before this one, with what brings its rows to the next format; the oldest first. The
/// first format is 1; format 0 exists in tests only, so that the whole way of an old row is tested.
const CHAIN: &[(u8, UpcastStep)] = &[
    #[cfg(test)]
    (0, v0::upcast),
];

/// The oldest format that this build reads.
pub(super) const OLDEST: u8 = match CHAIN.first() {
    Some((oldest, _)) => *oldest,
    None => FORMAT,
};

/// The events of a row of `format`, as a row of the current format has them.
///
/// # Errors
/// When the row is not what builds of its format wrote.
pub(super) fn to_current(format: u8, events: Vec<Value>) -> Result<Vec<Value>, String> {
    CHAIN.iter().filter(|(from, _)| *from >= format).try_fold(events, |events, (_, step)| step(events))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_has_every_earlier_format_once_and_ends_at_the_current_one() {
        let formats: Vec<u8> = CHAIN.iter().map(|(from, _)| *from).collect();
        assert_eq!(formats, (OLDEST..FORMAT).collect::<Vec<u8>>());
    }
}
