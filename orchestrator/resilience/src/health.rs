//! Health checks: one task for each participant that wants them, and what they have found.
//!
//! Guards ask before a call is recorded: while a participant says itself that it is not well, its calls wait for
//! the next check instead of failing one by one.

mod monitored;
mod probe;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use probe::HealthProbe;
pub use view::{HealthCheckView, HealthView};

use crate::guard_events::GuardEventBus;
pub(super) use monitored::MonitoredParticipant;
use saga_base::sync::{MutexGuard, UnpoisonedMutex};
use saga_guards::{MonotonicTime, health};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{runtime::Handle, time::Instant};

/// All health checks of an engine. Dropped, they end.
#[derive(Debug)]
pub struct HealthMonitor {
    started: Instant,
    changes: GuardEventBus,
    watched: UnpoisonedMutex<MonitorRegistry>,
}

#[derive(Debug, Default)]
struct MonitorRegistry {
    by_name: HashMap<String, Arc<MonitoredParticipant>>,
    /// Where tasks run, once they may.
    runtime: Option<Handle>,
}

impl Default for HealthMonitor {
    fn default() -> HealthMonitor {
        HealthMonitor::new(GuardEventBus::default())
    }
}

impl HealthMonitor {
    /// No participant is checked yet. What checks find out is published in `changes`.
    #[must_use]
    pub fn new(changes: GuardEventBus) -> HealthMonitor {
        HealthMonitor { started: Instant::now(), changes, watched: UnpoisonedMutex::default() }
    }

    /// From here on `participant` is asked `question` by `config`; what is known of it stays. `None`: it is not asked
    /// any more, and nothing is known, nor answered.
    pub(super) fn watch(
        &self,
        participant: &str,
        question: Option<(HealthProbe, health::HealthTrackerConfig)>,
    ) -> Option<Arc<MonitoredParticipant>> {
        let mut book = self.book();
        match (book.by_name.get(participant).cloned(), question) {
            (None, None) => None,
            (Some(known), None) => {
                known.stop();
                book.by_name.remove(participant);
                None
            }
            (Some(known), Some((question, config))) => {
                known.change(question, config);
                run(&book, &known);
                Some(known)
            }
            (None, Some((question, config))) => {
                let watched =
                    MonitoredParticipant::new(participant, self.started, question, config, self.changes.clone());
                let watched = Arc::new(watched);
                run(&book, &watched);
                book.by_name.insert(participant.to_owned(), Arc::clone(&watched));
                Some(watched)
            }
        }
    }

    /// Ends the checks of all others than `participants`.
    pub fn forget_all_but(&self, participants: &dyn Fn(&str) -> bool) {
        self.book().by_name.retain(|name, watched| {
            let stays = participants(name);
            if !stays {
                watched.stop();
            }
            stays
        });
    }

    /// Lets the checks begin, those of participants that come later included.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn start(&self) {
        let mut book = self.book();
        book.runtime = Some(Handle::current());
        book.by_name.values().for_each(|watched| run(&book, watched));
    }

    /// Ends the checks; what is known stays, and soon holds no more.
    pub fn stop(&self) {
        let mut book = self.book();
        book.runtime = None;
        book.by_name.values().for_each(|watched| watched.stop());
    }

    /// Whether calls to `participant` may be sent; a participant that is not checked is healthy.
    ///
    /// # Errors
    /// How long to wait until a check may have found it well.
    pub fn is_well(&self, participant: &str) -> Result<(), Duration> {
        self.watched(participant).map_or(Ok(()), |watched| watched.check_health())
    }

    /// What the checks of `participant` found; `None`: it is not checked.
    #[must_use]
    pub(crate) fn participant_health(&self, participant: &str) -> Option<health::HealthSnapshot> {
        self.watched(participant).map(|watched| watched.snapshot(self.now()))
    }

    /// What the checks of each endpoint of `participant` found, by its base URL.
    #[must_use]
    pub(crate) fn endpoint_health(&self, participant: &str) -> Vec<(String, health::HealthSnapshot)> {
        self.watched(participant).map(|watched| watched.endpoints(self.now())).unwrap_or_default()
    }

    fn watched(&self, participant: &str) -> Option<Arc<MonitoredParticipant>> {
        self.book().by_name.get(participant).cloned()
    }

    fn now(&self) -> MonotonicTime {
        MonotonicTime::since_origin(self.started.elapsed())
    }

    /// The book is consistent between any two statements, so a panic elsewhere under the lock leaves nothing half done.
    fn book(&self) -> MutexGuard<'_, MonitorRegistry> {
        self.watched.lock()
    }
}

impl Drop for HealthMonitor {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lets the checks of `watched` run, if they may by now.
fn run(book: &MonitorRegistry, watched: &Arc<MonitoredParticipant>) {
    if let Some(runtime) = &book.runtime {
        watched.run(runtime);
    }
}
