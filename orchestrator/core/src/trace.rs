//! W3C Trace Context: every call of a saga belongs to the trace that its trigger belongs to, or to one of the saga's
//! own.

use crate::id::SagaId;

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
}
