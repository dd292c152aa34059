//! What came of an act: where the saga is when nothing of it is under way any more, or when the caller's maximum wait
//! is over.

use super::journal::{
    JournalAccess,
    reading::{self, RefreshScope, SagaLine},
};
use saga_core::{describe::StepPhase, id::SagaId, state::SagaStatus};
use std::time::Duration;
use tokio::time::Instant;

/// The longest that is waited for what comes of an act: with the time for the act itself it fits the time of a request.
pub const MOST_WAIT: Duration = Duration::from_secs(10);
/// Before the second look; each one after it waits twice as long.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// Between two looks at most: a look reads the outlines of one saga.
const LOOK_SELDOM: Duration = Duration::from_millis(400);

/// Where the saga is as soon as it waits, is parked or has ended, and after `wait` in any case. `None`: the store does
/// not say.
pub(crate) async fn of(journal: &JournalAccess, saga: SagaId, wait: Duration) -> Option<SagaLine> {
    let until = Instant::now() + wait.min(MOST_WAIT);
    let mut pause = LOOK_AGAIN;
    loop {
        let (line, is_under_way) = look(journal, saga).await?;
        if !is_under_way || Instant::now() >= until {
            return Some(line);
        }
        tokio::time::sleep_until((Instant::now() + pause).min(until)).await;
        pause = (pause * 2).min(LOOK_SELDOM);
    }
}

/// Where the saga is, and whether something of it is under way.
async fn look(journal: &JournalAccess, saga: SagaId) -> Option<(SagaLine, bool)> {
    let summary = journal.store().summary(saga.uuid()).await.ok()??;
    let mut line = [SagaLine::from(summary)];
    // A saga that cannot be read is reported as the read model has it.
    let steps = reading::refresh(journal.store().as_ref(), journal.plans(), &mut line, RefreshScope::OpenAndFaults)
        .await
        .unwrap_or_default();
    let is_out = steps.get(&saga).is_some_and(|steps| steps.iter().any(|(_, phase)| *phase == StepPhase::Running));
    let [line] = line;
    let is_under_way = match line.status.parse::<SagaStatus>() {
        Ok(SagaStatus::Running | SagaStatus::Compensating) => true,
        // A further attempt is out.
        Ok(SagaStatus::Waiting) => is_out,
        Ok(SagaStatus::Parked | SagaStatus::Completed | SagaStatus::Compensated | SagaStatus::Abandoned) | Err(_) => {
            false
        }
    };
    Some((line, is_under_way))
}
