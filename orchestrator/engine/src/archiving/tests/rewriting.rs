//! Files are written anew without what was erased, also after a process ended in the middle.

use super::{Archive, DAY, kept};
use crate::archiving::rewriting::FileRewriter;
use anyhow::{Context as _, Result, ensure};
use saga_base::clock::EngineClock;
use saga_core::definition::RetentionTarget;
use saga_event_store::{
    AppendOutcome, ArchiveReplacement, ArchivedErasure, ErasedRow, JournalReader as _, RemovedPortion, StreamAct,
    StreamAppend, StreamErasure, StreamRow,
    archive::{ArchiveFile, ArchivedStream},
};
use std::{fs, path::PathBuf, sync::Arc};
use uuid::Uuid;

/// What the rows of the fixture say of the content.
const CONTENT: &str = "\"row\":";

impl Archive {
    fn folder(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    fn names(&self) -> Result<Vec<String>> {
        let names = fs::read_dir(self.folder())?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    /// How often a file has content of sagas.
    fn content(&self, name: &str) -> Result<usize> {
        let lines = zstd_text(&self.folder().join(name))?;
        Ok(lines.matches(CONTENT).count())
    }

    fn rewriter(&self) -> FileRewriter {
        let (store, folder) = (Arc::clone(&self.store), Some(self.folder()));
        FileRewriter { store, folder, clock: EngineClock::Wall, holder: Uuid::nil() }
    }

    /// The saga as an act leaves it, which is recorded.
    async fn erase_left(&self, stream: Uuid) -> Result<ArchivedStream> {
        let left = self.files()?.stream(stream).await?.context("a file has it")?;
        let mut erased = left;
        erased.rows.iter_mut().for_each(|row| row.payload = b"{}".to_vec());
        let act =
            StreamRow { version: 3, recorded_at_ms: 9, append_id: Uuid::new_v4(), payload: b"{\"act\":1}".to_vec() };
        erased.rows.push(act);
        erased.summary.erased_at_ms = Some(9);
        let act = StreamAct {
            id: "1".into(),
            who: "anna".into(),
            action: "erase".into(),
            reason: "asked".into(),
            ..StreamAct::default()
        };
        ensure!(self.store.erase_archived(&ArchivedErasure { erased: erased.clone(), act }).await?);
        Ok(erased)
    }

    async fn is_done(&self) -> Result<bool> {
        let record = self.store.archives().await?.pop().context("an archive is on record")?;
        Ok(self.store.pending_erasures(Uuid::nil(), 10).await?.is_empty() && record.replaced.is_none())
    }
}

fn zstd_text(path: &std::path::Path) -> Result<String> {
    let file = ArchiveFile::open(path)?;
    file.check()?;
    let mut text = String::new();
    for block in file.streams() {
        let rows = block?.into_iter().flat_map(|stream| stream.rows);
        rows.for_each(|row| text += &String::from_utf8_lossy(&row.payload));
    }
    Ok(text)
}

#[tokio::test]
async fn a_file_is_written_anew_without_the_sagas_that_were_erased() -> Result<()> {
    let archive = Archive::new().await?;
    let (one, two) = (archive.saga("order", 1, false).await?, archive.saga("order", 2, false).await?);
    archive.orders().run().await?;
    let before = archive.names()?;
    let erased = archive.erase_left(one).await?;
    assert_eq!(archive.orders().run().await?.archives, [], "nothing new leaves");
    let after = archive.names()?;
    ensure!(after.len() == 1 && before != after && after[0].ends_with("-000001-1.saga.zst"), "{after:?}");
    assert_eq!(archive.content(&after[0])?, 2, "that of the other saga");
    assert_eq!(archive.files()?.stream(one).await?, Some(erased));
    ensure!(archive.is_in_file(two).await?);
    ensure!(archive.is_done().await?);
    let record = archive.store.archives().await?.pop().context("it is on record")?;
    let file = ArchiveFile::open(&archive.folder().join(&after[0]))?;
    assert_eq!((record.content.sha256, record.content.rows), (Some(file.sha256()), 5));
    Ok(())
}

#[tokio::test]
async fn a_file_that_was_begun_or_finished_and_not_recorded_is_written_again() -> Result<()> {
    let archive = Archive::new().await?;
    let one = archive.saga("order", 1, false).await?;
    archive.orders().run().await?;
    let first = archive.names()?.pop().context("a file")?;
    archive.erase_left(one).await?;
    let next = first.replace(".saga.zst", "-1.saga.zst");
    fs::write(archive.folder().join(format!("{next}.partial")), "half of a file")?;
    fs::copy(archive.folder().join(&first), archive.folder().join(&next))?;
    archive.rewriter().finish_erasures().await?;
    assert_eq!(archive.names()?, [next.as_str()]);
    assert_eq!(archive.content(&next)?, 0);
    ensure!(archive.is_done().await?);
    Ok(())
}

#[tokio::test]
async fn a_replaced_file_that_was_left_is_removed() -> Result<()> {
    let archive = Archive::new().await?;
    let one = archive.saga("order", 1, false).await?;
    archive.orders().run().await?;
    let first = archive.names()?.pop().context("a file")?;
    let with_content = fs::read(archive.folder().join(&first))?;
    archive.erase_left(one).await?;
    archive.rewriter().finish_erasures().await?;
    let next = archive.names()?.pop().context("a file")?;
    // As if the process had ended between the record and the removal.
    let record = archive.store.archives().await?.pop().context("it is on record")?;
    fs::write(archive.folder().join(&first), &with_content)?;
    let again = ArchiveReplacement {
        number: record.number,
        recorded: next.clone(),
        replaced: first.clone(),
        file: next.clone(),
        rows: record.content.rows,
        bytes: record.content.bytes,
        sha256: record.content.sha256.clone().context("a sum")?,
    };
    ensure!(archive.store.replace_archive(&again).await?);
    archive.rewriter().finish_erasures().await?;
    assert_eq!(archive.names()?, [next]);
    ensure!(archive.is_done().await?);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_missing_or_changed_is_not_forgotten_and_hinders_no_other() -> Result<()> {
    let archive = Archive::new().await?;
    let one = archive.saga("order", 1, false).await?;
    archive.orders().run().await?;
    let two = archive.saga("claim", 2, false).await?;
    archive.pass(vec![kept("claim", DAY, RetentionTarget::Archive)]).run().await?;
    let names = archive.names()?;
    ensure!(names.len() == 2, "{names:?}");
    archive.erase_left(one).await?;
    archive.erase_left(two).await?;
    let path = archive.folder().join(&names[0]);
    let whole = fs::read(&path)?;
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0xff;
    for damaged in [None, Some(changed)] {
        match damaged {
            None => fs::remove_file(&path)?,
            Some(bytes) => fs::write(&path, bytes)?,
        }
        archive.rewriter().finish_erasures().await?;
        ensure!(archive.names()?.iter().any(|name| name.ends_with("-000002-1.saga.zst")));
        ensure!(archive.store.pending_erasure(one).await?.is_some());
    }
    fs::write(&path, whole)?;
    archive.rewriter().finish_erasures().await?;
    for name in archive.names()? {
        assert_eq!(archive.content(&name)?, 0, "{name}");
    }
    ensure!(archive.is_done().await?);
    Ok(())
}

#[tokio::test]
async fn what_a_file_has_of_a_saga_that_stayed_goes_with_its_erasure_in_the_store() -> Result<()> {
    let archive = Archive::new().await?;
    let (one, two) = (archive.saga("order", 1, false).await?, archive.saga("order", 2, false).await?);
    let pass = archive.orders();
    let number = archive.store.begin_archive(super::EVER, 1).await?;
    let rules = crate::archiving::rules::PassRules::of(&pass.retention, pass.clock.now().0).of_old(DAY);
    let exported = crate::archiving::export::portion(&pass, Uuid::nil(), number, super::EVER, &rules).await?;
    ensure!(archive.store.record_archive(number, &exported.content).await?);
    let first = RemovedPortion { number, shard: 0, streams: vec![(one, 2)] };
    ensure!(archive.store.remove_archived(&first).await? == 1);
    // Here the process ends, and an operator erases the saga that is still in the store.
    let append = StreamAppend {
        append_id: Uuid::new_v4(),
        shard: 0,
        epoch: archive.epoch,
        stream: two,
        version: 3,
        recorded_at_ms: 9,
        payload: b"{\"act\":1}".to_vec(),
        outline: None,
        category: "order".into(),
        key: "order-2".into(),
        new_key: None,
        summary: None,
        act: None,
    };
    let rows = (1..=2).map(|version| ErasedRow { version, payload: b"{}".to_vec() }).collect();
    assert_eq!(archive.store.erase(&StreamErasure { append, rows }).await?, AppendOutcome::Committed);
    assert_eq!(archive.content(&archive.names()?[0])?, 4);
    pass.run().await?;
    for name in archive.names()? {
        ensure!(archive.content(&name)? <= 2, "{name} has the content of the erased saga");
    }
    let read = archive.files()?.read(two).await?;
    ensure!(read.len() == 3 && read[2].payload == b"{\"act\":1}", "{read:?}");
    ensure!(archive.store.pending_erasures(Uuid::nil(), 10).await?.is_empty());
    Ok(())
}
