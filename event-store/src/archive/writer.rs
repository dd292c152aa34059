//! Writes an archive file: under another name until it is whole and on the disk.

use super::{
    ARCHIVE_FORMAT, ArchiveError,
    line::{ArchiveHeader, ArchiveLine, ArchivedDocument, ArchivedStream, BlockEntry, FooterLine},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    mem,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Bytes of lines in one block: little enough that a single saga is found quickly, enough that they pack well.
const BLOCK_BYTES: usize = 1024 * 1024;
/// How hard zstd tries. More costs much time and saves little.
const LEVEL: i32 = 3;
/// The beginning of the trailer's content.
pub(super) const TRAILER_MAGIC: &[u8; 8] = b"SAGAARC1";
/// The end of the name of a file that is not whole yet.
const PARTIAL: &str = ".partial";

/// A file that is being written. If it is dropped before [`ArchiveWriter::finish`], the partial file stays; the next
/// writer of the same name replaces it.
#[derive(Debug)]
pub struct ArchiveWriter {
    file: File,
    path: PathBuf,
    sum: Sha256,
    offset: u64,
    block: Vec<u8>,
    begun: Option<BlockEntry>,
    blocks: Vec<BlockEntry>,
    /// Texts that the block needs and no block before it had.
    texts: Vec<ArchivedDocument>,
    known: BTreeSet<(String, String)>,
    documents: Vec<(u64, u64, u64)>,
    rows: u64,
}

/// A file that is whole, on the disk and under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedArchive {
    /// The file.
    pub path: PathBuf,
    /// How many streams it has.
    pub sagas: u64,
    /// How many rows they have.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes before the trailer, in hexadecimal.
    pub sha256: String,
}

