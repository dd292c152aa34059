//! Where a list of letters goes on.

use super::LetterAddress;
use std::{fmt, str::FromStr};

/// The end of a page: the next one has what comes before it. Unlike a time it separates letters of one millisecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LetterCursor {
    /// In topics: a place for each of their partitions.
    Places(Vec<LetterAddress>),
    /// In the table: the number of a row.
    Number(i64),
}

impl FromStr for LetterCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<LetterCursor, String> {
        if let Ok(number) = text.parse::<i64>() {
            return Ok(LetterCursor::Number(number));
        }
        let places = text.split(',').map(str::parse).collect::<Result<Vec<LetterAddress>, _>>();
        let places = places.map_err(|_| {
            format!("`{text}` is no place to go on at: write what the list before ended with, like 0/17 or 4711")
        })?;
        let mut partitions: Vec<_> = places.iter().map(|it| (it.topic.as_deref(), it.place.partition)).collect();
        partitions.sort_unstable();
        if partitions.windows(2).any(|two| two[0] == two[1]) {
            return Err(format!("`{text}` names a partition twice: write one place for each partition"));
        }
        Ok(LetterCursor::Places(places))
    }
}

impl fmt::Display for LetterCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LetterCursor::Number(number) => write!(f, "{number}"),
            LetterCursor::Places(places) => {
                let places: Vec<String> = places.iter().map(ToString::to_string).collect();
                f.write_str(&places.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_printed() {
        for text in ["0/17", "0/17,1/4,2/0", "0/17,orders.dlq/0/17", "4711"] {
            assert_eq!(text.parse::<LetterCursor>().map(|cursor| cursor.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "0/17,", "x", "0/17,0/18", "2026-12-01"] {
            assert!(wrong.parse::<LetterCursor>().is_err(), "{wrong}");
        }
    }
}
