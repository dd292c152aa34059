//! Reads archive files like a store: all streams of all files in the order of their ids.

use super::{ARCHIVE_SUFFIX, ArchiveError, ArchiveFile, ArchivedStream};
use crate::{JournalReader, MAX_PAGE, RowPosition, StoreError, StoredAct, StreamRow, StreamSnapshot, StreamSummary};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use uuid::Uuid;

/// Unpacked blocks that are kept: a page, its rows of the read model and the next page read the same ones. Several
/// tasks read at once.
const KEPT_BLOCKS: usize = 48;

/// The streams of several files. If several have a stream, the file with the highest number counts: it was written
/// after the stream had changed. Of one number only the latest revision is read. A cheap handle.
#[derive(Clone, Debug)]
pub struct ArchiveReader {
    shared: Arc<SharedFiles>,
    /// Streams that were erased, in place of what files have.
    erased: HashMap<Uuid, ArchivedStream>,
}

#[derive(Debug)]
struct SharedFiles {
    files: Vec<ArchiveFile>,
    /// By the first stream.
    blocks: Vec<BlockPlace>,
    documents: HashMap<(String, String), String>,
    kept: Mutex<VecDeque<(BlockPlace, Arc<Vec<ArchivedStream>>)>>,
}

/// A block of a file, or the one that breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BlockPlace {
    first: Uuid,
    last: Uuid,
    file: usize,
    block: usize,
}

impl ArchiveReader {
    /// Opens a file, or all archive files of a folder.
    ///
    /// # Errors
    /// When a file cannot be read, or the folder has none.
    pub fn open(path: &Path) -> Result<ArchiveReader, ArchiveError> {
        ArchiveReader::open_with(path, ArchiveFile::open)
    }

    /// As [`ArchiveReader::open`], and reads the whole streams of files that end in the middle.
    ///
    /// # Errors
    /// As [`ArchiveReader::open`], but not for such files.
    pub fn open_damaged(path: &Path) -> Result<ArchiveReader, ArchiveError> {
        ArchiveReader::open_with(path, ArchiveFile::open_damaged)
    }

    fn open_with(
        path: &Path,
        open: fn(&Path) -> Result<ArchiveFile, ArchiveError>,
    ) -> Result<ArchiveReader, ArchiveError> {
        let files = paths(path)?.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
        ArchiveReader::of(files)
    }

    /// Reads these files.
    ///
    /// # Errors
    /// When the texts of a file cannot be read.
    pub fn of(mut files: Vec<ArchiveFile>) -> Result<ArchiveReader, ArchiveError> {
        let place = |file: &ArchiveFile| (file.header().installation, file.header().number);
        files.sort_by_key(|file| (file.header().number, file.header().installation, file.header().revision));
        files.reverse();
        files.dedup_by(|earlier, later| place(earlier) == place(later));
        files.reverse();
        let mut documents = HashMap::new();
        for file in &files {
            documents.extend(file.documents()?.into_iter().map(|it| ((it.kind, it.hash), it.text)));
        }
        let mut blocks: Vec<BlockPlace> = files.iter().enumerate().flat_map(|(at, file)| places(at, file)).collect();
        blocks.sort_unstable();
        let kept = Mutex::new(VecDeque::with_capacity(KEPT_BLOCKS));
        let shared = Arc::new(SharedFiles { files, blocks, documents, kept });
        Ok(ArchiveReader { shared, erased: HashMap::new() })
    }

    /// The same with an erased stream in place of what the files have of it. Reads by its id see it.
    #[must_use]
    pub fn with_erased(mut self, erased: ArchivedStream) -> ArchiveReader {
        self.erased.insert(erased.summary.stream, erased);
        self
    }

    /// The files, by their numbers.
    #[must_use]
    pub fn files(&self) -> &[ArchiveFile] {
        &self.shared.files
    }

    /// One stream; `None`: no file has it. Reads one block for each file whose range it is in.
    ///
    /// # Errors
    /// When that part of the file is damaged.
    pub async fn stream(&self, stream: Uuid) -> Result<Option<ArchivedStream>, StoreError> {
        if let Some(erased) = self.erased.get(&stream) {
            return Ok(Some(erased.clone()));
        }
        self.with(move |files| files.stream(stream)).await
    }

