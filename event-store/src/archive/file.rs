//! Reads one archive file.

use super::{
    ARCHIVE_FORMAT, ArchiveError,
    line::{ArchiveHeader, ArchiveLine, ArchivedDocument, ArchivedStream, BlockEntry, FooterLine},
    writer::{self, TRAILER_MAGIC, hex},
};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Magic number and size of a frame that is skipped.
const SKIPPED: usize = 8;
/// Magic, three numbers and the sum.
const CONTENT: usize = 8 + 24 + 32;
/// The most bytes that a frame unpacks to: a block ends with the saga that fills it, and a saga is as large as a
/// journal can be.
const MOST_UNPACKED: u64 = 4 << 30;
/// Bytes that are summed at once.
const PIECE: usize = 1 << 20;

/// How much an archive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveTotals {
    /// Streams.
    pub sagas: u64,
    /// Their rows.
    pub rows: u64,
}

/// A file whose end was read. Nothing else was.
#[derive(Debug)]
pub struct ArchiveFile {
    file: File,
    path: PathBuf,
    header: ArchiveHeader,
    footer: FooterLine,
    end: u64,
    sha256: [u8; 32],
    /// Whole streams of a block that breaks off.
    tail: Vec<ArchivedStream>,
}

impl ArchiveFile {
    /// Opens a file and reads what it has and where.
    ///
    /// # Errors
    /// When it is no archive, has another format, or ends in the middle; then the error names the last whole saga, for
    /// which the whole file is read.
    pub fn open(path: &Path) -> Result<ArchiveFile, ArchiveError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        let header = header(path)?;
        let Some((end, [at, bytes, unpacked], sha256)) = trailer(&file).map_err(|source| io_error(path, source))?
        else {
            return Err(truncated(path));
        };
        let text = frame(&file, at, bytes, unpacked).map_err(|_| truncated(path))?;
        let footer = lines(&text).find_map(|line| match serde_json::from_str(line) {
            Ok(ArchiveLine::Footer(footer)) => Some(footer),
            Ok(ArchiveLine::Archive(_) | ArchiveLine::Saga(_) | ArchiveLine::Document(_)) | Err(_) => None,
        });
        let footer = footer.ok_or_else(|| truncated(path))?;
        Ok(ArchiveFile { file, path: path.to_owned(), header, footer, end, sha256, tail: Vec::new() })
    }

    /// Opens a file that ends in the middle, for its whole streams. Reads all of it, to find them.
    ///
    /// # Errors
    /// When it is no archive, or has another format.
    pub fn open_damaged(path: &Path) -> Result<ArchiveFile, ArchiveError> {
        match ArchiveFile::open(path) {
            Err(ArchiveError::Truncated { .. }) => {
                let header = header(path)?;
                let file = File::open(path).map_err(|source| io_error(path, source))?;
                let (footer, tail) = walk(path);
                Ok(ArchiveFile { file, path: path.to_owned(), header, footer, end: 0, sha256: [0; 32], tail })
            }
            other => other,
        }
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says about itself.
    #[must_use]
    pub fn header(&self) -> &ArchiveHeader {
        &self.header
    }

    /// How much it has.
    #[must_use]
    pub fn totals(&self) -> ArchiveTotals {
        ArchiveTotals { sagas: self.footer.sagas, rows: self.footer.rows }
    }

    /// The first and the last stream; `None`: it has none.
    #[must_use]
    pub fn range(&self) -> Option<(Uuid, Uuid)> {
        self.footer.blocks.first().zip(self.footer.blocks.last()).map(|(first, last)| (first.first, last.last))
    }

    /// The last stream that is whole; `None`: none is.
    #[must_use]
    pub fn last_stream(&self) -> Option<Uuid> {
        let tail = self.tail.last().map(|it| it.summary.stream);
        tail.or_else(|| self.footer.blocks.last().map(|block| block.last))
    }

    /// The sum that the file names, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&self.sha256)
    }

    /// Reads the whole file and compares its sum.
    ///
    /// # Errors
    /// When it differs.
    pub fn check(&self) -> Result<(), ArchiveError> {
        let found = self.sum().map_err(|source| io_error(&self.path, source))?;
        if found == self.sha256 {
            return Ok(());
        }
        let (last, sagas) = whole(&walk(&self.path));
        Err(ArchiveError::Checksum {
            file: self.path.clone(),
            expected: self.sha256(),
            found: hex(&found),
            last,
            sagas,
        })
    }

    /// The texts that its streams need.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn documents(&self) -> Result<Vec<ArchivedDocument>, ArchiveError> {
        let mut documents = Vec::new();
        for (at, bytes, unpacked) in &self.footer.documents {
            let text = frame(&self.file, *at, *bytes, *unpacked).map_err(|source| io_error(&self.path, source))?;
            documents.extend(lines(&text).filter_map(|line| match serde_json::from_str(line) {
                Ok(ArchiveLine::Document(document)) => Some(document),
                Ok(ArchiveLine::Archive(_) | ArchiveLine::Saga(_) | ArchiveLine::Footer(_)) | Err(_) => None,
            }));
        }
        Ok(documents)
    }

    /// The streams of one block, in the order of their ids.
    ///
    /// # Errors
    /// When the block is damaged: its sum is wrong, or a line is none of an archive.
    pub(super) fn block(&self, block: &BlockEntry) -> Result<Vec<ArchivedStream>, ArchiveError> {
        let damaged = |reason: String| ArchiveError::Block {
            file: self.path.clone(),
            first: block.first,
            last: block.last,
            reason,
        };
        let text = frame(&self.file, block.offset, block.bytes, block.unpacked);
        let text = text.map_err(|error| damaged(error.to_string()))?;
        let streams: Result<Vec<_>, String> = lines(&text).map(stream).collect();
        let streams = streams.map_err(damaged)?;
        if streams.len() as u64 == block.sagas {
            return Ok(streams);
        }
        Err(damaged(format!("it has {} sagas, expected {}", streams.len(), block.sagas)))
    }

    /// The streams of the block at a position, in the order of their ids; `None`: behind the last one.
    ///
    /// # Errors
    /// When that part of the file is damaged.
    pub fn block_at(&self, at: usize) -> Option<Result<Vec<ArchivedStream>, ArchiveError>> {
        self.footer.blocks.get(at).map(|block| self.block(block))
    }

    /// Whether the file was read to an end that it says itself, so that its sum is known.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.end > 0
    }

    pub(super) fn blocks(&self) -> &[BlockEntry] {
        &self.footer.blocks
    }

    /// The streams of the block that breaks off; none in a file that is whole.
    pub(super) fn tail(&self) -> &[ArchivedStream] {
        &self.tail
    }

    /// All streams, block after block.
    pub fn streams(&self) -> impl Iterator<Item = Result<Vec<ArchivedStream>, ArchiveError>> + '_ {
        self.footer.blocks.iter().map(|block| self.block(block))
    }

    /// Removes the file of this name, and one that was not finished; neither may be there.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(path: &Path) -> Result<(), ArchiveError> {
        writer::remove(path)
    }

    fn sum(&self) -> io::Result<[u8; 32]> {
        let mut sum = Sha256::new();
        let (mut at, mut piece) = (0, vec![0; PIECE]);
        while at < self.end {
            let take = PIECE.min(usize::try_from(self.end - at).unwrap_or(PIECE));
            self.file.read_exact_at(&mut piece[..take], at)?;
            sum.update(&piece[..take]);
            at += take as u64;
        }
        Ok(sum.finalize().into())
    }
}

