//! Timeouts that count only time in which this process ran: one that was suspended, stopped or starved has not read
//! what came meanwhile.

use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep_until};

/// A timer that is late by more than this was kept from firing: the process did not run.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// Returns at `deadline`, or `again` after the process stood still when that came.
pub(super) async fn ends(mut deadline: Instant, again: Duration) {
    loop {
        sleep_until(deadline).await;
        let now = Instant::now();
        if now.duration_since(deadline) < STOOD_STILL {
            return;
        }
        deadline = now + again;
    }
}

/// What `future` comes to, unless `deadline` [`ends`] before.
pub(super) async fn within<T>(deadline: Instant, again: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = ends(deadline, again) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_its_time() {
        let began = Instant::now();
        assert_eq!(within(began + LIMIT, LIMIT, std::future::pending::<()>()).await, None);
        assert!(began.elapsed() < LIMIT + STOOD_STILL);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_while_the_process_stood_still_is_read() {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let call = tokio::spawn(within(Instant::now() + LIMIT, LIMIT, answered));
        tokio::task::yield_now().await;
        tokio::time::advance(LIMIT * 10).await;
        tokio::task::yield_now().await;
        answer.send("done").expect("the call waits");
        assert_eq!(call.await.expect("the call ends"), Some(Ok("done")));
    }
}
