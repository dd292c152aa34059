//! Calls out of the lines who may go on.

use super::GuardRegistry;
use crate::{gate::CallGate, topics::TopicAvailability};
use std::{sync::Arc, time::Duration};

/// Between two rounds at least: bells ring for every call that ends while somebody waits, and a round looks at all lines.
const ROUND: Duration = Duration::from_millis(1);
/// Between two rounds at most: what no bell and no time announces is seen then.
const LONGEST: Duration = Duration::from_secs(5);

impl GuardRegistry {
    /// Calls who may go on, whenever a bell rings or the time of somebody comes, and tells who follows what time changes. Never ends; dropped,
    /// nobody is called any more.
    pub async fn keep_lines(self: Arc<GuardRegistry>) {
        tokio::join!(self.call_for_ever(), self.tell_what_is_seen());
    }

    async fn call_for_ever(&self) {
        loop {
            let next = self.call_who_may_go_on();
            tokio::time::sleep(ROUND).await;
            let rest = next.unwrap_or(LONGEST).min(LONGEST);
            // A bell that rang in the meantime is still heard.
            drop(tokio::time::timeout(rest, self.bell.notified()).await);
        }
    }

    /// When to look again, if no bell rings before.
    pub(super) fn call_who_may_go_on(&self) -> Option<Duration> {
        self.let_in_who_waited_for_topics();
        let participants = self.participants.load_full();
        let configured = participants
            .values()
            .filter_map(|it| it.gate.call_who_may_go_on(it.is_well(), self.takes_commands(&it.route)));
        let gone = self
            .gates_of_nobody()
            .into_iter()
            .filter_map(|gate| gate.call_who_may_go_on(Ok(()), TopicAvailability::All));
        let topics = self.publishing.gates().into_iter();
        let published = topics.filter_map(|(topic, gate)| gate.call_who_may_go_on(Ok(()), self.topics.takes(&topic)));
        let next = configured.chain(gone).chain(published).min();
        self.publishing.look(&self.topics, |topic| self.commands_in_line(topic));
        next
    }

    fn gates_of_nobody(&self) -> Vec<Arc<CallGate>> {
        let removed = self.removed.lock();
        removed.iter().chain([&self.nowhere]).map(Arc::clone).collect()
    }
}