/// What a file has, frame by frame from its beginning to its end or to the first damage: the blocks, and the whole
/// streams of the one that breaks off.
fn walk(path: &Path) -> (FooterLine, Vec<ArchivedStream>) {
    let mut found = FooterLine { sagas: 0, rows: 0, documents: Vec::new(), blocks: Vec::new() };
    let Ok(mut reader) = File::open(path).map(BufReader::new) else { return (found, Vec::new()) };
    loop {
        let (Ok(at), mut text) = (reader.stream_position(), Vec::new()) else { return (found, Vec::new()) };
        let read = zstd::stream::Decoder::with_buffer(&mut reader)
            .and_then(|decoder| decoder.single_frame().take(MOST_UNPACKED).read_to_end(&mut text));
        let end = reader.stream_position().unwrap_or(at);
        let is_whole = read.is_ok() && end > at;
        let whole_lines = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let streams: Vec<ArchivedStream> = lines(&text[..whole_lines]).filter_map(|line| stream(line).ok()).collect();
        found.sagas += streams.len() as u64;
        found.rows += streams.iter().map(|it| it.rows.len() as u64).sum::<u64>();
        if !is_whole {
            return (found, streams);
        }
        let (bytes, unpacked) = (end - at, text.len() as u64);
        match (streams.first(), streams.last()) {
            (Some(first), Some(last)) => found.blocks.push(BlockEntry {
                offset: at,
                bytes,
                unpacked,
                first: first.summary.stream,
                last: last.summary.stream,
                sagas: streams.len() as u64,
            }),
            (None, _) | (_, None) => found.documents.push((at, bytes, unpacked)),
        }
    }
}