impl ArchiveWriter {
    /// Begins a file that will be called `path`. Its folder is created.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn create(path: &Path, installation: Uuid, number: i64, now_ms: i64) -> Result<ArchiveWriter, ArchiveError> {
        let (format, created_at_ms) = (ARCHIVE_FORMAT, now_ms);
        ArchiveWriter::begin(path, ArchiveHeader { format, installation, number, created_at_ms, revision: 0 })
    }

    /// Begins the file that takes the place of the one with the header `before`.
    ///
    /// # Errors
    /// As [`ArchiveWriter::create`].
    pub fn replace(path: &Path, before: &ArchiveHeader, now_ms: i64) -> Result<ArchiveWriter, ArchiveError> {
        let revision = before.revision.saturating_add(1);
        let header = ArchiveHeader { format: ARCHIVE_FORMAT, created_at_ms: now_ms, revision, ..before.clone() };
        ArchiveWriter::begin(path, header)
    }

    fn begin(path: &Path, header: ArchiveHeader) -> Result<ArchiveWriter, ArchiveError> {
        let created = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            File::create(partial(path))
        };
        let file = created().map_err(|source| ArchiveError::Io { file: path.to_owned(), source })?;
        let mut writer = ArchiveWriter {
            file,
            path: path.to_owned(),
            sum: Sha256::new(),
            offset: 0,
            block: Vec::with_capacity(BLOCK_BYTES),
            begun: None,
            blocks: Vec::new(),
            texts: Vec::new(),
            known: BTreeSet::new(),
            documents: Vec::new(),
            rows: 0,
        };
        writer.frame_of(&[ArchiveLine::Archive(header)])?;
        Ok(writer)
    }

    /// Adds a stream. Streams come in the order of their ids.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn add(&mut self, stream: &ArchivedStream) -> Result<(), ArchiveError> {
        let id = stream.summary.stream;
        let line = ArchiveLine::Saga(Box::new(stream.line()));
        write_line(&mut self.block, &line).map_err(|source| self.failed(source))?;
        self.rows += stream.rows.len() as u64;
        let begun = self.begun.get_or_insert(BlockEntry {
            offset: self.offset,
            bytes: 0,
            unpacked: 0,
            first: id,
            last: id,
            sagas: 0,
        });
        begun.last = id;
        begun.sagas += 1;
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    /// Adds a text that readers of the next stream need, unless the file has it. It comes before that stream, so a file
    /// that ends in the middle has the texts of its whole streams.
    pub fn add_document(&mut self, document: ArchivedDocument) {
        if self.known.insert((document.kind.clone(), document.hash.clone())) {
            self.texts.push(document);
        }
    }

    /// Whether the file has this text.
    #[must_use]
    pub fn has_document(&self, kind: &str, hash: &str) -> bool {
        self.known.contains(&(kind.to_owned(), hash.to_owned()))
    }

    /// Ends the file, and returns when it is on the disk under its name.
    ///
    /// # Errors
    /// When the file system refuses; the file has no name then.
    pub fn finish(mut self) -> Result<FinishedArchive, ArchiveError> {
        self.end_block()?;
        let sagas = self.blocks.iter().map(|block| block.sagas).sum();
        let footer = FooterLine {
            sagas,
            rows: self.rows,
            documents: mem::take(&mut self.documents),
            blocks: mem::take(&mut self.blocks),
        };
        let (at, bytes, unpacked) = self.frame_of(&[ArchiveLine::Footer(footer)])?;
        let sha256 = self.sum.clone().finalize();
        let trailer = trailer(at, bytes, unpacked, &sha256);
        let mut end = || -> io::Result<()> {
            self.file.write_all(&trailer)?;
            self.file.sync_all()?;
            fs::rename(partial(&self.path), &self.path)?;
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        end().map_err(|source| ArchiveError::Io { file: self.path.clone(), source })?;
        let sha256 = hex(&sha256);
        Ok(FinishedArchive {
            sagas,
            rows: self.rows,
            bytes: self.offset + trailer.len() as u64,
            sha256,
            path: self.path,
        })
    }

    fn end_block(&mut self) -> Result<(), ArchiveError> {
        let Some(begun) = self.begun.take() else { return Ok(()) };
        self.end_texts()?;
        let lines = mem::take(&mut self.block);
        let (offset, bytes, unpacked) = self.frame(&lines)?;
        self.blocks.push(BlockEntry { offset, bytes, unpacked, ..begun });
        self.block = lines;
        self.block.clear();
        Ok(())
    }

    fn end_texts(&mut self) -> Result<(), ArchiveError> {
        let lines: Vec<_> = mem::take(&mut self.texts).into_iter().map(ArchiveLine::Document).collect();
        if !lines.is_empty() {
            let frame = self.frame_of(&lines)?;
            self.documents.push(frame);
        }
        Ok(())
    }

    fn frame_of(&mut self, lines: &[ArchiveLine<'_>]) -> Result<(u64, u64, u64), ArchiveError> {
        let mut text = Vec::new();
        for line in lines {
            write_line(&mut text, line).map_err(|source| self.failed(source))?;
        }
        self.frame(&text)
    }

    /// Writes one frame; where it is, its bytes, and what it unpacks to.
    fn frame(&mut self, lines: &[u8]) -> Result<(u64, u64, u64), ArchiveError> {
        let packed = packed(lines).map_err(|source| self.failed(source))?;
        self.file.write_all(&packed).map_err(|source| self.failed(source))?;
        self.sum.update(&packed);
        let at = self.offset;
        self.offset += packed.len() as u64;
        Ok((at, packed.len() as u64, lines.len() as u64))
    }

    fn failed(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Io { file: self.path.clone(), source }
    }
}

/// Removes what a writer left that did not finish, and the file itself.
///
/// # Errors
/// When the file system refuses.
pub(super) fn remove(path: &Path) -> Result<(), ArchiveError> {
    for file in [partial(path), path.to_owned()] {
        match fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(ArchiveError::Io { file, source }),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    PathBuf::from(name)
}

fn write_line(into: &mut Vec<u8>, line: &ArchiveLine<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *into, line)?;
    into.push(b'\n');
    Ok(())
}

/// With a checksum, so that each frame is proved when it is read.
fn packed(lines: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.write_all(lines)?;
    encoder.finish()
}

/// A frame that programs for zstd skip: where the footer is, and the sum of all bytes before.
fn trailer(at: u64, bytes: u64, unpacked: u64, sha256: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(64);
    content.extend(TRAILER_MAGIC);
    for number in [at, bytes, unpacked] {
        content.extend(number.to_le_bytes());
    }
    content.extend(sha256);
    let mut trailer = 0x184D_2A50_u32.to_le_bytes().to_vec();
    trailer.extend(u32::try_from(content.len()).unwrap_or_default().to_le_bytes());
    trailer.extend(content);
    trailer
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
