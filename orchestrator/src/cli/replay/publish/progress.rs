//! How far a run is, in a file that a crash does not break.

use anyhow::{Context, bail};
use saga_core::id::SagaId;
use saga_engine::replay::publish::{PublishFilter, RecordRate};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// The file is written again after this time at the latest: what a crash costs is sent again.
const KEEP_EVERY: Duration = Duration::from_millis(500);

/// How far a run is, and what it sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PublishProgress {
    /// Identity of the run, which each record carries in the header `ce_replay`.
    pub(super) run: Uuid,
    pub(super) topic: String,
    pub(super) filter: PublishFilter,
    /// How fast it sends; `None`: as fast as the broker takes records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<RecordRate>,
    /// The records of this saga, and of all before it, were delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<SagaId>,
    /// So many records were delivered.
    pub(super) records: u64,
    pub(super) done: bool,
}

impl PublishProgress {
    pub(super) fn new(run: Uuid, topic: String, filter: PublishFilter, rate: Option<RecordRate>) -> PublishProgress {
        PublishProgress { run, topic, filter, rate, after: None, records: 0, done: false }
    }

    pub(super) fn moves_to(&mut self, saga: SagaId, records: u64) {
        (self.after, self.records) = (Some(saga), records);
    }
}

/// The file of one run.
#[derive(Debug)]
pub(super) struct PublishProgressFile {
    path: PathBuf,
    kept_at: Instant,
}

impl PublishProgressFile {
    /// Writes the file of a new run.
    ///
    /// # Errors
    /// When it cannot be written: then nothing is to be sent.
    pub(super) fn create(folder: &Path, progress: &PublishProgress) -> anyhow::Result<PublishProgressFile> {
        let mut file = PublishProgressFile { path: path(folder, progress.run), kept_at: Instant::now() };
        let told = || format!("the progress of the run cannot be written to {}", file.path.display());
        write(&file.path, progress).with_context(told)?;
        file.kept_at = Instant::now();
        Ok(file)
    }

    /// The file of a run that is to go on.
    ///
    /// # Errors
    /// When there is none, or it is not of that run.
    pub(super) fn read(folder: &Path, run: Uuid) -> anyhow::Result<(PublishProgressFile, PublishProgress)> {
        let path = path(folder, run);
        let text = fs::read_to_string(&path).with_context(|| {
            format!("no run {run} is known here\nhint: its file {} is in the folder where it began", path.display())
        })?;
        let progress: PublishProgress =
            serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))?;
        if progress.run != run {
            bail!("{} is the file of run {}", path.display(), progress.run);
        }
        Ok((PublishProgressFile { path, kept_at: Instant::now() }, progress))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the progress, unless it was written a moment ago.
    pub(super) fn keep(&mut self, progress: &PublishProgress) -> io::Result<()> {
        if self.kept_at.elapsed() < KEEP_EVERY {
            return Ok(());
        }
        self.flush(progress)
    }

    /// Writes the progress. When it returns, a crash of the machine does not lose it.
    pub(super) fn flush(&mut self, progress: &PublishProgress) -> io::Result<()> {
        write(&self.path, progress)?;
        self.kept_at = Instant::now();
        Ok(())
    }
}

fn path(folder: &Path, run: Uuid) -> PathBuf {
    folder.join(format!("saga-replay-{run}.json"))
}

/// A new file takes the place of the old one, so that a crash leaves one of them whole.
fn write(path: &Path, progress: &PublishProgress) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let mut file = File::create(&new)?;
    serde_json::to_writer_pretty(&mut file, progress)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{id::ShardId, state::SagaStatus, time::Timestamp};
    use saga_engine::replay::publish::PublishKind;

    fn progress() -> PublishProgress {
        let filter = PublishFilter {
            what: PublishKind::Steps,
            saga: Some("order".into()),
            status: vec![SagaStatus::Completed, SagaStatus::Compensated],
            since: Some(Timestamp(1_700_000_000_000)),
            until: None,
            key: None,
        };
        PublishProgress::new(Uuid::new_v4(), "copies".into(), filter, "20/s".parse().ok())
    }

    #[test]
    fn a_run_goes_on_with_its_filter_where_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut progress = progress();
        let mut file = PublishProgressFile::create(folder.path(), &progress).expect("written");
        progress.moves_to(SagaId::new(Timestamp(1_700_000_000_001), ShardId(3), 42), 7);
        file.flush(&progress).expect("written");
        let (_, read) = PublishProgressFile::read(folder.path(), progress.run).expect("the file is there");
        assert_eq!(read, progress);
        let names: Vec<_> = fs::read_dir(folder.path()).expect("a folder").flatten().map(|it| it.file_name()).collect();
        assert_eq!(names, [format!("saga-replay-{}.json", progress.run).as_str()], "nothing else is left");
    }

    #[test]
    fn a_run_that_is_not_known_or_not_whole_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = Uuid::new_v4();
        let unknown = PublishProgressFile::read(folder.path(), run).expect_err("no file");
        assert!(unknown.to_string().contains(&format!("no run {run} is known here")), "{unknown}");
        let path = folder.path().join(format!("saga-replay-{run}.json"));
        fs::write(&path, "{\"run\":").expect("written");
        let broken = PublishProgressFile::read(folder.path(), run).expect_err("half a file");
        assert!(broken.to_string().contains("cannot be read"), "{broken}");
        fs::write(&path, serde_json::to_string(&progress()).expect("JSON")).expect("written");
        let other = PublishProgressFile::read(folder.path(), run).expect_err("another run's");
        assert!(other.to_string().contains("is the file of run"), "{other}");
    }

    #[test]
    fn the_file_is_not_written_for_each_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut progress = progress();
        let mut file = PublishProgressFile::create(folder.path(), &progress).expect("written");
        progress.moves_to(SagaId::new(Timestamp(1), ShardId(3), 42), 7);
        file.keep(&progress).expect("a moment ago");
        let (_, read) = PublishProgressFile::read(folder.path(), progress.run).expect("the file is there");
        assert_eq!(read.records, 0);
    }
}