/// The last whole stream, and how many there are.
fn whole((found, tail): &(FooterLine, Vec<ArchivedStream>)) -> (Option<Uuid>, u64) {
    let last = tail.last().map(|it| it.summary.stream).or(found.blocks.last().map(|block| block.last));
    (last, found.sagas)
}

fn truncated(path: &Path) -> ArchiveError {
    let (last, sagas) = whole(&walk(path));
    ArchiveError::Truncated { file: path.to_owned(), last, sagas }
}

fn stream(line: &str) -> Result<ArchivedStream, String> {
    match serde_json::from_str(line).map_err(|error| error.to_string())? {
        ArchiveLine::Saga(line) => line.into_stream(),
        ArchiveLine::Archive(_) | ArchiveLine::Document(_) | ArchiveLine::Footer(_) => {
            Err("a line is no saga".to_owned())
        }
    }
}

/// The first line of the file.
fn header(path: &Path) -> Result<ArchiveHeader, ArchiveError> {
    /// More than a header has.
    const MOST: u64 = 64 * 1024;
    #[derive(serde::Deserialize)]
    struct AnyHeader {
        archive: AnyFormat,
    }
    #[derive(serde::Deserialize)]
    struct AnyFormat {
        format: u32,
    }
    let first_line = || -> io::Result<String> {
        let mut line = String::new();
        let unpacked = zstd::stream::Decoder::new(File::open(path)?)?.take(MOST);
        BufReader::new(unpacked).read_line(&mut line)?;
        Ok(line)
    };
    let line = first_line().map_err(|_| ArchiveError::NoArchive(path.to_owned()))?;
    let any: AnyHeader = serde_json::from_str(&line).map_err(|_| ArchiveError::NoArchive(path.to_owned()))?;
    if any.archive.format != ARCHIVE_FORMAT {
        return Err(ArchiveError::Version { file: path.to_owned(), found: any.archive.format });
    }
    match serde_json::from_str(&line) {
        Ok(ArchiveLine::Archive(header)) => Ok(header),
        Ok(ArchiveLine::Saga(_) | ArchiveLine::Document(_) | ArchiveLine::Footer(_)) | Err(_) => {
            Err(ArchiveError::NoArchive(path.to_owned()))
        }
    }
}

type TrailerFields = (u64, [u64; 3], [u8; 32]);

/// Where the trailer begins, what it says of the footer, and the sum; `None`: the file has no trailer at its end.
fn trailer(file: &File) -> io::Result<Option<TrailerFields>> {
    let size = file.metadata()?.len();
    let Some(begins) = size.checked_sub((SKIPPED + CONTENT) as u64) else { return Ok(None) };
    let mut bytes = [0; SKIPPED + CONTENT];
    file.read_exact_at(&mut bytes, begins)?;
    let content = &bytes[SKIPPED..];
    if !content.starts_with(TRAILER_MAGIC) {
        return Ok(None);
    }
    let number = |at: usize| u64::from_le_bytes(content[at..at + 8].try_into().unwrap_or_default());
    let sum = content[32..].try_into().unwrap_or_default();
    Ok(Some((begins, [number(8), number(16), number(24)], sum)))
}

/// Reads one frame, which has to unpack to exactly this.
fn frame(file: &File, at: u64, bytes: u64, unpacked: u64) -> io::Result<Vec<u8>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    if unpacked > MOST_UNPACKED || bytes > file.metadata()?.len() {
        return Err(wrong("a part of the file has an impossible size"));
    }
    let size = |bytes: u64| usize::try_from(bytes).map_err(|_| wrong("a part of the file is too large"));
    let mut packed = vec![0; size(bytes)?];
    file.read_exact_at(&mut packed, at)?;
    let text = zstd::bulk::decompress(&packed, size(unpacked)?)?;
    if text.len() as u64 == unpacked { Ok(text) } else { Err(wrong("a part of the file is shorter than it was")) }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()).filter(|line| !line.is_empty())
}

fn io_error(path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Io { file: path.to_owned(), source }
}
