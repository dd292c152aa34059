//! Reads the next part of what a generation is made of.
//!
//! Sagas that have left the store are in archive files, and the feed no longer has all their rows. A build therefore
//! begins with the archives that the store had on record by then. From the feed it takes the rows that these do not
//! have. Which ones these are depends on the files alone, and not on what is in the store at the moment: so each row
//! is applied once, wherever a build is interrupted and whatever leaves the store meanwhile.

use super::{AdvanceError, ProjectionSource};
use crate::{
    projection::{
        archived::{self, LeftOutArchive, MissingArchives},
        portion::DecodedPortion,
    },
    replay::scan::{SagaScan, ScannedSaga},
};
use saga_core::id::SagaId;
use saga_event_store::{
    ArchiveReading, FeedPosition, FeedRow, JournalReader, OpenedArchive, ProjectionGeneration, StoreError, StreamRow,
    archive::ArchiveReader,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// Payloads of one transaction.
const PORTION_BYTES: u64 = 4 * 1024 * 1024;

/// Where a generation is: portions are shared by generations that are at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PortionPlace {
    position: String,
    archives: ArchiveReading,
    left_out: Option<String>,
}

impl PortionPlace {
    fn of(generation: &ProjectionGeneration) -> PortionPlace {
        let (position, archives) = (generation.position.to_string(), archives_of(generation));
        PortionPlace { position, archives, left_out: generation.left_out.clone() }
    }
}

/// The feed that comes after a build has no rows that the archives had.
fn archives_of(generation: &ProjectionGeneration) -> ArchiveReading {
    if generation.is_live { ArchiveReading::None } else { generation.archives }
}

/// What is applied in one transaction.
pub(super) struct ReadPortion {
    from: PortionPlace,
    /// Where the generation is afterwards.
    pub(super) to: FeedPosition,
    pub(super) archives_to: ArchiveReading,
    /// Archives that the rows lack from now on; `None`: as before.
    pub(super) left_out: Option<String>,
    pub(super) rows: u64,
    pub(super) at_ms: Option<i64>,
    pub(super) decoded: DecodedPortion,
}

impl ProjectionSource {
    pub(super) async fn read(
        &mut self,
        generation: &ProjectionGeneration,
    ) -> Result<Option<Arc<ReadPortion>>, AdvanceError> {
        let from = PortionPlace::of(generation);
        if let Some(last) = self.last.as_ref().filter(|last| last.from == from) {
            return Ok(Some(Arc::clone(last)));
        }
        let portion = match from.archives {
            ArchiveReading::Reading { base, until, after } => {
                Some(self.read_archives(generation, from, (base, until, after)).await?)
            }
            ArchiveReading::None | ArchiveReading::Read { .. } => self.read_feed(generation, from).await?,
        };
        let portion = portion.map(Arc::new);
        self.last.clone_from(&portion);
        Ok(portion)
    }

    async fn range(&mut self, range: (i64, i64), but: &[LeftOutArchive]) -> Result<ArchiveReader, AdvanceError> {
        let opened = self.shelf.range(self.store.as_ref(), range, but).await?;
        opened.map_err(|missing| AdvanceError::Archives(vec![missing]))
    }