    /// The versions of the last rows of several streams. Those that no file has, or that are in a damaged part of a
    /// file, are not in the answer.
    ///
    /// # Errors
    /// When a file cannot be read at all.
    pub async fn last_versions(&self, streams: &[Uuid]) -> Result<HashMap<Uuid, u32>, StoreError> {
        let streams = streams.to_vec();
        let last = |files: &SharedFiles, stream: Uuid| match files.stream(stream) {
            Ok(found) => Ok(found.and_then(|it| it.rows.last().map(|row| (stream, row.version)))),
            Err(ArchiveError::Block { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        self.with(move |files| streams.iter().filter_map(|stream| last(files, *stream).transpose()).collect()).await
    }

    /// Unpacks in a task for work that blocks.
    async fn with<T: Send + 'static>(
        &self,
        read: impl FnOnce(&SharedFiles) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || read(&shared)).await;
        let done =
            done.map_err(|error| StoreError::Unavailable(format!("the reading of an archive failed: {error}")))?;
        Ok(done?)
    }
}

fn places(at: usize, file: &ArchiveFile) -> Vec<BlockPlace> {
    let blocks = file.blocks().iter().map(|block| (block.first, block.last));
    let tail =
        file.tail().first().zip(file.tail().last()).map(|(first, last)| (first.summary.stream, last.summary.stream));
    let all = blocks.chain(tail).enumerate();
    all.map(|(block, (first, last))| BlockPlace { first, last, file: at, block }).collect()
}

fn paths(path: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let failed = |source: io::Error| ArchiveError::Io { file: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ARCHIVE_SUFFIX)) {
            found.push(file);
        }
    }
    if found.is_empty() {
        let none = format!("the folder has no file *{ARCHIVE_SUFFIX}");
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, none)));
    }
    found.sort();
    Ok(found)
}

