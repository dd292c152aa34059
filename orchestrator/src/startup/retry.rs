//! Waits at the start for a server that does not answer yet.

use crate::readiness::EngineReadiness;
use backon::{ExponentialBuilder, Retryable};
use std::{fmt::Display, future::Future, sync::Arc, time::Duration};
use tokio::sync::watch;
use tracing::warn;

/// The first retry delay; each is twice the last.
const FIRST: Duration = Duration::from_millis(500);
/// The longest retry delay: the engine notices within it that a server answers again.
const LONGEST: Duration = Duration::from_secs(5);

/// Tries without a limit until `attempt` succeeds. The log reports each failed attempt, and `readiness` says meanwhile
/// what the start waits for.
///
/// # Errors
/// When `attempt` fails with an error that is not transient.
pub(super) async fn until_it_answers<T, E: Display, F: Future<Output = Result<T, E>>>(
    readiness: &watch::Sender<EngineReadiness>,
    what: &str,
    attempt: impl FnMut() -> F,
    is_transient: fn(&E) -> bool,
) -> Result<T, E> {
    let waits = ExponentialBuilder::default().with_min_delay(FIRST).with_max_delay(LONGEST).without_max_times();
    readiness.send_replace(EngineReadiness::Starting { waiting_for: Some(Arc::from(what)) });
    let outcome = until(waits, what, attempt, is_transient).await;
    readiness.send_replace(EngineReadiness::Starting { waiting_for: None });
    outcome
}

async fn until<T, E: Display, F: Future<Output = Result<T, E>>>(
    waits: ExponentialBuilder,
    what: &str,
    attempt: impl FnMut() -> F,
    is_transient: fn(&E) -> bool,
) -> Result<T, E> {
    attempt
        .retry(waits)
        .when(is_transient)
        .notify(|error, wait| warn!(%error, ?wait, "{what} does not answer; the engine waits and tries again"))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    async fn outcomes(list: &[Result<u8, &'static str>]) -> Result<u8, &'static str> {
        let next = Cell::new(0);
        let attempt = || {
            let outcome = list[next.replace(next.get() + 1)];
            async move { outcome }
        };
        let at_once = ExponentialBuilder::default().with_min_delay(Duration::ZERO).with_max_delay(Duration::ZERO);
        until(at_once.without_max_times(), "it", attempt, |error| *error == "away").await
    }

    #[tokio::test]
    async fn what_comes_back_is_waited_for() {
        assert_eq!(outcomes(&[Err("away"), Err("away"), Ok(1)]).await, Ok(1));
    }

    #[tokio::test]
    async fn what_is_wrong_is_not() {
        assert_eq!(outcomes(&[Err("away"), Err("wrong"), Ok(1)]).await, Err("wrong"));
    }

    #[tokio::test]
    async fn what_is_waited_for_is_known_meanwhile_and_forgotten_after() {
        let (readiness, seen) = watch::channel(EngineReadiness::Starting { waiting_for: None });
        let attempt = || {
            let seen = seen.borrow().clone();
            async move { Ok::<_, &str>(seen) }
        };
        let meanwhile = until_it_answers(&readiness, "the store", attempt, |_| true).await;
        assert_eq!(meanwhile, Ok(EngineReadiness::Starting { waiting_for: Some("the store".into()) }));
        assert_eq!(*seen.borrow(), EngineReadiness::Starting { waiting_for: None });
    }
}
