//! Shards that do not take their messages, as JSON and as metrics.

use saga_engine::{LagReason, LaggingShard};
use serde_json::{Value, json};

/// The shards in the answer of `/health/ready`.
pub(super) fn shown(behind: &[LaggingShard]) -> Vec<Value> {
    let shown = |one: &LaggingShard| json!({"shard": one.shard.0, "why": one.why.as_str(), "forSeconds": one.since.elapsed().as_secs()});
    behind.iter().map(shown).collect()
}

/// For `/metrics`: the state at the time of the scrape.
pub(super) fn measure(behind: &[LaggingShard]) {
    for why in [LagReason::NotClaimed, LagReason::Full, LagReason::Returning] {
        let shards = u16::try_from(behind.iter().filter(|one| one.why == why).count()).unwrap_or(u16::MAX);
        metrics::gauge!("saga_shards_behind", "why" => why.as_str()).set(f64::from(shards));
    }
}
