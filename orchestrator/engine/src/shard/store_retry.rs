//! Asking the event store until it answers.

use super::context::ShardContext;
use crate::retry::RetryDelays;
use saga_event_store::StoreError;
use std::time::Duration;

/// Between two tries while the store is unavailable.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// Between two tries of what the store refuses: an operator has to repair something, so there is no hurry.
const REFUSED_MIN: Duration = Duration::from_secs(2);
const REFUSED_MAX: Duration = Duration::from_secs(60);

/// Tries until the store answers; only a stop ends it, from outside. What the store refuses is tried on as well,
/// because no other engine could do better, but less and less often: the log says so at each try, and the engine is not
/// ready until the store answers.
pub(super) async fn until_answered<T, F: Future<Output = Result<T, StoreError>>>(
    context: &ShardContext,
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let health = &context.store.health;
    let mut unavailable = RetryDelays::new(RETRY_MIN, RETRY_MAX);
    let mut refused = RetryDelays::new(REFUSED_MIN, REFUSED_MAX);
    let mut refusal = None;
    loop {
        match attempt().await {
            // The refusal is not reported any more once this returns, or is dropped.
            Ok(answer) => return answer,
            Err(error) if error.is_transient() => {
                health.missed(what, &error);
                unavailable.wait().await;
            }
            Err(error) => {
                refusal = Some(health.refused(what, &error, refusal.take()));
                refused.wait().await;
            }
        }
    }
}
