//! The wait scheduler: it notifies the waiting commands of all gates when there is capacity for them.

use super::GuardRegistry;
use crate::{gate::CallGate, topic_availability::TopicAvailability};
use std::{sync::Arc, time::Duration};

/// Between two rounds at least: every call that ends while a command waits wakes the scheduler, and a round looks at
/// all queues.
const ROUND: Duration = Duration::from_millis(1);
/// Between two rounds at most: what neither a wakeup nor a time announces is seen then.
const LONGEST: Duration = Duration::from_secs(5);

impl GuardRegistry {
    /// Notifies waiting commands whenever a wakeup or the time of one comes, and publishes what time alone changes.
    /// Never ends. When it is dropped, no command is notified any more.
    pub async fn run_wait_scheduler(self: Arc<GuardRegistry>) {
        tokio::join!(self.notify_in_a_loop(), self.publish_lifecycle_changes());
    }

    async fn notify_in_a_loop(&self) {
        loop {
            let next = self.notify_waiters();
            tokio::time::sleep(ROUND).await;
            let rest = next.unwrap_or(LONGEST).min(LONGEST);
            // A wakeup that came meanwhile is stored, so none is missed.
            drop(tokio::time::timeout(rest, self.wakeup.notified()).await);
        }
    }

    /// One round. Answers when to look again, if no wakeup comes before.
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

    /// Gates of participants that are not configured, or not any more.
    fn unconfigured_gates(&self) -> Vec<Arc<CallGate>> {
        let removed = self.retired_gates.lock();
        removed.iter().chain([&self.unconfigured]).map(Arc::clone).collect()
    }
}
