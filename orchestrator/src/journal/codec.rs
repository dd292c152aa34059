//! Saga events ↔ stored bytes. The payload of a row is `{"v":1,"events":[…]}`; version and time are columns of their own.

use saga_core::{event::Decision, event::Event, id::SagaId, time::Timestamp};
use serde::{Deserialize, Serialize};

/// Of the stored shape. A reader refuses a number that it does not know, so that an older build never misreads a newer row.
const FORMAT: u8 = 1;

/// A stored row cannot be read as a decision.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Written by a build that knows more.
    #[error(
        "row {saga}/{version} has format {format}, this build reads format {FORMAT}: it was written by a newer build"
    )]
    Format {
        /// Whose row.
        saga: SagaId,
        /// Which row.
        version: u32,
        /// The number it carries.
        format: u8,
    },
    /// Not what this build writes.
    #[error("row {saga}/{version} does not read as events")]
    Shape {
        /// Whose row.
        saga: SagaId,
        /// Which row.
        version: u32,
        /// Where it differs.
        source: serde_json::Error,
    },
}

#[derive(Serialize)]
struct Written<'a> {
    v: u8,
    events: &'a [Event],
}

#[derive(Deserialize)]
struct Format {
    v: u8,
}

#[derive(Deserialize)]
struct Read {
    events: Vec<Event>,
}

/// The payload of the row that records `decision`.
#[must_use]
pub fn encode(decision: &Decision) -> Vec<u8> {
    serde_json::to_vec(&Written { v: FORMAT, events: &decision.events })
        .expect("events have string keys only and no fallible serializer")
}

/// The decision that a row records.
///
/// # Errors
/// When the row was written by a newer build, or is not a row of ours.
pub fn decode(saga: SagaId, version: u32, at: Timestamp, payload: &[u8]) -> Result<Decision, Unreadable> {
    let shape = |source| Unreadable::Shape { saga, version, source };
    let Format { v: format } = serde_json::from_slice(payload).map_err(shape)?;
    if format != FORMAT {
        return Err(Unreadable::Format { saga, version, format });
    }
    let Read { events } = serde_json::from_slice(payload).map_err(shape)?;
    Ok(Decision { version, at, events })
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{command::Direction, id::Shard, id::StepIndex};

    fn saga() -> SagaId {
        SagaId::new(Timestamp(1), Shard(3), 99)
    }

    #[test]
    fn a_decision_reads_back() {
        let skipped = Event::StepSkipped { step: StepIndex(2), direction: Direction::Do };
        let decision = Decision { version: 4, at: Timestamp(77), events: vec![Event::SagaOverdue, skipped] };
        let payload = encode(&decision);
        assert_eq!(
            String::from_utf8_lossy(&payload),
            r#"{"v":1,"events":["sagaOverdue",{"stepSkipped":{"step":2,"direction":"do"}}]}"#
        );
        assert_eq!(decode(saga(), 4, Timestamp(77), &payload).expect("reads back"), decision);
    }

    #[test]
    fn a_newer_row_is_refused_by_its_number() {
        let error = decode(saga(), 4, Timestamp(77), br#"{"v":2,"events":[{"nobodyKnows":{}}]}"#).expect_err("newer");
        assert!(matches!(error, Unreadable::Format { format: 2, version: 4, .. }), "{error}");
    }

    #[test]
    fn a_broken_row_names_saga_and_version() {
        let error = decode(saga(), 4, Timestamp(77), b"{").expect_err("broken");
        assert!(error.to_string().contains(&format!("{}/4", saga())), "{error}");
    }
}
