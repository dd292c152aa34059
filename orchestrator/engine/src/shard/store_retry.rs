//! Asking the event store until it answers.

use super::context::ShardContext;
use backon::{BackoffBuilder, ExponentialBuilder};
use saga_event_store::StoreError;
use std::time::Duration;

/// The longest wait between two tries while the store is unavailable.
const STORE_RETRY_MAX: Duration = Duration::from_secs(2);

/// Tries until the store answers; only a stop ends it, from outside.
pub(super) async fn until_answered<T, F: Future<Output = Result<T, StoreError>>>(
    context: &ShardContext,
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let mut delays =
        ExponentialBuilder::default().with_max_delay(STORE_RETRY_MAX).with_jitter().without_max_times().build();
    loop {
        match attempt().await {
            Ok(answer) => return answer,
            Err(error) => context.store.health.missed(what, &error),
        }
        tokio::time::sleep(delays.next().unwrap_or(STORE_RETRY_MAX)).await;
    }
}
