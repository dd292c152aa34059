//! W3C Trace Context: every call of a saga belongs to the trace that its trigger belongs to, or to one of the saga's
//! own. Ids of spans are derived, so that every engine names the same span alike, whenever it tells of it.

mod passed;

pub use passed::{CORRELATION_ID, REQUEST_ID, passed_on};

use crate::{command::CommandDirection, id::SagaId};
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// The `traceparent` of everything that `saga` sends: `given`, if it is one; otherwise a trace named after the saga, so
/// that an operator finds the trace by the saga's id.
///
/// Source: W3C Trace Context, level 1, section 3.2: two hex digits of version (not `ff`), 32 of trace id and 16 of
/// parent id (neither all zeros), two of flags.
#[must_use]
pub fn traceparent(saga: SagaId, given: Option<&str>) -> String {
    given.filter(|text| is_traceparent(text)).map_or_else(|| of_its_own(saga), str::to_owned)
}

fn of_its_own(saga: SagaId) -> String {
    let id = saga.uuid().as_u128();
    // A UUIDv7 has its variant bits in the lower half, so that half is never zero.
    format!("00-{id:032x}-{:016x}-01", id & u128::from(u64::MAX))
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    match parts.as_slice() {
        [version, trace, parent, flags] => {
            is_hex(version, 2) && *version != "ff" && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)
        }
        _ => false,
    }
}

/// Identity of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// Identity of a span in its trace; never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

/// The trace that a saga belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that the trigger was sent in; `None`: the trace is the saga's own.
    pub parent: Option<SpanId>,
    /// Whether who began the trace records it. Of a saga's own trace always true.
    pub is_recorded: bool,
}

impl TraceContext {
    /// What `traceparent` says, which is the one that [`traceparent`] gave `saga`.
    #[must_use]
    pub fn of(saga: SagaId, traceparent: &str) -> TraceContext {
        let own = saga.uuid().as_u128();
        let field = |from: usize, to: usize| traceparent.get(from..to).unwrap_or_default();
        let trace = u128::from_str_radix(field(3, 35), 16).unwrap_or(own);
        let parent = u64::from_str_radix(field(36, 52), 16).ok().filter(|_| trace != own);
        let flags = u8::from_str_radix(field(53, 55), 16).unwrap_or(1);
        TraceContext { trace: TraceId(trace), parent: parent.map(SpanId), is_recorded: flags & 1 == 1 }
    }

    /// The `traceparent` of what is sent in the span `within`.
    #[must_use]
    pub fn child(&self, within: SpanId, is_sampled: bool) -> String {
        format!("00-{}-{within}-0{}", self.trace, u8::from(is_sampled))
    }
}

/// Which of a saga's spans it is: its id follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKey<'a> {
    /// The saga from its start to its end.
    Saga,
    /// The way back.
    Compensation,
    /// A command from its beginning, guards included, to its end. `granted` is the first attempt that counts: an
    /// operator's retry is another span.
    Command {
        /// Name of the step.
        step: &'a str,
        /// Do or undo.
        direction: CommandDirection,
        /// The first attempt that counts.
        granted: u32,
    },
    /// One attempt, from its decision to its answer.
    Attempt {
        /// Name of the step.
        step: &'a str,
        /// Do or undo.
        direction: CommandDirection,
        /// 1, 2, 3, …
        attempt: u32,
    },
    /// What a command waited for a guard before an attempt.
    Wait {
        /// Name of the step.
        step: &'a str,
        /// Do or undo.
        direction: CommandDirection,
        /// The attempt that came after it.
        attempt: u32,
    },
    /// The saga stood still from this time on, in milliseconds.
    Parked(i64),
    /// The publication of the outcome event.
    Outcome,
    /// The way of a row of the journal to the store.
    Commit(u32),
}

