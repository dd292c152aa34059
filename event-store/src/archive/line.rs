//! The lines of an archive, as JSON.

use crate::{StreamRow, StreamSummary, waits};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

/// The first line of a file: what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveHeader {
    /// The version of the format.
    pub format: u32,
    /// The store that the streams left.
    pub installation: Uuid,
    /// The number of the archive among those of the store.
    pub number: i64,
    /// When the file was begun, in milliseconds since the Unix epoch.
    pub created_at_ms: i64,
    /// How often the file was written anew without what was erased.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A text by its hash, as the store had it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArchivedDocument {
    /// The kind of the text.
    pub kind: String,
    /// Its hash.
    pub hash: String,
    /// The text.
    pub text: String,
}

/// One stream, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedStream {
    /// Its row in the read model.
    pub summary: StreamSummary,
    /// The shard that it belonged to.
    pub shard: u16,
    /// All its rows, oldest first.
    pub rows: Vec<StreamRow>,
}

/// Where a block of streams is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockEntry {
    pub(super) offset: u64,
    /// Bytes in the file, and what they unpack to.
    pub(super) bytes: u64,
    pub(super) unpacked: u64,
    pub(super) first: Uuid,
    pub(super) last: Uuid,
    pub(super) sagas: u64,
}

/// The last line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FooterLine {
    pub(super) sagas: u64,
    pub(super) rows: u64,
    /// Where the texts are: offset, bytes and unpacked bytes.
    pub(super) documents: Vec<(u64, u64, u64)>,
    pub(super) blocks: Vec<BlockEntry>,
}

/// Any line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ArchiveLine<'a> {
    Archive(ArchiveHeader),
    #[serde(borrow)]
    Saga(Box<StreamLine<'a>>),
    Document(ArchivedDocument),
    Footer(FooterLine),
}

/// A stream as a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamLine<'a> {
    id: Uuid,
    shard: u16,
    saga: String,
    key: String,
    status: String,
    definition: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    started_at_ms: i64,
    updated_at_ms: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waits_on: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    incidents: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased_at_ms: Option<i64>,
    #[serde(borrow)]
    rows: Vec<RowLine<'a>>,
}

/// A row: its payload as JSON, or its bytes if they are none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowLine<'a> {
    version: u32,
    at_ms: i64,
    append_id: Uuid,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    base64: Option<Cow<'a, str>>,
}

impl ArchivedStream {
    /// The stream as the store keeps it until files have it: what a line of a file says of it.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        serde_json::to_vec(&self.line()).expect("texts, numbers and JSON values are JSON")
    }

    /// # Errors
    /// What is wrong with the line.
    pub(crate) fn of_line(line: &[u8]) -> Result<ArchivedStream, String> {
        serde_json::from_slice::<StreamLine<'_>>(line).map_err(|error| error.to_string())?.into_stream()
    }

    pub(super) fn line(&self) -> StreamLine<'_> {
        let summary = &self.summary;
        StreamLine {
            id: summary.stream,
            shard: self.shard,
            saga: summary.category.clone(),
            key: summary.key.clone(),
            status: summary.status.clone(),
            definition: summary.document.clone(),
            step: summary.step.clone(),
            reason: summary.reason.clone(),
            code: summary.code.clone(),
            started_at_ms: summary.started_at_ms,
            updated_at_ms: summary.updated_at_ms,
            waits_on: summary.waits_on.iter().map(ToString::to_string).collect(),
            incidents: summary.flags.clone(),
            erased_at_ms: summary.erased_at_ms,
            rows: self.rows.iter().map(row_line).collect(),
        }
    }
}

/// Bytes that are one JSON value in one line stay readable. They come back as they were, because a raw value keeps its
/// text.
fn row_line(row: &StreamRow) -> RowLine<'_> {
    let text = std::str::from_utf8(&row.payload).ok().filter(|text| !text.contains(['\n', '\r']));
    let payload = text.and_then(|text| {
        let value: &RawValue = serde_json::from_str(text).ok()?;
        (value.get().len() == text.len()).then_some(value)
    });
    let base64 = payload.is_none().then(|| Cow::Owned(STANDARD.encode(&row.payload)));
    RowLine { version: row.version, at_ms: row.recorded_at_ms, append_id: row.append_id, payload, base64 }
}

impl StreamLine<'_> {
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn into_stream(self) -> Result<ArchivedStream, String> {
        let rows = self.rows.into_iter().map(RowLine::into_row).collect::<Result<Vec<_>, _>>()?;
        let waits_on = (!self.waits_on.is_empty()).then(|| self.waits_on.join(","));
        let summary = StreamSummary {
            stream: self.id,
            category: self.saga,
            key: self.key,
            document: self.definition,
            status: self.status,
            step: self.step,
            reason: self.reason,
            started_at_ms: self.started_at_ms,
            updated_at_ms: self.updated_at_ms,
            waits_on: waits::read(waits_on),
            flags: self.incidents,
            code: self.code,
            erased_at_ms: self.erased_at_ms,
        };
        Ok(ArchivedStream { summary, shard: self.shard, rows })
    }
}

impl RowLine<'_> {
    fn into_row(self) -> Result<StreamRow, String> {
        let payload = match (self.payload, self.base64) {
            (Some(value), None) => value.get().as_bytes().to_vec(),
            (None, Some(text)) => {
                STANDARD.decode(text.as_bytes()).map_err(|error| format!("version {}: {error}", self.version))?
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(format!("version {}: expected either `payload` or `base64`", self.version));
            }
        };
        Ok(StreamRow { version: self.version, recorded_at_ms: self.at_ms, append_id: self.append_id, payload })
    }
}
