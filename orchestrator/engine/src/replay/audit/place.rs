//! The order of all acts, and a place in it, by which the next page is asked for.

use saga_core::time::Timestamp;
use saga_event_store::ActPosition;
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The place of an act: its time, and among those of one time its source and its place there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPlace {
    at: Timestamp,
    source: AuditSource,
}

/// Where an act is on record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AuditSource {
    /// The number of a deployment, and the name of a definition.
    Deployment(i64, String),
    /// The number of a text that an operator brought.
    Text(i64),
    /// The number of a text that an operator put back.
    Restore(i64),
    /// The number of a reload.
    Reload(i64),
    /// The number of a pause of a definition, or of its end.
    Pause(i64),
    /// The number of an act on guards.
    Guard(i64),
    /// The number of an act on a part of the installation.
    Part(i64),
    /// The number of a removal of rows of dead letters.
    Purge(i64),
    /// The number of an act on a dead letter.
    Letter(i64),
    /// A row of a saga's journal.
    Saga(Uuid, u32),
}

impl AuditPlace {
    pub(super) fn new(at: Timestamp, source: AuditSource) -> AuditPlace {
        AuditPlace { at, source }
    }

    /// When the act was recorded.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// Acts on sagas before this position are before this place.
    pub(super) fn in_index(&self) -> ActPosition {
        let (stream, version) = match &self.source {
            AuditSource::Saga(stream, version) => (*stream, *version),
            // Of one time, the acts on sagas come after all others, so a page has shown them before these.
            AuditSource::Deployment(..)
            | AuditSource::Text(_)
            | AuditSource::Restore(_)
            | AuditSource::Reload(_)
            | AuditSource::Pause(_)
            | AuditSource::Guard(_)
            | AuditSource::Part(_)
            | AuditSource::Purge(_)
            | AuditSource::Letter(_) => (Uuid::nil(), 0),
        };
        ActPosition { at_ms: self.at.0, stream, version }
    }

    /// Acts on letters with a smaller time and number are before this place.
    pub(super) fn among_letters(&self) -> (i64, i64) {
        let number = match &self.source {
            AuditSource::Letter(number) => *number,
            // Of one time, acts on sagas have been shown before those on letters, and those before all others.
            AuditSource::Saga(..) => i64::MAX,
            AuditSource::Deployment(..)
            | AuditSource::Text(_)
            | AuditSource::Restore(_)
            | AuditSource::Reload(_)
            | AuditSource::Pause(_)
            | AuditSource::Guard(_)
            | AuditSource::Part(_)
            | AuditSource::Purge(_) => 0,
        };
        (self.at.0, number)
    }
}

/// A text is no place in the audit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place in the audit: use the value `next` of the page before")]
pub struct AuditPlaceError(String);

impl fmt::Display for AuditPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~", self.at.0)?;
        match &self.source {
            AuditSource::Deployment(number, name) => write!(f, "deployment~{number}~{name}"),
            AuditSource::Text(number) => write!(f, "text~{number}"),
            AuditSource::Restore(number) => write!(f, "restore~{number}"),
            AuditSource::Reload(number) => write!(f, "reload~{number}"),
            AuditSource::Pause(number) => write!(f, "pause~{number}"),
            AuditSource::Guard(number) => write!(f, "guard~{number}"),
            AuditSource::Part(number) => write!(f, "part~{number}"),
            AuditSource::Purge(number) => write!(f, "purge~{number}"),
            AuditSource::Letter(number) => write!(f, "letter~{number}"),
            AuditSource::Saga(stream, version) => write!(f, "saga~{stream}~{version}"),
        }
    }
}

impl FromStr for AuditPlace {
    type Err = AuditPlaceError;

    fn from_str(text: &str) -> Result<AuditPlace, AuditPlaceError> {
        read(text).ok_or_else(|| AuditPlaceError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<AuditPlace> {
    let (at, rest) = text.split_once('~')?;
    let (kind, rest) = rest.split_once('~')?;
    let source = match kind {
        "deployment" => {
            let (number, name) = rest.split_once('~')?;
            AuditSource::Deployment(number.parse().ok()?, name.to_owned())
        }
        "text" => AuditSource::Text(rest.parse().ok()?),
        "restore" => AuditSource::Restore(rest.parse().ok()?),
        "reload" => AuditSource::Reload(rest.parse().ok()?),
        "pause" => AuditSource::Pause(rest.parse().ok()?),
        "guard" => AuditSource::Guard(rest.parse().ok()?),
        "part" => AuditSource::Part(rest.parse().ok()?),
        "purge" => AuditSource::Purge(rest.parse().ok()?),
        "letter" => AuditSource::Letter(rest.parse().ok()?),
        "saga" => {
            let (stream, version) = rest.split_once('~')?;
            AuditSource::Saga(stream.parse().ok()?, version.parse().ok().filter(|it| *it <= i32::MAX.unsigned_abs())?)
        }
        _ => return None,
    };
    Some(AuditPlace::new(Timestamp(at.parse().ok()?), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_another_text_is_refused() {
        for source in [
            AuditSource::Deployment(3, "order".into()),
            AuditSource::Text(7),
            AuditSource::Restore(5),
            AuditSource::Reload(6),
            AuditSource::Guard(8),
            AuditSource::Part(4),
            AuditSource::Purge(2),
            AuditSource::Letter(1),
            AuditSource::Saga(Uuid::from_u128(9), 4),
        ] {
            let place = AuditPlace::new(Timestamp(1_700_000_000_000), source);
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for wrong in
            ["", "1~", "1~saga~x~1", "1~saga~00000000-0000-0000-0000-000000000009~-1", "x~guard~1", "1~other~1"]
        {
            assert_eq!(wrong.parse::<AuditPlace>(), Err(AuditPlaceError(wrong.into())));
        }
    }
}