impl SpanKey<'_> {
    /// The id of this span of `saga`: the 64-bit XXH3 of the saga's id and what the key says.
    #[must_use]
    pub fn id(&self, saga: SagaId) -> SpanId {
        let mut hasher = Xxh3::new();
        hasher.update(saga.uuid().as_bytes());
        let (kind, step, direction, number) = self.parts();
        hasher.update(&[kind, u8::from(direction == CommandDirection::Undo)]);
        hasher.update(&number.to_be_bytes());
        hasher.update(step.as_bytes());
        SpanId(hasher.digest().max(1))
    }

    fn parts(&self) -> (u8, &str, CommandDirection, i64) {
        match *self {
            SpanKey::Saga => (0, "", CommandDirection::Do, 0),
            SpanKey::Compensation => (1, "", CommandDirection::Do, 0),
            SpanKey::Command { step, direction, granted } => (2, step, direction, i64::from(granted)),
            SpanKey::Attempt { step, direction, attempt } => (3, step, direction, i64::from(attempt)),
            SpanKey::Wait { step, direction, attempt } => (4, step, direction, i64::from(attempt)),
            SpanKey::Parked(since_ms) => (5, "", CommandDirection::Do, since_ms),
            SpanKey::Outcome => (6, "", CommandDirection::Do, 0),
            SpanKey::Commit(version) => (7, "", CommandDirection::Do, i64::from(version)),
        }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::ShardId, time::Timestamp};

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_trigger_s_trace_goes_on() {
        let saga = SagaId::new(Timestamp(1), ShardId(1), 1);
        assert_eq!(traceparent(saga, Some(GIVEN)), GIVEN);
    }

    #[test]
    fn without_one_that_counts_the_saga_has_its_own() {
        let saga = SagaId::new(Timestamp(1), ShardId(1), 1);
        for given in
            [None, Some("00-a-b-01"), Some(""), Some("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
        {
            let own = traceparent(saga, given);
            assert!(is_traceparent(&own), "{own}");
            assert!(own.contains(&saga.uuid().simple().to_string()), "{own}");
        }
    }
    #[test]
    fn a_context_is_the_trigger_s_or_the_saga_s_own() {
        let saga = SagaId::new(Timestamp(1), ShardId(1), 1);
        let given = TraceContext::of(saga, &traceparent(saga, Some(GIVEN)));
        assert_eq!(given.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(given.parent.map(|parent| parent.to_string()).as_deref(), Some("b7ad6b7169203331"));
        assert!(given.is_recorded);
        let silent = TraceContext::of(saga, &GIVEN.replace("-01", "-00"));
        assert!(!silent.is_recorded);
        let own = TraceContext::of(saga, &traceparent(saga, None));
        assert_eq!((own.trace.0, own.parent, own.is_recorded), (saga.uuid().as_u128(), None, true));
    }

    #[test]
    fn what_is_sent_names_its_span_as_parent() {
        let saga = SagaId::new(Timestamp(1), ShardId(1), 1);
        let context = TraceContext::of(saga, GIVEN);
        let sent = context.child(SpanId(0xab), true);
        assert_eq!(sent, "00-0af7651916cd43dd8448eb211c80319c-00000000000000ab-01");
        assert!(is_traceparent(&sent));
        assert!(context.child(SpanId(0xab), false).ends_with("-00"));
    }

    #[test]
    fn spans_differ_by_all_that_names_them() {
        let (one, other) = (SagaId::new(Timestamp(1), ShardId(1), 8), SagaId::new(Timestamp(1), ShardId(1), 4));
        let (perform, undo) = (CommandDirection::Do, CommandDirection::Undo);
        let keys = [
            SpanKey::Saga,
            SpanKey::Compensation,
            SpanKey::Outcome,
            SpanKey::Parked(1),
            SpanKey::Parked(2),
            SpanKey::Commit(1),
            SpanKey::Command { step: "pay", direction: perform, granted: 1 },
            SpanKey::Command { step: "pay", direction: undo, granted: 1 },
            SpanKey::Command { step: "pay", direction: perform, granted: 4 },
            SpanKey::Attempt { step: "pay", direction: perform, attempt: 1 },
            SpanKey::Attempt { step: "ship", direction: perform, attempt: 1 },
            SpanKey::Wait { step: "pay", direction: perform, attempt: 1 },
        ];
        let ids: std::collections::BTreeSet<u64> =
            keys.iter().flat_map(|key| [key.id(one).0, key.id(other).0]).collect();
        assert_eq!(ids.len(), 2 * keys.len());
        assert_eq!(SpanKey::Saga.id(one), SpanKey::Saga.id(one));
    }
}
