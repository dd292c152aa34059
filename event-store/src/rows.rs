//! Readers for the rows of both databases.

use crate::{
    ActPosition, ActSource, ArchiveContent, ArchiveRecord, ArchiveState, AttendanceGap, NoteNumber, PendingErasure,
    StartPeriod, StoreError, StoreIdentity, StoredAct, StoredNote, StreamAct, StreamGroup, StreamKeyHolder, StreamRow,
    StreamSnapshot, StreamStanding, StreamStatusCount, StreamSummary, archive::ArchivedStream, backend::StoredRow,
    standing, waits,
};

pub(crate) fn row(row: &impl StoredRow) -> Result<StreamRow, StoreError> {
    Ok(StreamRow {
        version: version(row.column("version")?)?,
        recorded_at_ms: row.column("recorded_at")?,
        append_id: row.column("append_id")?,
        payload: row.column("payload")?,
    })
}

pub(crate) fn act(row: &impl StoredRow) -> Result<StoredAct, StoreError> {
    let (stream, version) = (row.column("stream")?, version(row.column("version")?)?);
    let act = StreamAct {
        id: row.column("id")?,
        who: row.column("who")?,
        action: row.column("action")?,
        reason: row.column("reason")?,
        source: ActSource::read(row)?,
        before: row.column("before")?,
        after: row.column("after")?,
    };
    Ok(StoredAct { position: ActPosition { at_ms: row.column("at")?, stream, version }, key: row.column("key")?, act })
}

/// # Errors
/// [`StoreError::Damaged`] when the store cannot have written this value. The request is not at fault, and other rows
/// can be read.
pub(crate) fn version(stored: i64) -> Result<u32, StoreError> {
    u32::try_from(stored).map_err(|_| StoreError::Damaged(format!("a stored version is {stored}")))
}

/// # Errors
/// As [`version`].
pub(crate) fn payload_hash(stored: Vec<u8>) -> Result<[u8; 32], StoreError> {
    let unreadable = |bytes: Vec<u8>| StoreError::Damaged(format!("a stored payload hash has {} bytes", bytes.len()));
    stored.try_into().map_err(unreadable)
}

pub(crate) fn key_holder(row: &impl StoredRow) -> Result<StreamKeyHolder, StoreError> {
    let payload_hash = payload_hash(row.column("payload_hash")?)?;
    Ok(StreamKeyHolder { stream: row.column("stream")?, payload_hash })
}

pub(crate) fn summary(row: &impl StoredRow) -> Result<StreamSummary, StoreError> {
    Ok(StreamSummary {
        stream: row.column("stream")?,
        category: row.column("category")?,
        key: row.column("key")?,
        document: row.column("document")?,
        status: row.column("status")?,
        step: row.column("step")?,
        reason: row.column("reason")?,
        started_at_ms: row.column("started_at")?,
        updated_at_ms: row.column("updated_at")?,
        waits_on: waits::read(row.column("waits_on")?),
        flags: standing::read(row.column("flags")?),
        code: row.column("code")?,
        erased_at_ms: row.column("erased_at")?,
    })
}

pub(crate) fn snapshot(row: &impl StoredRow) -> Result<StreamSnapshot, StoreError> {
    Ok(StreamSnapshot {
        stream: row.column("stream")?,
        version: version(row.column("version")?)?,
        append_id: row.column("append_id")?,
        format: version(row.column("format")?)?,
        state: row.column("state")?,
    })
}

pub(crate) fn tally(row: &impl StoredRow) -> Result<StreamGroup, StoreError> {
    Ok(StreamGroup {
        category: row.column("category")?,
        status: row.column("status")?,
        step: row.column("step")?,
        code: row.column("code")?,
        waits_on: waits::read(row.column("waits_on")?),
        document: row.column("document")?,
        streams: row.column("streams")?,
        oldest_started_ms: row.column("oldest_started")?,
        oldest_changed_ms: row.column("oldest_changed")?,
    })
}

pub(crate) fn standing(row: &impl StoredRow) -> Result<StreamStatusCount, StoreError> {
    Ok(StreamStatusCount {
        category: row.column("category")?,
        status: row.column("status")?,
        streams: row.column("streams")?,
        oldest_started_ms: row.column("oldest_started")?,
        oldest_changed_ms: row.column("oldest_changed")?,
    })
}

pub(crate) fn stream_standing(row: &impl StoredRow) -> Result<StreamStanding, StoreError> {
    let shard: i64 = row.column("shard")?;
    let shard = u16::try_from(shard).map_err(|_| StoreError::Damaged(format!("a stored shard is {shard}")))?;
    Ok(StreamStanding { summary: summary(row)?, shard, open: row.column("open")? })
}

pub(crate) fn streams(row: &impl StoredRow) -> Result<i64, StoreError> {
    Ok(row.column("streams")?)
}

pub(crate) fn period(row: &impl StoredRow) -> Result<StartPeriod, StoreError> {
    Ok(StartPeriod { from_ms: row.column("from_ms")?, to_ms: row.column("to_ms")? })
}

pub(crate) fn archive(row: &impl StoredRow) -> Result<ArchiveRecord, StoreError> {
    let count = |name: &str| Ok::<u64, StoreError>(row.column::<i64>(name)?.unsigned_abs());
    let categories: String = row.column("categories")?;
    Ok(ArchiveRecord {
        number: row.column("number")?,
        state: ArchiveState::parse(&row.column::<String>("state")?)?,
        period: period(row)?,
        content: ArchiveContent {
            file: row.column("file")?,
            streams: count("streams")?,
            rows: count("row_count")?,
            dropped: count("dropped")?,
            bytes: count("bytes")?,
            sha256: row.column("sha256")?,
            categories: categories.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            newest_ms: row.column("newest_ms")?,
        },
        begun_ms: row.column("begun_ms")?,
        ended_ms: row.column("ended_ms")?,
        replaced: row.column("replaced")?,
    })
}

pub(crate) fn pending_erasure(row: &impl StoredRow) -> Result<PendingErasure, StoreError> {
    let stream = row.column("stream")?;
    let damaged = |reason: String| StoreError::Damaged(format!("the erased stream {stream} on record: {reason}"));
    let line: Option<Vec<u8>> = row.column("line")?;
    let erased = line.map(|line| ArchivedStream::of_line(&line).map_err(damaged)).transpose()?;
    Ok(PendingErasure { stream, erased })
}

pub(crate) fn note(row: &impl StoredRow) -> Result<StoredNote, StoreError> {
    Ok(StoredNote {
        number: NoteNumber(row.column("number")?),
        id: row.column("id")?,
        at_ms: row.column("at")?,
        body: row.column("body")?,
    })
}

pub(crate) fn gap(row: &impl StoredRow) -> Result<AttendanceGap, StoreError> {
    Ok(AttendanceGap { began_ms: row.column("began_at")?, ended_ms: row.column("ended_at")? })
}

pub(crate) fn identity(row: &impl StoredRow) -> Result<StoreIdentity, StoreError> {
    let shards: i64 = row.column("shards")?;
    let shards = u16::try_from(shards).map_err(|_| StoreError::Schema(format!("the store says {shards} shards")))?;
    Ok(StoreIdentity { installation: row.column("id")?, shards })
}
