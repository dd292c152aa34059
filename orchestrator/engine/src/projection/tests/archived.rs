//! Projections of sagas that have left the store.

use super::*;
use crate::{
    archiving::{ArchivePass, RetentionOf},
    projection::{LeftOutArchive, RebuildError},
    replay::repair::{self, RepairMode},
};
use saga_base::clock::EngineClock;
use saga_core::definition::{RetentionRule, RetentionTarget};
use std::{path::PathBuf, time::Duration};

/// Sagas that end before the first archive.
const ENDED: usize = 100;

/// A store whose ended sagas leave to a folder.
struct ArchivedStore {
    seeded: SeededStore,
    folder: tempfile::TempDir,
}

impl ArchivedStore {
    async fn with_ended() -> ArchivedStore {
        let (seeded, folder) = (SeededStore::with(SAGAS).await, tempfile::tempdir().expect("a folder"));
        let it = ArchivedStore { seeded, folder };
        it.end(ENDED).await;
        it
    }

    fn store(&self) -> &Arc<dyn EventStore> {
        &self.seeded.store
    }

    async fn end(&self, most: usize) {
        end_sagas(self.store(), most).await;
        // The rows of ended sagas say so.
        repair::repair(Arc::clone(self.store()), RepairMode::Write, 2, |_| {}).await.expect("the store answers");
    }

    /// Lets all sagas leave that have ended, and returns how many archives there are then.
    async fn archive(&self) -> usize {
        let rule = RetentionRule { after: Duration::from_millis(1), to: RetentionTarget::Archive };
        let pass = ArchivePass {
            store: Arc::clone(self.store()),
            plans: Arc::default(),
            retention: vec![RetentionOf { saga: "order".into(), rule }],
            folder: Some(self.folder.path().to_owned()),
            width: Duration::from_millis(1),
            clock: EngineClock::Wall,
            present: EngineClock::Wall,
        };
        pass.run().await.expect("a pass");
        self.store().archives().await.expect("archives").len()
    }

    fn archives(&self, missing: MissingArchives) -> ArchiveFolder {
        ArchiveFolder { folder: Some(self.folder.path().to_owned()), missing }
    }

    fn file(&self) -> PathBuf {
        let mut files = std::fs::read_dir(self.folder.path()).expect("a folder");
        files.next().expect("an archive").expect("a file").path()
    }

    async fn rebuild_all(&self, missing: MissingArchives) -> Vec<LeftOutArchive> {
        let mut left_out = Vec::new();
        for rules in shipped() {
            let built = rebuild(Arc::clone(self.store()), rules.name(), self.archives(missing), |_| {}).await;
            left_out = built.expect("it is built").left_out;
        }
        left_out
    }

    async fn outcomes(&self) -> u64 {
        rows(self.store(), "outcomes").await.iter().filter_map(|row| row["row"]["count"].as_u64()).sum()
    }
}

#[tokio::test]
async fn a_rebuild_has_the_rows_of_sagas_that_have_left() {
    let it = ArchivedStore::with_ended().await;
    it.rebuild_all(MissingArchives::Refused).await;
    let before = all_rows(it.store()).await;
    assert_eq!(it.outcomes().await, ENDED as u64);
    assert!(it.archive().await > 0);
    assert_eq!(it.seeded.listed_open().await, SAGAS as usize - ENDED);
    it.rebuild_all(MissingArchives::Refused).await;
    assert_eq!(all_rows(it.store()).await, before);
}

impl SeededStore {
    async fn listed_open(&self) -> usize {
        let all = StreamFilter { limit: 10_000, ..StreamFilter::default() };
        self.store.list(&all).await.expect("a list").len()
    }
}

/// Each portion has a builder of its own. Between two of them sagas end and leave the store: for each projection at
/// other moments, while archives are read and while the feed is.
#[tokio::test]
async fn what_leaves_while_a_projection_is_built_is_applied_once() {
    let it = ArchivedStore::with_ended().await;
    it.archive().await;
    let folder = || it.archives(MissingArchives::Refused);
    let mut ended = ENDED as u64;
    for (moment, rules) in shipped().iter().enumerate() {
        let name = rules.name();
        let mut generation = begin_rebuild(it.store().as_ref(), name, folder()).await.expect("it begins");
        for portion in 0..8 {
            let mut source = ProjectionSource::new(Arc::clone(it.store()), Arc::default(), folder(), PORTION_ROWS);
            let mut outdated = generation.clone();
            let moved = source.advance(*rules, &mut generation).await.expect("it goes on");
            if moved == AdvanceOutcome::CaughtUp {
                break;
            }
            let other = source.advance(*rules, &mut outdated).await.expect("an answer");
            assert_eq!(other, AdvanceOutcome::Outdated, "a portion is applied once");
            if portion % shipped().len() == moment {
                it.end(2).await;
                ended += 2;
                it.archive().await;
            }
        }
        rebuild(Arc::clone(it.store()), name, folder(), |_| {}).await.expect("it is built");
        let interrupted = rows(it.store(), name).await;
        rebuild(Arc::clone(it.store()), name, folder(), |_| {}).await.expect("it is built");
        assert_eq!(rows(it.store(), name).await, interrupted, "{name}");
    }
    it.rebuild_all(MissingArchives::Refused).await;
    assert_eq!(it.outcomes().await, ended);
}

#[tokio::test]
async fn a_missing_file_is_refused_with_its_name_or_left_out_and_told() {
    let it = ArchivedStore::with_ended().await;
    it.archive().await;
    it.rebuild_all(MissingArchives::Refused).await;
    let built = it.store().projections().await.expect("generations");
    let (file, kept) = (it.file(), it.folder.path().join("kept"));
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    std::fs::rename(&file, &kept).expect("moved");
    let refused = rebuild(Arc::clone(it.store()), "outcomes", it.archives(MissingArchives::Refused), |_| {}).await;
    let Err(error @ RebuildError::Archives(_)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains(&name) && error.to_string().contains("--without-archives"), "{error}");
    assert_eq!(it.store().projections().await.expect("generations"), built, "nothing is built");
    let left_out = it.rebuild_all(MissingArchives::LeftOut).await;
    assert_eq!(left_out.iter().map(|it| &it.file).collect::<Vec<_>>(), [&name]);
    assert!(it.outcomes().await < ENDED as u64);
    let told = views(it.store().as_ref()).await.expect("views");
    assert!(told.iter().skip(1).all(|view| view.live.as_ref().is_some_and(|live| live.left_out == left_out)));
    std::fs::rename(&kept, &file).expect("moved back");
    assert_eq!(it.rebuild_all(MissingArchives::Refused).await, []);
    assert_eq!(it.outcomes().await, ENDED as u64);
}

#[tokio::test]
async fn a_file_that_was_changed_is_refused() {
    let it = ArchivedStore::with_ended().await;
    it.archive().await;
    let mut bytes = std::fs::read(it.file()).expect("bytes");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(it.file(), bytes).expect("written");
    let refused = rebuild(Arc::clone(it.store()), "outcomes", it.archives(MissingArchives::Refused), |_| {}).await;
    let Err(RebuildError::Archives(damaged)) = refused else { panic!("{refused:?}") };
    assert_eq!(damaged.len(), 1);
    assert!(damaged[0].reason.contains("SHA-256") || damaged[0].reason.contains("ends in the middle"), "{damaged:?}");
}
