//! Of which sagas spans are told.

use super::TraceSampling;
use saga_core::{
    id::{SagaId, ShardId},
    time::Timestamp,
    trace::{TraceContext, traceparent},
};
use std::time::Duration;

fn sampling(share: f64) -> TraceSampling {
    TraceSampling { follows_trigger: true, share, slow: Some(Duration::from_secs(5)) }
}

fn own(random: u64) -> TraceContext {
    let saga = SagaId::new(Timestamp(1_700_000_000_000), ShardId(7), random);
    TraceContext::of(saga, &traceparent(saga, None))
}

#[test]
fn a_share_of_the_sagas_is_told_of_and_the_same_ones_everywhere() {
    // Multiples of a large odd number are spread evenly.
    let randoms = (1..=10_000u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let taken: Vec<u64> = randoms.filter(|random| sampling(0.1).takes(own(*random))).collect();
    assert!((900..1_100).contains(&taken.len()), "{}", taken.len());
    assert!(taken.iter().all(|random| sampling(0.2).takes(own(*random))), "a larger share has them all");
    assert!((1..100).all(|random| sampling(1.0).takes(own(random)) && !sampling(0.0).takes(own(random))));
}

#[test]
fn a_trigger_s_trace_is_recorded_everywhere_or_nowhere() {
    let saga = SagaId::new(Timestamp(1), ShardId(7), 1);
    let given = |flags: &str| format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    let takes = |flags, sampling: TraceSampling| sampling.takes(TraceContext::of(saga, &given(flags)));
    assert!(takes("01", sampling(0.0)));
    assert!(!takes("00", sampling(1.0)));
    assert!(takes("00", TraceSampling { follows_trigger: false, ..sampling(1.0) }));
}

#[test]
fn a_saga_is_slow_from_the_limit_on() {
    assert!(sampling(0.0).is_slow(5_000));
    assert!(!sampling(0.0).is_slow(4_999));
    assert!(!TraceSampling { slow: None, ..sampling(0.0) }.is_slow(i64::MAX));
}
