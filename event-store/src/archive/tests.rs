//! Files as they are written, cut and changed.

use super::{
    ARCHIVE_SUFFIX, ArchiveError, ArchiveFile, ArchiveReader, ArchiveWriter, ArchivedDocument, ArchivedStream,
};
use crate::{JournalReader as _, RowPosition, StreamRow, StreamSummary};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use uuid::Uuid;

fn id(number: u128) -> Uuid {
    Uuid::from_u128((number << 80) | (7 << 76) | (1 << 63))
}

/// A stream whose payloads are JSON, other bytes, and JSON that would not fit a line.
fn stream(number: u128) -> ArchivedStream {
    let payloads = [
        format!("{{\"n\":{number}.50,\"big\":123456789012345678901}}").into_bytes(),
        vec![0, 159, 1],
        b"{\n}".to_vec(),
    ];
    let row = |(at, payload): (usize, Vec<u8>)| StreamRow {
        version: u32::try_from(at).unwrap_or_default() + 1,
        recorded_at_ms: 1_700_000_000_000,
        append_id: Uuid::from_u128(number),
        payload,
    };
    let summary = StreamSummary {
        stream: id(number),
        category: "order".into(),
        key: format!("order-{number}"),
        document: "d0".into(),
        status: "completed".into(),
        step: None,
        reason: (number == 2).then(|| "a reason".into()),
        started_at_ms: 1,
        updated_at_ms: 2,
        waits_on: Vec::new(),
        flags: vec!["overdue".into()],
        code: None,
        erased_at_ms: (number == 3).then_some(4),
    };
    ArchivedStream { summary, shard: 3, rows: payloads.into_iter().enumerate().map(row).collect() }
}

fn written(folder: &Path, number: i64, streams: &[ArchivedStream]) -> Result<PathBuf> {
    let path = folder.join(format!("{number}{ARCHIVE_SUFFIX}"));
    let mut writer = ArchiveWriter::create(&path, Uuid::nil(), number, 5)?;
    for stream in streams {
        let text = ArchivedDocument { kind: "definition".into(), hash: "d0".into(), text: "saga: order".into() };
        writer.add_document(text);
        writer.add(stream)?;
    }
    let finished = writer.finish()?;
    ensure!(finished.path == path && finished.bytes == std::fs::metadata(&path)?.len());
    ensure!(finished.sagas == streams.len() as u64);
    Ok(path)
}

/// Streams that fill several blocks.
fn large(count: u128) -> Vec<ArchivedStream> {
    let with_payload = |number| {
        let mut stream = stream(number);
        stream.rows[0].payload = format!("\"{}\"", "x".repeat(300_000)).into_bytes();
        stream
    };
    (1..=count).map(with_payload).collect()
}

#[tokio::test]
async fn what_was_written_is_read_like_a_store() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let streams: Vec<_> = (1..=5).map(stream).collect();
    let path = written(folder.path(), 1, &streams)?;
    let file = ArchiveFile::open(&path)?;
    file.check()?;
    assert_eq!((file.totals().sagas, file.totals().rows, file.range()), (5, 15, Some((id(1), id(5)))));
    let reader = ArchiveReader::open(folder.path())?;
    for stream in &streams {
        assert_eq!(reader.read(stream.summary.stream).await?, stream.rows);
        assert_eq!(reader.summary(stream.summary.stream).await?.as_ref(), Some(&stream.summary));
    }
    assert_eq!(reader.read(id(9)).await?, []);
    assert_eq!(reader.get_document("definition", "d0").await?.as_deref(), Some("saga: order"));
    let page = reader.scan(RowPosition { stream: id(2), version: 2 }, 3, u64::MAX).await?;
    let places: Vec<_> = page.iter().map(|(stream, row)| (*stream, row.version)).collect();
    assert_eq!(places, [(id(2), 3), (id(3), 1), (id(3), 2)]);
    assert_eq!(reader.next_stream(id(4)).await?, Some(id(5)));
    assert_eq!(reader.next_stream(id(5)).await?, None);
    Ok(())
}

#[tokio::test]
async fn several_files_are_read_in_one_order_and_the_newest_counts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let odd: Vec<_> = [1, 3, 5].map(stream).into();
    let mut even: Vec<_> = [2, 3, 4].map(stream).into();
    even[1].summary.status = "abandoned".into();
    written(folder.path(), 1, &odd)?;
    written(folder.path(), 2, &even)?;
    let reader = ArchiveReader::open(folder.path())?;
    let rows = reader.scan(RowPosition::default(), 100, u64::MAX).await?;
    let mut ids: Vec<_> = rows.iter().map(|(stream, _)| *stream).collect();
    ids.dedup();
    assert_eq!(ids, [1, 2, 3, 4, 5].map(id));
    assert_eq!(rows.len(), 15, "no saga is there twice");
    assert_eq!(reader.summary(id(3)).await?.context("it is there")?.status, "abandoned");
    Ok(())
}

