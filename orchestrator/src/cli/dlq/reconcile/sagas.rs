//! Whether the sagas are there that redrives started.

use super::compare::SagaStanding;
use saga_core::id::SagaId;
use saga_engine::archiving::left::{self, LeftSagaError};
use saga_event_store::{
    ArchiveRecord, ArchiveState, EventStore, LetterCoordinates, LetterStatus, MAX_PAGE, StoredLetter,
};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// A letter and a saga that its redrive started.
pub(super) type StartedSaga = (LetterCoordinates, String, SagaId);

/// Sagas that are to be looked for, of the rows of one portion.
pub(super) struct StartedSagas {
    store: Arc<dyn EventStore>,
    folder: Option<PathBuf>,
    expected: Vec<StartedSaga>,
}

impl StartedSagas {
    pub(super) fn new(store: Arc<dyn EventStore>, folder: Option<PathBuf>) -> StartedSagas {
        StartedSagas { store, folder, expected: Vec::new() }
    }

    /// Remembers the sagas that redrives of these letters started.
    pub(super) fn expect(&mut self, rows: &[StoredLetter]) {
        for row in rows.iter().filter(|row| row.status == LetterStatus::Redriven) {
            let result = row.change.as_ref().and_then(|change| change.result.as_deref()).unwrap_or_default();
            let of_row = |saga| (row.place.clone(), row.letter.id.clone(), saga);
            self.expected.extend(started(result).into_iter().map(of_row));
        }
    }

    /// Where those of the remembered ones are that the store does not have; nothing is remembered any more.
    pub(super) async fn left(&mut self) -> anyhow::Result<Vec<(StartedSaga, SagaStanding)>> {
        let mut left = Vec::new();
        for part in std::mem::take(&mut self.expected).chunks(usize::try_from(MAX_PAGE)?) {
            let ids: Vec<_> = part.iter().map(|(_, _, saga)| saga.uuid()).collect();
            let there: BTreeSet<_> =
                self.store.standings(&ids).await?.into_iter().map(|standing| standing.summary.stream).collect();
            for one in part.iter().filter(|(_, _, saga)| !there.contains(&saga.uuid())) {
                left.push((one.clone(), self.standing(one.2).await?));
            }
        }
        Ok(left)
    }

    /// Of a saga that the store did not have a moment ago. What leaves the store meanwhile is on record before.
    async fn standing(&self, saga: SagaId) -> anyhow::Result<SagaStanding> {
        let found = match left::find_id(self.store.as_ref(), self.folder.as_deref(), saga).await {
            Ok(found) => Ok(found.is_some()),
            Err(LeftSagaError::Store(error)) => return Err(error.into()),
            Err(error @ (LeftSagaError::NoFolder { .. } | LeftSagaError::Archive { .. })) => Err(error.to_string()),
        };
        Ok(standing_of(saga, &self.store.archives().await?, found))
    }
}

/// Where a saga is that the store does not have. `found`: whether an archive has it, or why that cannot be told. Sagas
/// of its time can have been dropped, beside an archive or without one, and nobody knows which.
fn standing_of(saga: SagaId, archives: &[ArchiveRecord], found: Result<bool, String>) -> SagaStanding {
    let started_ms = saga.started_at().0;
    let has_dropped = |archive: &ArchiveRecord| {
        let period = archive.period;
        archive.state != ArchiveState::Writing
            && archive.content.dropped > 0
            && (period.from_ms..period.to_ms).contains(&started_ms)
    };
    match found {
        Ok(true) => SagaStanding::Archived,
        Err(why) => SagaStanding::Undecided(why),
        Ok(false) if archives.iter().any(has_dropped) => SagaStanding::Dropped,
        Ok(false) => SagaStanding::Missing,
    }
}

/// The sagas that a result says were started: one of each definition that the record went to.
fn started(result: &str) -> BTreeSet<SagaId> {
    let words: Vec<&str> = result.split_whitespace().collect();
    let named = words.windows(2).filter(|pair| pair[0] == "started").map(|pair| pair[1].trim_end_matches(';'));
    named.filter_map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{id::ShardId, time::Timestamp};
    use saga_event_store::{ArchiveContent, StartPeriod};

    #[test]
    fn every_saga_that_a_result_names_as_started_is_looked_for() {
        let (one, other) = ("018f6e0a-7c5b-7000-8000-000000000001", "018f6e0a-7c5b-7000-8000-000000000002");
        let sagas = |ids: &[&str]| ids.iter().filter_map(|id| id.parse().ok()).collect::<BTreeSet<SagaId>>();
        assert_eq!(started(&format!("started {one}")), sagas(&[one]));
        let several = format!("started {one} order: started {one}; gift: started {other}");
        assert_eq!(started(&several), sagas(&[one, other]));
        assert_eq!(started(&format!("duplicate {one}")), sagas(&[]));
        assert_eq!(started("started"), sagas(&[]));
    }

    /// Of the time from 1,000 to 2,000, with a file or without one, and so many that were dropped.
    fn archive(file: Option<&str>, dropped: u64, state: ArchiveState) -> ArchiveRecord {
        ArchiveRecord {
            number: 1,
            state,
            period: StartPeriod { from_ms: 1_000, to_ms: 2_000 },
            content: ArchiveContent { file: file.map(str::to_owned), dropped, ..ArchiveContent::default() },
            begun_ms: 5_000,
            ended_ms: None,
            replaced: None,
        }
    }

    fn begun_at(at: i64) -> SagaId {
        SagaId::new(Timestamp(at), ShardId(0), 7)
    }

    #[test]
    fn a_saga_in_an_archive_is_archived() {
        let archives = [archive(Some("1.saga"), 0, ArchiveState::Done)];
        assert_eq!(standing_of(begun_at(1_500), &archives, Ok(true)), SagaStanding::Archived);
        assert_eq!(standing_of(begun_at(1_500), &archives, Ok(false)), SagaStanding::Missing);
    }

    #[test]
    fn a_saga_of_a_time_of_which_sagas_were_dropped_is_dropped_also_where_others_were_archived() {
        for file in [None, Some("1.saga")] {
            for state in [ArchiveState::Removing, ArchiveState::Done] {
                let archives = [archive(file, 3, state)];
                assert_eq!(standing_of(begun_at(1_500), &archives, Ok(false)), SagaStanding::Dropped, "{archives:?}");
                assert_eq!(standing_of(begun_at(2_000), &archives, Ok(false)), SagaStanding::Missing, "{archives:?}");
            }
        }
    }

    #[test]
    fn an_archive_that_is_an_attempt_has_dropped_nothing() {
        let archives = [archive(None, 3, ArchiveState::Writing)];
        assert_eq!(standing_of(begun_at(1_500), &archives, Ok(false)), SagaStanding::Missing);
    }

    #[test]
    fn a_saga_is_not_missing_while_its_archive_cannot_be_asked() {
        let archives = [archive(Some("1.saga"), 3, ArchiveState::Done)];
        let standing = standing_of(begun_at(1_500), &archives, Err("no folder".into()));
        assert_eq!(standing, SagaStanding::Undecided("no folder".into()));
    }
}
