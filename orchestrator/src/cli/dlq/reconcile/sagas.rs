//! Whether the sagas are there that redrives started.

use saga_core::id::SagaId;
use saga_engine::archiving::left::{self, LeftSagaError};
use saga_event_store::{
    ArchiveRecord, ArchiveState, EventStore, LetterCoordinates, LetterStatus, MAX_PAGE, StoredLetter,
};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// A letter and the saga that its redrive started.
type StartedSaga = (LetterCoordinates, String, SagaId);

/// Sagas that are to be looked for, of the rows of one portion.
pub(super) struct StartedSagas {
    store: Arc<dyn EventStore>,
    folder: Option<PathBuf>,
    archives: Vec<ArchiveRecord>,
    expected: Vec<StartedSaga>,
}

impl StartedSagas {
    pub(super) async fn read(store: Arc<dyn EventStore>, folder: Option<PathBuf>) -> anyhow::Result<StartedSagas> {
        let archives = store.archives().await?;
        Ok(StartedSagas { store, folder, archives, expected: Vec::new() })
    }

    /// Remembers the sagas that redrives of these letters started.
    pub(super) fn expect(&mut self, rows: &[StoredLetter]) {
        let redriven = rows.iter().filter(|row| row.status == LetterStatus::Redriven);
        self.expected.extend(redriven.filter_map(|row| {
            let result = row.change.as_ref()?.result.as_deref()?;
            Some((row.place.clone(), row.letter.id.clone(), started(result)?))
        }));
    }

    /// Those of the remembered ones that are neither in the store nor in an archive; nothing is remembered any more.
    pub(super) async fn missing(&mut self) -> anyhow::Result<Vec<StartedSaga>> {
        let mut missing = Vec::new();
        for part in std::mem::take(&mut self.expected).chunks(usize::try_from(MAX_PAGE)?) {
            let ids: Vec<_> = part.iter().map(|(_, _, saga)| saga.uuid()).collect();
            let there: BTreeSet<_> =
                self.store.standings(&ids).await?.into_iter().map(|standing| standing.summary.stream).collect();
            for one in part.iter().filter(|(_, _, saga)| !there.contains(&saga.uuid())) {
                if !self.has_left(one.2).await? {
                    missing.push(one.clone());
                }
            }
        }
        Ok(missing)
    }

    /// Whether the saga left the store: for an archive that has it, or dropped with those of its time.
    async fn has_left(&self, saga: SagaId) -> anyhow::Result<bool> {
        let started_ms = saga.started_at().0;
        let is_dropped = |archive: &ArchiveRecord| {
            let period = archive.period;
            archive.state != ArchiveState::Writing
                && archive.content.file.is_none()
                && (period.from_ms..period.to_ms).contains(&started_ms)
        };
        if self.archives.iter().any(is_dropped) {
            return Ok(true);
        }
        match left::find_id(self.store.as_ref(), self.folder.as_deref(), saga).await {
            Ok(found) => Ok(found.is_some()),
            // It may be in that archive: nobody can say that it is missing.
            Err(LeftSagaError::NoFolder { .. }) => Ok(true),
            Err(error @ (LeftSagaError::Store(_) | LeftSagaError::Archive { .. })) => Err(error.into()),
        }
    }
}

/// The saga that a result says was started.
fn started(result: &str) -> Option<SagaId> {
    result.strip_prefix("started ")?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_result_that_says_so_names_a_started_saga() {
        let id = "018f6e0a-7c5b-7000-8000-000000000001";
        let saga = id.parse::<SagaId>().ok();
        assert_eq!(started(&format!("started {id} order: started {id}")), saga);
        assert_eq!(started(&format!("duplicate {id}")), None);
        assert_eq!(started("started"), None);
    }
}
