//! How far a generation is made of archives.

use std::{fmt, str::FromStr};
use uuid::Uuid;

/// How far the rows of a generation are made of the streams that have left the store.
///
/// The streams of archives are applied before the feed, in the order of their ids. Archives that are recorded meanwhile
/// are read after them, as long as the feed has not begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArchiveReading {
    /// Of none: the rows are made of the feed alone.
    #[default]
    None,
    /// The archives after number `base` and up to `until` are being read. Those up to `base` have been read.
    Reading {
        /// The last archive that has been read; 0: none has.
        base: i64,
        /// The last archive that is being read.
        until: i64,
        /// The last stream of these that was applied; nil: none was.
        after: Uuid,
    },
    /// The archives up to this number have been read.
    Read {
        /// The last archive.
        until: i64,
    },
}

/// A text is no [`ArchiveReading`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say how far archives are read")]
pub struct ArchiveReadingError(String);

impl ArchiveReading {
    /// The form that the store keeps; `None`: a null.
    pub(crate) fn stored(self) -> Option<String> {
        match self {
            ArchiveReading::None => None,
            ArchiveReading::Reading { .. } | ArchiveReading::Read { .. } => Some(self.to_string()),
        }
    }
}

impl fmt::Display for ArchiveReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveReading::None => f.write_str("none"),
            ArchiveReading::Reading { base, until, after } => write!(f, "{base} {until} {after}"),
            ArchiveReading::Read { until } => write!(f, "{until}"),
        }
    }
}

impl FromStr for ArchiveReading {
    type Err = ArchiveReadingError;

    fn from_str(text: &str) -> Result<ArchiveReading, ArchiveReadingError> {
        read(text).ok_or_else(|| ArchiveReadingError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<ArchiveReading> {
    let parts: Vec<&str> = text.split(' ').collect();
    match parts[..] {
        ["none"] => Some(ArchiveReading::None),
        [until] => Some(ArchiveReading::Read { until: until.parse().ok()? }),
        [base, until, after] => Some(ArchiveReading::Reading {
            base: base.parse().ok()?,
            until: until.parse().ok()?,
            after: after.parse().ok()?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_another_text_is_refused() {
        let reading = ArchiveReading::Reading { base: 3, until: 12, after: Uuid::from_u128(7) };
        for one in [ArchiveReading::None, reading, ArchiveReading::Read { until: 12 }] {
            assert_eq!(one.to_string().parse(), Ok(one));
        }
        for wrong in ["", "x", "1 2", "1 2 x", "1 2 3 4"] {
            assert_eq!(wrong.parse::<ArchiveReading>(), Err(ArchiveReadingError(wrong.into())));
        }
    }
}