#[tokio::test]
async fn a_file_that_ends_in_the_middle_names_its_last_whole_saga() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let streams = large(12);
    let path = written(folder.path(), 1, &streams)?;
    let whole = std::fs::read(&path)?;
    for part in [1, 3, 5, 7, 9] {
        std::fs::write(&path, &whole[..whole.len() * part / 10])?;
        let refused = ArchiveFile::open(&path);
        let Err(ArchiveError::Truncated { sagas, last, .. }) = refused else { anyhow::bail!("{refused:?}") };
        let read = ArchiveReader::open_damaged(folder.path())?;
        let rows = read.scan(RowPosition::default(), 1000, u64::MAX).await?;
        let found = streams.iter().take_while(|it| rows.iter().any(|(stream, _)| *stream == it.summary.stream)).count();
        assert_eq!((found as u64, rows.len()), (sagas, found * 3), "at {part}/10");
        assert_eq!(last, found.checked_sub(1).map(|at| streams[at].summary.stream));
        for stream in &streams[..found] {
            assert_eq!(read.read(stream.summary.stream).await?, stream.rows);
        }
        if found > 0 {
            assert!(read.get_document("definition", "d0").await?.is_some(), "texts come before the sagas");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_byte_is_noticed_and_hinders_no_other_block() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let streams = large(12);
    let path = written(folder.path(), 1, &streams)?;
    let file = ArchiveFile::open(&path)?;
    ensure!(file.blocks().len() >= 3, "{:?}", file.blocks());
    let second = file.blocks()[1];
    let mut bytes = std::fs::read(&path)?;
    bytes[usize::try_from(second.offset + second.bytes / 2)?] ^= 0xff;
    std::fs::write(&path, bytes)?;
    let file = ArchiveFile::open(&path)?;
    let changed = file.check();
    ensure!(matches!(&changed, Err(ArchiveError::Checksum { sagas: 1.., .. })), "{changed:?}");
    let reader = ArchiveReader::of(vec![file])?;
    let damaged = reader.read(second.first).await;
    ensure!(matches!(&damaged, Err(error) if error.is_damage()), "{damaged:?}");
    assert_eq!(reader.next_stream(second.first).await?, Some(file_after(&streams, second.last)));
    assert_eq!(reader.read(id(1)).await?, streams[0].rows);
    assert_eq!(reader.read(id(12)).await?, streams[11].rows);
    Ok(())
}

fn file_after(streams: &[ArchivedStream], last: Uuid) -> Uuid {
    streams.iter().map(|it| it.summary.stream).find(|stream| *stream > last).unwrap_or_default()
}

#[test]
fn what_is_no_archive_of_this_format_is_refused_by_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(format!("1{ARCHIVE_SUFFIX}"));
    std::fs::write(&path, b"something else")?;
    let refused = ArchiveFile::open(&path);
    ensure!(matches!(&refused, Err(ArchiveError::NoArchive(_))), "{refused:?}");
    let header = format!("{{\"archive\":{{\"format\":7,\"installation\":\"{}\"}}}}\n", Uuid::nil());
    std::fs::write(&path, zstd::stream::encode_all(header.as_bytes(), 1)?)?;
    let refused = ArchiveFile::open(&path);
    ensure!(matches!(&refused, Err(ArchiveError::Version { found: 7, .. })), "{refused:?}");
    let none = ArchiveReader::open(&folder.path().join("nothing"));
    ensure!(matches!(&none, Err(ArchiveError::Io { .. })), "{none:?}");
    Ok(())
}

#[test]
fn an_unfinished_file_has_no_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(format!("1{ARCHIVE_SUFFIX}"));
    let mut writer = ArchiveWriter::create(&path, Uuid::nil(), 1, 5)?;
    writer.add(&stream(1))?;
    drop(writer);
    ensure!(!path.exists());
    ensure!(ArchiveReader::open(folder.path()).is_err(), "a partial file is no archive");
    ArchiveFile::remove(&path)?;
    ensure!(std::fs::read_dir(folder.path())?.next().is_none());
    ArchiveFile::remove(&path)?;
    Ok(())
}
