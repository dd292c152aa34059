//! Passes on a real file, also after passes that ended in the middle.

mod rewriting;

use super::{
    ArchivePass, ArchivingError, RetentionOf,
    left::{self, LeftSagaLookup},
};
use crate::journal::{PlanCache, reruns};
use anyhow::{Context as _, Result, ensure};
use saga_base::clock::EngineClock;
use saga_core::{
    definition::{RetentionRule, RetentionTarget},
    id::{SagaId, ShardId},
    time::Timestamp,
};
use saga_event_store::{
    ArchiveState, EventStore, JournalReader as _, NewStreamKey, RemovedPortion, ShardEpoch, StartPeriod, StoreAccess,
    StreamAppend, SummaryUpdate,
    archive::{ArchiveReader, ArchiveWriter},
    open,
};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use uuid::Uuid;

const STARTED_MS: i64 = 1_700_000_000_000;
/// All starts.
const EVER: StartPeriod = StartPeriod { from_ms: 0, to_ms: 4_000_000_000_000 };
const DAY: Duration = Duration::from_secs(86_400);

/// A store in a folder, with a folder for archives.
struct Archive {
    folder: TempDir,
    store: Arc<dyn EventStore>,
    epoch: ShardEpoch,
}

impl Archive {
    async fn new() -> Result<Archive> {
        let folder = tempfile::tempdir()?;
        let address = format!("sqlite:{}", folder.path().join("saga.db").display());
        let store = open(&address, StoreAccess::Write { shards: 1 }).await?;
        let epoch = store.claim(0, "test").await?;
        Ok(Archive { folder, store, epoch })
    }

    /// A saga of two rows.
    async fn saga(&self, category: &str, number: u64, open: bool) -> Result<Uuid> {
        let key = format!("{category}-{number}");
        let new_key = NewStreamKey::new(category, key.as_str(), [1; 32]);
        self.saga_with((category, &key), new_key, number, open).await
    }

    /// A saga that runs another one again, under its key.
    async fn rerun(&self, (category, key): (&str, &str), of: Uuid, number: u64) -> Result<Uuid> {
        let of = SagaId::from_uuid(of).context("an id")?;
        self.saga_with((category, key), reruns::key(category, of, "act"), number, false).await
    }

    async fn saga_with(
        &self,
        (category, key): (&str, &str),
        new_key: NewStreamKey,
        number: u64,
        open: bool,
    ) -> Result<Uuid> {
        let at_ms = STARTED_MS + i64::try_from(number)?;
        let stream = SagaId::new(Timestamp(at_ms), ShardId(0), number).uuid();
        for version in 1..=2 {
            let summary = SummaryUpdate {
                document: "d0".into(),
                status: if open { "waiting" } else { "completed" }.into(),
                open,
                step: None,
                reason: None,
                started_at_ms: at_ms,
                waits_on: Vec::new(),
                flags: Vec::new(),
                code: None,
            };
            let row = StreamAppend {
                append_id: Uuid::new_v4(),
                shard: 0,
                epoch: self.epoch,
                stream,
                version,
                recorded_at_ms: at_ms,
                payload: format!("{{\"row\":{version}}}").into_bytes(),
                outline: None,
                category: category.into(),
                key: key.into(),
                new_key: (version == 1).then(|| new_key.clone()),
                summary: Some(summary),
                act: None,
            };
            self.store.append(&[row]).await?;
        }
        Ok(stream)
    }

    fn pass(&self, retention: Vec<RetentionOf>) -> ArchivePass {
        ArchivePass {
            store: Arc::clone(&self.store),
            plans: Arc::new(PlanCache::default()),
            retention,
            folder: Some(self.folder.path().join("archive")),
            width: DAY,
            clock: EngineClock::Wall,
            present: EngineClock::Wall,
        }
    }

    fn orders(&self) -> ArchivePass {
        self.pass(vec![kept("order", DAY, RetentionTarget::Archive)])
    }

    fn files(&self) -> Result<ArchiveReader> {
        Ok(ArchiveReader::open(&self.folder.path().join("archive"))?)
    }

    async fn is_in_store(&self, stream: Uuid) -> Result<bool> {
        Ok(!self.store.read(stream).await?.is_empty())
    }

    async fn is_in_file(&self, stream: Uuid) -> Result<bool> {
        Ok(!self.files()?.read(stream).await?.is_empty())
    }
}

fn kept(saga: &str, after: Duration, to: RetentionTarget) -> RetentionOf {
    RetentionOf { saga: saga.into(), rule: RetentionRule { after, to } }
}

#[tokio::test]
async fn what_ended_long_ago_leaves_as_its_definition_says() -> Result<()> {
    let archive = Archive::new().await?;
    let (ended, open) = (archive.saga("order", 1, false).await?, archive.saga("order", 2, true).await?);
    let (dropped, forever) = (archive.saga("trace", 3, false).await?, archive.saga("claim", 4, false).await?);
    let patient = archive.saga("refund", 5, false).await?;
    let pass = archive.pass(vec![
        kept("order", DAY, RetentionTarget::Archive),
        kept("trace", DAY, RetentionTarget::Drop),
        kept("refund", DAY * 100_000, RetentionTarget::Archive),
    ]);
    let report = pass.run().await?;
    assert_eq!(report.archives.len(), 1);
    assert_eq!((report.archives[0].content.streams, report.archives[0].content.dropped), (1, 1));
    ensure!(!archive.is_in_store(ended).await? && archive.is_in_file(ended).await?);
    ensure!(!archive.is_in_store(dropped).await? && !archive.is_in_file(dropped).await?);
    for stays in [open, forever, patient] {
        ensure!(archive.is_in_store(stays).await? && !archive.is_in_file(stays).await?);
    }
    assert_eq!(pass.run().await?.archives, [], "a second pass finds nothing");
    Ok(())
}

