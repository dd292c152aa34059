//! A steady stream of things to do: one after the other at a rate, however long each takes.

use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Turns come at a rate until its time is over. A turn that was missed comes at once: what is offered does not become
/// less because it is taken slowly.
pub struct EndPace {
    turns: Interval,
    end: Instant,
}

impl EndPace {
    /// So many turns a second from now on, for so long.
    #[must_use]
    pub fn new(per_second: u32, length: Duration) -> EndPace {
        let begin = Instant::now();
        let mut turns = interval_at(begin, Duration::from_secs(1) / per_second);
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        EndPace { turns, end: begin + length }
    }

    /// Returns at the next turn: `Some`, or `None` when the time is over.
    pub async fn turn(&mut self) -> Option<()> {
        let turn = self.turns.tick().await;
        (turn < self.end).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_as_many_turns_as_the_rate_says_however_long_they_take() {
        let (mut pace, mut turns) = (EndPace::new(1_000, Duration::from_millis(20)), 0);
        while pace.turn().await.is_some() {
            turns += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!(turns, 20);
    }
}