impl SharedFiles {
    fn block(&self, place: BlockPlace) -> Result<Arc<Vec<ArchivedStream>>, ArchiveError> {
        if let Some((_, streams)) = self.kept().iter().find(|(kept, _)| *kept == place) {
            return Ok(Arc::clone(streams));
        }
        let file = &self.files[place.file];
        let streams = match file.blocks().get(place.block) {
            Some(block) => file.block(block)?,
            None => file.tail().to_vec(),
        };
        let streams = Arc::new(streams);
        let mut kept = self.kept();
        kept.truncate(KEPT_BLOCKS - 1);
        kept.push_front((place, Arc::clone(&streams)));
        Ok(streams)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, VecDeque<(BlockPlace, Arc<Vec<ArchivedStream>>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, stream: Uuid) -> Result<Option<ArchivedStream>, ArchiveError> {
        let mut places: Vec<_> = self.blocks.iter().filter(|it| it.first <= stream && stream <= it.last).collect();
        places.sort_by_key(|place| std::cmp::Reverse(place.file));
        for place in places {
            let block = self.block(*place)?;
            if let Ok(at) = block.binary_search_by_key(&stream, |it| it.summary.stream) {
                return Ok(Some(block[at].clone()));
            }
        }
        Ok(None)
    }

    /// Streams from `from` on, ascending, until `enough` says so.
    fn streams_from(
        &self,
        from: Uuid,
        mut enough: impl FnMut(&ArchivedStream) -> bool,
    ) -> Result<Vec<ArchivedStream>, ArchiveError> {
        let mut taken = Vec::new();
        let mut waiting: BTreeMap<Uuid, (usize, ArchivedStream)> = BTreeMap::new();
        let mut blocks = self.blocks.iter().filter(|it| it.last >= from).peekable();
        loop {
            let next = blocks.next();
            // Nothing of the blocks that were not read comes before the first stream of the next one.
            while let Some(entry) = waiting.first_entry() {
                if next.is_some_and(|next| *entry.key() >= next.first) {
                    break;
                }
                let (_, stream) = entry.remove();
                let is_enough = enough(&stream);
                taken.push(stream);
                if is_enough {
                    return Ok(taken);
                }
            }
            let Some(place) = next else { return Ok(taken) };
            for stream in self.block(*place)?.iter().filter(|it| it.summary.stream >= from) {
                let id = stream.summary.stream;
                if waiting.get(&id).is_none_or(|(file, _)| *file < place.file) {
                    waiting.insert(id, (place.file, stream.clone()));
                }
            }
        }
    }

    fn page(&self, after: RowPosition, limit: u32, max_bytes: u64) -> Result<Vec<(Uuid, StreamRow)>, ArchiveError> {
        let (mut rows, mut bytes) = (0_usize, 0_u64);
        let most = usize::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(usize::MAX);
        let is_after = |stream: Uuid, row: &StreamRow| RowPosition { stream, version: row.version } > after;
        let streams = self.streams_from(after.stream, |it| {
            let new = it.rows.iter().filter(|row| is_after(it.summary.stream, row));
            new.for_each(|row| {
                rows += 1;
                bytes += row.payload.len() as u64;
            });
            rows >= most || bytes >= max_bytes
        })?;
        let all = streams.into_iter().flat_map(|it| it.rows.into_iter().map(move |row| (it.summary.stream, row)));
        let mut page = Vec::new();
        let mut bytes = 0;
        for (stream, row) in all.filter(|(stream, row)| is_after(*stream, row)) {
            if page.len() >= most || (!page.is_empty() && bytes >= max_bytes) {
                break;
            }
            bytes += row.payload.len() as u64;
            page.push((stream, row));
        }
        Ok(page)
    }

    fn next_stream(&self, after: Uuid) -> Result<Option<Uuid>, ArchiveError> {
        let Some(from) = after.as_u128().checked_add(1).map(Uuid::from_u128) else { return Ok(None) };
        match self.streams_from(from, |_| true) {
            Ok(found) => Ok(found.first().map(|it| it.summary.stream)),
            // Of a damaged block only the ends are known: the first one stands for all of it.
            Err(ArchiveError::Block { first, last, .. }) if first > after => Ok(Some(first).filter(|_| last > after)),
            Err(ArchiveError::Block { last, .. }) => self.next_stream(last),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl JournalReader for ArchiveReader {
    async fn read(&self, stream: Uuid) -> Result<Vec<StreamRow>, StoreError> {
        Ok(self.stream(stream).await?.map(|it| it.rows).unwrap_or_default())
    }

    async fn scan(&self, after: RowPosition, limit: u32, max_bytes: u64) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        self.with(move |files| files.page(after, limit, max_bytes)).await
    }

    async fn next_stream(&self, after: Uuid) -> Result<Option<Uuid>, StoreError> {
        self.with(move |files| files.next_stream(after)).await
    }

    async fn summaries(&self, streams: &[Uuid]) -> Result<Vec<StreamSummary>, StoreError> {
        let streams = streams.to_vec();
        self.with(move |files| {
            let found = streams.iter().filter_map(|stream| match files.stream(*stream) {
                Ok(found) => found.map(|it| Ok(it.summary)),
                // The damage is told where the rows are read.
                Err(ArchiveError::Block { .. }) => None,
                Err(error) => Some(Err(error)),
            });
            found.collect()
        })
        .await
    }

    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, StoreError> {
        Ok(self.stream(stream).await?.map(|it| it.summary))
    }

    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, StoreError> {
        Ok(self.stream(stream).await?.and_then(|it| it.rows.last().map(|row| row.version)))
    }

    /// A saga of an archive has its rows.
    async fn journaled(&self, _after: Uuid, _limit: u32) -> Result<Vec<(Uuid, bool)>, StoreError> {
        Ok(Vec::new())
    }

    async fn acts_between(&self, _first: Uuid, _last: Uuid) -> Result<Option<Vec<StoredAct>>, StoreError> {
        Ok(None)
    }

    async fn snapshot_versions(&self, _streams: &[Uuid]) -> Result<Vec<(Uuid, u32)>, StoreError> {
        Ok(Vec::new())
    }

    async fn snapshots(&self, _streams: &[Uuid]) -> Result<Vec<StreamSnapshot>, StoreError> {
        Ok(Vec::new())
    }

    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, StoreError> {
        Ok(self.shared.documents.get(&(kind.to_owned(), hash.to_owned())).cloned())
    }
}