#[tokio::test]
async fn a_pass_that_ended_before_its_record_is_thrown_away_and_done_again() -> Result<()> {
    let archive = Archive::new().await?;
    let ended = archive.saga("order", 1, false).await?;
    let pass = archive.orders();
    let number = archive.store.begin_archive(EVER, 1).await?;
    let path = pass.path(number).context("there is a folder")?;
    // Neither a part of a file nor a whole one counts without its record.
    drop(ArchiveWriter::create(&path, archive.store.identity().installation, number, 1)?);
    let whole = ArchiveWriter::create(&path, archive.store.identity().installation, number, 1)?;
    whole.finish()?;
    let report = pass.run().await?;
    assert_eq!(report.archives.len(), 1);
    let archives = archive.store.archives().await?;
    ensure!(archives.len() == 1 && archives[0].state == ArchiveState::Done, "{archives:?}");
    assert_eq!(archive.files()?.files().len(), 1);
    ensure!(!archive.is_in_store(ended).await? && archive.is_in_file(ended).await?);
    Ok(())
}

#[tokio::test]
async fn a_pass_that_ended_while_it_deleted_is_finished() -> Result<()> {
    let archive = Archive::new().await?;
    let (one, two) = (archive.saga("order", 1, false).await?, archive.saga("order", 2, false).await?);
    let pass = archive.orders();
    let number = archive.store.begin_archive(EVER, 1).await?;
    let rules = super::rules::PassRules::of(&pass.retention, pass.clock.now().0).of_old(DAY);
    let exported = super::export::portion(&pass, Uuid::nil(), number, EVER, &rules).await?;
    ensure!(archive.store.record_archive(number, &exported.content).await?);
    let first = RemovedPortion { number, shard: 0, streams: vec![(one, 2)] };
    ensure!(archive.store.remove_archived(&first).await? == 1);
    // Here the process ends: one saga is gone, the other is in both places, and the store is the truth about it.
    ensure!(archive.is_in_store(two).await? && archive.is_in_file(one).await? && archive.is_in_file(two).await?);
    assert_eq!(pass.run().await?.archives, [], "nothing new leaves");
    ensure!(!archive.is_in_store(two).await?);
    ensure!(archive.store.archives().await?[0].state == ArchiveState::Done);
    Ok(())
}

#[tokio::test]
async fn nothing_is_deleted_by_a_file_that_was_changed() -> Result<()> {
    let archive = Archive::new().await?;
    let ended = archive.saga("order", 1, false).await?;
    let pass = archive.orders();
    let number = archive.store.begin_archive(EVER, 1).await?;
    let rules = super::rules::PassRules::of(&pass.retention, pass.clock.now().0).of_old(DAY);
    let exported = super::export::portion(&pass, Uuid::nil(), number, EVER, &rules).await?;
    ensure!(archive.store.record_archive(number, &exported.content).await?);
    let path = pass.path(number).context("there is a folder")?;
    let mut bytes = std::fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&path, bytes)?;
    let refused = pass.run().await;
    ensure!(matches!(&refused, Err(ArchivingError::Archive(_))), "{refused:?}");
    ensure!(archive.is_in_store(ended).await?);
    Ok(())
}

#[tokio::test]
async fn an_archive_without_a_folder_is_refused_with_what_to_write() -> Result<()> {
    let archive = Archive::new().await?;
    let pass = ArchivePass { folder: None, ..archive.orders() };
    let refused = pass.run().await;
    let Err(error @ ArchivingError::NoFolder(_)) = refused else { anyhow::bail!("{refused:?}") };
    ensure!(error.to_string().contains("archive: {folder: ./archive}"), "{error}");
    let drops = archive.pass(vec![kept("order", DAY, RetentionTarget::Drop)]);
    ArchivePass { folder: None, ..drops }.run().await?;
    Ok(())
}

#[tokio::test]
async fn a_key_names_the_newest_saga_in_archives_and_one_of_several_definitions_is_not_guessed() -> Result<()> {
    let archive = Archive::new().await?;
    let first = archive.saga("order", 1, false).await?;
    let second = archive.rerun(("order", "order-1"), first, 2).await?;
    let third = archive.rerun(("order", "order-1"), second, 3).await?;
    archive.orders().run().await?;
    let folder = archive.folder.path().join("archive");
    let find = async |key: &str| left::find(archive.store.as_ref(), Some(&folder), key, None).await;
    let LeftSagaLookup::One(left) = find("order-1").await? else { anyhow::bail!("the key is that of one saga") };
    let earlier: Vec<Uuid> = left.earlier.iter().map(|id| id.uuid()).collect();
    assert_eq!((left.id.uuid(), earlier), (third, vec![second, first]));
    ensure!(left.to_string().contains("left the event store at") && left.to_string().contains(&left.file), "{left}");
    ensure!(matches!(find("order-2").await?, LeftSagaLookup::None));

    let key = NewStreamKey::new("claim", "order-1", [1; 32]);
    let claim = archive.saga_with(("claim", "order-1"), key, 4, false).await?;
    archive.pass(vec![kept("claim", DAY, RetentionTarget::Archive)]).run().await?;
    let LeftSagaLookup::Several(sagas) = find("order-1").await? else { anyhow::bail!("two definitions have the key") };
    let ids: Vec<Uuid> = sagas.iter().map(|(id, _)| id.uuid()).collect();
    assert_eq!(ids, [claim, third]);
    Ok(())
}
