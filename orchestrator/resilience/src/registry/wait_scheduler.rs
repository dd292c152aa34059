//! Calls out of the lines who may go on.

use super::GuardRegistry;
use crate::{gate::CallGate, topic_availability::TopicAvailability};
use std::{sync::Arc, time::Duration};

/// Between two rounds at least: bells ring for every call that ends while somebody waits, and a round looks at all lines.
const ROUND: Duration = Duration::from_millis(1);
/// Between two rounds at most: what no bell and no time announces is seen then.
const LONGEST: Duration = Duration::from_secs(5);

impl GuardRegistry {
    /// Calls who may go on, whenever a bell rings or the time of somebody comes, and tells who follows what time changes. Never ends; dropped,
    /// nobody is called any more.
    pub async fn run_wait_scheduler(self: Arc<GuardRegistry>) {
        tokio::join!(self.notify_in_a_loop(), self.publish_lifecycle_changes());
    }

    async fn notify_in_a_loop(&self) {
        loop {
            let next = self.notify_waiters();
            tokio::time::sleep(ROUND).await;
            let rest = next.unwrap_or(LONGEST).min(LONGEST);
            // A bell that rang in the meantime is still heard.
            drop(tokio::time::timeout(rest, self.wakeup.notified()).await);
        }
    }

    /// When to look again, if no bell rings before.
    pub(super) fn notify_waiters(&self) -> Option<Duration> {
        self.release_recovered_topics();
        let participants = self.participants.load_full();
        let configured = participants
            .values()
            .filter_map(|it| it.gate.notify_waiters(it.check_health(), self.command_topic_availability(&it.route)));
        let gone = self
            .unconfigured_gates()
            .into_iter()
            .filter_map(|gate| gate.notify_waiters(Ok(()), TopicAvailability::All));
        let topics = self.publishing.gates().into_iter();
        let published =
            topics.filter_map(|(topic, gate)| gate.notify_waiters(Ok(()), self.topics.availability(&topic)));
        let next = configured.chain(gone).chain(published).min();
        self.publishing.report_waiting(&self.topics, |topic| self.queued_commands(topic));
        next
    }

    fn unconfigured_gates(&self) -> Vec<Arc<CallGate>> {
        let removed = self.retired_gates.lock();
        removed.iter().chain([&self.unconfigured]).map(Arc::clone).collect()
    }
}
