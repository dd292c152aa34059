//! Waiting for what has to become true, with an end.

use anyhow::{Result, anyhow};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

/// Between two looks: short beside everything that is waited for, long beside a look.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until `look` finds something, and returns it.
///
/// # Errors
/// When `within` is over: the message names `what` and says what the last look failed with, if it failed.
pub async fn eventually<T, F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let end = Instant::now() + within;
    loop {
        let last = match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() >= end {
            let why = last.map_or(String::new(), |error| format!("; the last look failed: {error:#}"));
            return Err(anyhow!("not within {within:?}: {what}{why}"));
        }
        sleep(PAUSE).await;
    }
}
