//! Archives again and again while an engine runs.

use super::{ArchivePass, ArchivePassReport, ArchivingError, RetentionOf};
use crate::{active_config::ActiveConfigCell, journal::JournalAccess};
use saga_base::clock::EngineClock;
use saga_event_store::ArchiveState;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tracing::warn;

/// Lets sagas leave the store by the definitions of this engine. A cheap handle.
#[derive(Clone, Debug)]
pub struct ArchiveKeeper {
    journal: JournalAccess,
    config: Arc<ActiveConfigCell>,
    clock: EngineClock,
    folder: Option<PathBuf>,
    width: Duration,
}

impl ArchiveKeeper {
    pub(crate) fn new(
        journal: JournalAccess,
        config: Arc<ActiveConfigCell>,
        clock: EngineClock,
        (folder, width): (Option<PathBuf>, Duration),
    ) -> ArchiveKeeper {
        ArchiveKeeper { journal, config, clock, folder, width }
    }

    /// One pass, and how far sagas have left by then. If it fails, the log says so, and the next call tries again.
    pub async fn pass(&self) {
        if let Err(error) = self.run().await {
            warn!(%error, "ended sagas do not leave the event store; the next try is later");
        }
        if let Err(error) = self.look_at_horizon().await {
            warn!(%error, "the archives on record are not read; the next try is later");
        }
    }

    /// Learns how far sagas have left.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn look_at_horizon(&self) -> Result<(), saga_event_store::StoreError> {
        let archives = self.journal.store().archives().await?;
        let horizon = self.journal.horizon();
        archives.iter().filter(|it| it.state != ArchiveState::Writing).for_each(|it| horizon.reach(it.period.to_ms));
        Ok(())
    }

    async fn run(&self) -> Result<ArchivePassReport, ArchivingError> {
        let config = self.config.keep();
        let retention = retention_of(config.catalog.plans().iter().map(|plan| plan.definition.as_ref()));
        let pass = ArchivePass {
            store: Arc::clone(self.journal.store()),
            plans: self.journal.shared_plans(),
            retention,
            folder: self.folder.clone(),
            width: self.width,
            clock: self.clock,
            present: self.clock,
        };
        pass.run().await
    }
}

/// What these definitions say about how long their sagas stay.
#[must_use]
pub fn retention_of<'a>(
    definitions: impl Iterator<Item = &'a saga_core::definition::SagaDefinition>,
) -> Vec<RetentionOf> {
    let of =
        |it: &saga_core::definition::SagaDefinition| Some(RetentionOf { saga: it.name.clone(), rule: it.retention? });
    definitions.filter_map(of).collect()
}