    async fn read_archives(
        &mut self,
        generation: &ProjectionGeneration,
        from: PortionPlace,
        (base, until, after): (i64, i64, Uuid),
    ) -> Result<ReadPortion, AdvanceError> {
        let but = archived::left_out(generation.left_out.as_deref());
        let archive = self.range((base, until), &but).await?;
        let before = self.range((0, base), &but).await?;
        let opened: Arc<dyn JournalReader> = Arc::new(OpenedArchive::new(archive.clone(), Arc::clone(&self.store)));
        let mut scan = match SagaId::from_uuid(after) {
            Some(after) => SagaScan::after(Arc::clone(&opened), after),
            None => SagaScan::new(Arc::clone(&opened), None),
        };
        let Some(sagas) = scan.next().await? else { return self.end_archives(generation, from, until).await };
        let last = sagas.last().map_or(after, |it| it.saga.uuid());
        let streams: Vec<Uuid> = sagas.iter().map(|it| it.saga.uuid()).collect();
        let applied = before.last_versions(&streams).await?;
        let mut decoded = DecodedPortion::default();
        let (mut count, mut at_ms) = (0, generation.at_ms);
        for ScannedSaga { saga, rows } in sagas {
            let stream = saga.uuid();
            let rows = match rows {
                Ok(rows) => Ok(rows),
                Err(error) => self.in_store(&archive, stream).await?.ok_or(error),
            };
            match rows {
                Ok(rows) => {
                    let is_new = |row: &StreamRow| applied.get(&stream).is_none_or(|last| row.version > *last);
                    for row in rows.into_iter().filter(is_new) {
                        at_ms = at_ms.max(Some(row.recorded_at_ms));
                        count += 1;
                        decoded.decode(saga, row.version, &row);
                    }
                }
                Err(error) => decoded.miss(saga, 0, error.to_string()),
            }
        }
        decoded.learn(&[opened.as_ref()], &self.plans).await?;
        let archives_to = ArchiveReading::Reading { base, until, after: last };
        let to = generation.position;
        Ok(ReadPortion { from, to, archives_to, left_out: None, rows: count, at_ms, decoded })
    }

