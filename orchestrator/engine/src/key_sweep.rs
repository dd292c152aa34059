//! Business keys are kept for a time only: those of sagas that ended longer ago than `keepKeys` are forgotten.

use super::{active_config::ActiveConfigCell, journal::JournalAccess};
use saga_base::clock::EngineClock;
use saga_event_store::{KeySweep, StoreError};
use std::sync::Arc;
use tracing::{info, warn};

/// Keys that are looked at in one transaction: some milliseconds of work.
const PAGE: u32 = 1000;

/// Removes old business keys from the store. A cheap handle.
#[derive(Clone, Debug)]
pub struct KeySweeper {
    journal: JournalAccess,
    config: Arc<ActiveConfigCell>,
    clock: EngineClock,
}

impl KeySweeper {
    pub(crate) fn new(journal: JournalAccess, config: Arc<ActiveConfigCell>, clock: EngineClock) -> KeySweeper {
        KeySweeper { journal, config, clock }
    }

    /// Goes once through the keys of all definitions that have `keepKeys`. Keys that the store does not forget now stay
    /// until the next time; the log says so.
    pub async fn sweep(&self) {
        for plan in self.config.keep().catalog.plans() {
            let Some(keep) = plan.definition.trigger.keep_keys else { continue };
            let ended_before_ms = self.clock.now().minus(keep).0;
            if let Err(error) = self.forget(&plan.definition.name, ended_before_ms).await {
                warn!(definition = plan.definition.name, %error, "old keys are not forgotten; they stay until the next try");
            }
        }
    }

    async fn forget(&self, category: &str, ended_before_ms: i64) -> Result<(), StoreError> {
        let mut sweep = KeySweep { category: category.to_owned(), ended_before_ms, after: None, limit: PAGE };
        let mut forgotten = 0;
        loop {
            let swept = self.journal.store().forget_keys(&sweep).await?;
            forgotten += swept.forgotten;
            match swept.next {
                Some(next) => sweep.after = Some(next),
                None => break,
            }
        }
        if forgotten > 0 {
            info!(definition = category, forgotten, "keys of sagas that ended longer ago than keepKeys are forgotten");
        }
        Ok(())
    }
}
