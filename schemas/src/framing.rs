//! What stands before the payload of a record: nothing (JSON), the frame of a schema registry, or that of Avro's
//! single-object encoding.

mod fault;

pub use fault::FramingError;
use uuid::Uuid;

/// Header in which newer clients of Confluent's registry send the schema of a record's value.
pub const VALUE_SCHEMA_HEADER: &str = "__value_schema_id";
/// The same for the record's key.
pub const KEY_SCHEMA_HEADER: &str = "__key_schema_id";

/// Begins a frame with the schema's id in the registry.
const MAGIC_ID: u8 = 0;
/// Begins a frame with the schema's GUID.
const MAGIC_GUID: u8 = 1;
/// Magic byte and id, big-endian.
const ID_FRAME: usize = 5;
/// Magic byte and GUID.
const GUID_FRAME: usize = 17;
/// Begins Avro's single-object encoding.
const SINGLE_OBJECT_MARK: [u8; 2] = [0xc3, 0x01];
/// Mark and fingerprint, little-endian.
const SINGLE_OBJECT_FRAME: usize = 10;

/// A record's value, or key, without its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFraming<'a> {
    /// No frame, and the bytes begin as JSON does. They need not be JSON.
    Json(&'a [u8]),
    /// The schema is named by its id in the registry.
    RegistryId {
        /// Id of the schema.
        id: u32,
        /// What the schema describes.
        payload: &'a [u8],
    },
    /// The schema is named by its GUID in the registry.
    RegistryGuid {
        /// GUID of the schema.
        guid: Uuid,
        /// What the schema describes.
        payload: &'a [u8],
    },
    /// Avro's single-object encoding.
    SingleObject {
        /// CRC-64-AVRO of the schema's canonical form.
        fingerprint: u64,
        /// What the schema describes.
        payload: &'a [u8],
    },
}

impl<'a> RecordFraming<'a> {
    /// Takes the frame off `bytes`. `schema_header` is the value of [`VALUE_SCHEMA_HEADER`] (of a key:
    /// [`KEY_SCHEMA_HEADER`]); if it is there, it counts, and the bytes have no frame.
    ///
    /// # Errors
    /// The frame is cut off, or the bytes begin like no frame and not like JSON.
    pub fn of(bytes: &'a [u8], schema_header: Option<&[u8]>) -> Result<RecordFraming<'a>, FramingError> {
        match schema_header {
            Some(header) => of_header(header, bytes),
            None => of_bytes(bytes),
        }
    }

    /// The bytes after the frame.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        match *self {
            RecordFraming::Json(payload)
            | RecordFraming::RegistryId { payload, .. }
            | RecordFraming::RegistryGuid { payload, .. }
            | RecordFraming::SingleObject { payload, .. } => payload,
        }
    }
}

/// `payload` in the frame with the schema's id.
#[must_use]
pub fn framed_by_id(id: u32, payload: &[u8]) -> Vec<u8> {
    [&[MAGIC_ID], id.to_be_bytes().as_slice(), payload].concat()
}

/// The value of the header that names a schema by its GUID.
#[must_use]
pub fn guid_header(guid: Uuid) -> Vec<u8> {
    [&[MAGIC_GUID], guid.as_bytes().as_slice()].concat()
}

/// `payload` in Avro's single-object encoding.
#[must_use]
pub fn framed_as_single_object(fingerprint: u64, payload: &[u8]) -> Vec<u8> {
    [SINGLE_OBJECT_MARK.as_slice(), fingerprint.to_le_bytes().as_slice(), payload].concat()
}

fn of_header<'a>(header: &[u8], payload: &'a [u8]) -> Result<RecordFraming<'a>, FramingError> {
    match (header.first(), header.len()) {
        (Some(&MAGIC_ID), ID_FRAME) => Ok(RecordFraming::RegistryId { id: id_after_magic(header), payload }),
        (Some(&MAGIC_GUID), GUID_FRAME) => Ok(RecordFraming::RegistryGuid { guid: guid_after_magic(header), payload }),
        _ => Err(FramingError::header(header)),
    }
}

fn of_bytes(bytes: &[u8]) -> Result<RecordFraming<'_>, FramingError> {
    match bytes {
        [MAGIC_ID, ..] if bytes.len() >= ID_FRAME => {
            Ok(RecordFraming::RegistryId { id: id_after_magic(bytes), payload: &bytes[ID_FRAME..] })
        }
        [MAGIC_GUID, ..] if bytes.len() >= GUID_FRAME => {
            Ok(RecordFraming::RegistryGuid { guid: guid_after_magic(bytes), payload: &bytes[GUID_FRAME..] })
        }
        [0xc3, 0x01, rest @ ..] => single_object(rest).ok_or_else(|| FramingError::short(bytes, SINGLE_OBJECT_FRAME)),
        [MAGIC_ID, ..] => Err(FramingError::short(bytes, ID_FRAME)),
        [MAGIC_GUID, ..] => Err(FramingError::short(bytes, GUID_FRAME)),
        [first, ..] if !begins_json(*first) => Err(FramingError::unknown(bytes)),
        _ => Ok(RecordFraming::Json(bytes)),
    }
}

fn id_after_magic(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[1..ID_FRAME].try_into().expect("the caller has checked the length"))
}

fn guid_after_magic(frame: &[u8]) -> Uuid {
    Uuid::from_bytes(frame[1..GUID_FRAME].try_into().expect("the caller has checked the length"))
}

fn single_object(rest: &[u8]) -> Option<RecordFraming<'_>> {
    let (fingerprint, payload) = rest.split_first_chunk::<8>()?;
    Some(RecordFraming::SingleObject { fingerprint: u64::from_le_bytes(*fingerprint), payload })
}

/// A byte that JSON can begin with; 0xEF is that of a byte order mark.
fn begins_json(first: u8) -> bool {
    matches!(first, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b' ' | b'\t' | b'\n' | b'\r' | 0xef)
}

#[cfg(test)]
mod tests;