    /// The rows that an archive has of a stream, from the store: it may have lost the key of the archived ones.
    async fn in_store(&self, archive: &ArchiveReader, stream: Uuid) -> Result<Option<Vec<StreamRow>>, StoreError> {
        let Some(last) = archive.last_versions(&[stream]).await?.remove(&stream) else { return Ok(None) };
        let mut rows = self.store.read(stream).await?;
        rows.retain(|row| row.version <= last);
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// All archives up to `until` have been read: those that came meanwhile are next, or the feed.
    async fn end_archives(
        &mut self,
        generation: &ProjectionGeneration,
        from: PortionPlace,
        until: i64,
    ) -> Result<ReadPortion, AdvanceError> {
        // Before the archives: what is below this position has left by now, so it is in them.
        let oldest = self.store.feed_extent().await?.oldest;
        let survey = self.shelf.survey(self.store.as_ref(), until).await?;
        let left_out = self.judged(generation, survey.unreadable)?;
        let (to, archives_to) = if survey.until > until {
            let next = ArchiveReading::Reading { base: until, until: survey.until, after: Uuid::nil() };
            (generation.position, next)
        } else {
            (oldest, ArchiveReading::Read { until })
        };
        let decoded = DecodedPortion::default();
        Ok(ReadPortion { from, to, archives_to, left_out, rows: 0, at_ms: generation.at_ms, decoded })
    }

    /// What the projection is to say of archives that cannot be read; `None`: nothing more than before.
    fn judged(
        &self,
        generation: &ProjectionGeneration,
        unreadable: Vec<LeftOutArchive>,
    ) -> Result<Option<String>, AdvanceError> {
        let mut all = archived::left_out(generation.left_out.as_deref());
        let new: Vec<LeftOutArchive> =
            unreadable.into_iter().filter(|it| all.iter().all(|known| known.archive != it.archive)).collect();
        if new.is_empty() {
            return Ok(None);
        }
        match self.shelf.folder.missing {
            MissingArchives::Refused => Err(AdvanceError::Archives(new)),
            MissingArchives::LeftOut => {
                all.extend(new);
                Ok(archived::stored(&all))
            }
        }
    }

    async fn read_feed(
        &mut self,
        generation: &ProjectionGeneration,
        from: PortionPlace,
    ) -> Result<Option<ReadPortion>, AdvanceError> {
        let page = self.store.feed(generation.position, self.portion_rows, PORTION_BYTES).await?;
        let Some(last) = page.rows.last() else { return Ok(None) };
        let (to, rows) = (last.position, page.rows.len() as u64);
        let at_ms = page.rows.iter().rev().find_map(|row| row.row.as_ref()).map(|row| row.recorded_at_ms);
        let (mut decoded, mut left_out) = (DecodedPortion::default(), None);
        let archives_to = from.archives;
        let later = match archives_to {
            ArchiveReading::Read { until } => {
                let fresh = self.not_applied(generation, page.rows, until).await?;
                let (left, told) = self.decode_left(generation, fresh, until, &mut decoded).await?;
                left_out = told;
                left
            }
            ArchiveReading::None | ArchiveReading::Reading { .. } => {
                decode_stored(page.rows, &mut decoded);
                None
            }
        };
        let later = later.map(|later| OpenedArchive::new(later, Arc::clone(&self.store)));
        let stored: &dyn JournalReader = self.store.as_ref();
        let mut readers = vec![stored];
        readers.extend(later.as_ref().map(|later| later as &dyn JournalReader));
        decoded.learn(&readers, &self.plans).await?;
        Ok(Some(ReadPortion { from, to, archives_to, left_out, rows, at_ms, decoded }))
    }

    /// The rows that the archives up to `until` do not have.
    async fn not_applied(
        &mut self,
        generation: &ProjectionGeneration,
        mut rows: Vec<FeedRow>,
        until: i64,
    ) -> Result<Vec<FeedRow>, AdvanceError> {
        let but = archived::left_out(generation.left_out.as_deref());
        let archive = self.range((0, until), &but).await?;
        let streams: BTreeSet<Uuid> = rows.iter().map(|row| row.stream).collect();
        let applied = archive.last_versions(&streams.into_iter().collect::<Vec<_>>()).await?;
        rows.retain(|row| applied.get(&row.stream).is_none_or(|last| row.version > *last));
        Ok(rows)
    }

    /// Decodes rows of the feed. What has left the store since the archives were read is in later ones, which are
    /// returned if they were needed, with what the projection is to say of those that cannot be read.
    async fn decode_left(
        &mut self,
        generation: &ProjectionGeneration,
        rows: Vec<FeedRow>,
        until: i64,
        decoded: &mut DecodedPortion,
    ) -> Result<(Option<ArchiveReader>, Option<String>), AdvanceError> {
        if rows.iter().all(|row| row.row.is_some()) {
            decode_stored(rows, decoded);
            return Ok((None, None));
        }
        let survey = self.shelf.survey(self.store.as_ref(), until).await?;
        let left_out = self.judged(generation, survey.unreadable)?;
        let but = archived::left_out(left_out.as_deref().or(generation.left_out.as_deref()));
        let later = self.range((until, survey.until), &but).await?;
        let mut found: HashMap<Uuid, Vec<StreamRow>> = HashMap::new();
        for stream in rows.iter().filter(|row| row.row.is_none()).map(|row| row.stream).collect::<BTreeSet<_>>() {
            match later.read(stream).await {
                Err(error) if error.is_damage() => {
                    SagaId::from_uuid(stream).into_iter().for_each(|saga| decoded.miss(saga, 0, error.to_string()));
                }
                rows => drop(found.insert(stream, rows?)),
            }
        }
        for mut row in rows {
            let Some(saga) = SagaId::from_uuid(row.stream) else { continue };
            if row.row.is_none() {
                let archived = found.get(&row.stream).into_iter().flatten().find(|it| it.version == row.version);
                let Some(archived) = archived.cloned() else { continue };
                match self.store.open_archived(vec![(row.stream, archived)]).await {
                    Ok(opened) => row.row = opened.into_iter().next().map(|(_, row)| row),
                    Err(error) if error.is_transient() => return Err(error.into()),
                    Err(error) => decoded.miss(saga, row.version, error.to_string()),
                }
            }
            row.row.iter().for_each(|stored| decoded.decode(saga, row.version, stored));
        }
        Ok((Some(later), left_out))
    }
}

/// A row that the journal no longer has says nothing: what the saga was is in its other rows, or its archive.
fn decode_stored(rows: Vec<FeedRow>, decoded: &mut DecodedPortion) {
    for row in rows {
        let Some(saga) = SagaId::from_uuid(row.stream) else { continue };
        row.row.iter().for_each(|stored| decoded.decode(saga, row.version, stored));
    }
}
