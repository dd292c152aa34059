//! Deletes sagas that a file has, a few at a time, and finishes what earlier passes began.

use super::{
    ArchivePass, ArchivedPeriod, ArchivingError, blocking,
    export::{self, ExportedPeriod},
    rules::PeriodRules,
};
use saga_event_store::{
    ArchiveRecord, ArchiveState, RemovedPortion, StartPeriod,
    archive::{ArchiveError, ArchiveFile, recorded_file},
};
use std::{collections::BTreeMap, path::Path, time::Instant};
use tracing::info;
use uuid::Uuid;

/// Sagas that are deleted in one transaction: some milliseconds, during which appends of their shard wait.
const PORTION: usize = 100;

/// Writes the next sagas of a period to a file and deletes them; `None`: none could leave, or another process took the
/// attempt over.
pub(super) async fn remove(
    pass: &ArchivePass,
    holder: Uuid,
    number: i64,
    period: StartPeriod,
    rules: &PeriodRules,
) -> Result<Option<ArchivedPeriod>, ArchivingError> {
    let ExportedPeriod { content, leaving, .. } = export::portion(pass, holder, number, period, rules).await?;
    if !pass.store.record_archive(number, &content).await? {
        pass.throw_away(number).await?;
        return Ok(None);
    }
    let removed = delete(pass, holder, number, leaving).await?;
    pass.store.end_archive(number, pass.clock.now().0).await?;
    Ok((removed > 0).then_some(ArchivedPeriod { number, period, content, pause: None }))
}

/// Deletes, and leaves as much time to the engines as it takes.
async fn delete(
    pass: &ArchivePass,
    holder: Uuid,
    number: i64,
    leaving: BTreeMap<u16, Vec<(Uuid, u32)>>,
) -> Result<u64, ArchivingError> {
    let mut removed = 0;
    for (shard, streams) in leaving {
        for streams in streams.chunks(PORTION) {
            let began = Instant::now();
            removed += pass.store.remove_archived(&RemovedPortion { number, shard, streams: streams.to_vec() }).await?;
            tokio::time::sleep(began.elapsed()).await;
        }
        pass.store.lease_archiving(holder).await?;
    }
    Ok(removed)
}

/// Throws away what was not recorded, and deletes what a recorded file has.
pub(super) async fn finish_begun(pass: &ArchivePass, holder: Uuid) -> Result<(), ArchivingError> {
    for record in pass.store.archives().await? {
        match record.state {
            ArchiveState::Writing => pass.throw_away(record.number).await?,
            ArchiveState::Removing => finish(pass, holder, &record).await?,
            ArchiveState::Done => {}
        }
    }
    Ok(())
}

async fn finish(pass: &ArchivePass, holder: Uuid, record: &ArchiveRecord) -> Result<(), ArchivingError> {
    info!(
        archive = record.number,
        "an earlier pass ended before all sagas of its archive had left; it is finished now"
    );
    if let Some(name) = &record.content.file {
        let folder =
            pass.folder.clone().ok_or_else(|| ArchivingError::NoFolder(record.content.categories.join(", ")))?;
        let path = recorded_file(&folder, name);
        let leaving = blocking(move || in_file(&path)).await??;
        delete(pass, holder, record.number, leaving).await?;
    }
    Ok(pass.store.end_archive(record.number, pass.clock.now().0).await?)
}

/// The sagas of a file, by shard. Nothing is deleted by a file that was changed.
fn in_file(path: &Path) -> Result<BTreeMap<u16, Vec<(Uuid, u32)>>, ArchiveError> {
    let file = ArchiveFile::open(path)?;
    file.check()?;
    let mut leaving: BTreeMap<u16, Vec<(Uuid, u32)>> = BTreeMap::new();
    for block in file.streams() {
        for stream in block? {
            let last = stream.rows.last().map_or(0, |row| row.version);
            leaving.entry(stream.shard).or_default().push((stream.summary.stream, last));
        }
    }
    Ok(leaving)
}
