//! Why a frame cannot be read.

/// Most bytes that a message shows.
const SHOWN: usize = 8;

/// Why a record's frame cannot be read; the message says what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The record ends within its frame.
    #[error("the frame is cut off: `{found}` begins a frame of {needed} bytes, and the record has {length}")]
    Short {
        /// The first bytes, in hexadecimal digits.
        found: String,
        /// Bytes of the whole frame.
        needed: usize,
        /// Bytes of the record.
        length: usize,
    },
    /// The header that names the schema holds something else.
    #[error(
        "the header with the schema's id holds `{found}` ({length} bytes); expected 00 and an id of 4 bytes, or 01 \
         and a GUID of 16"
    )]
    Header {
        /// The first bytes, in hexadecimal digits.
        found: String,
        /// Bytes of the header.
        length: usize,
    },
    /// The record begins like no frame and not like JSON.
    #[error(
        "the record begins with `{found}`; expected JSON, 00 and a schema's id, 01 and a schema's GUID, or C3 01 and \
         a fingerprint"
    )]
    Unknown {
        /// The first bytes, in hexadecimal digits.
        found: String,
    },
}

impl FramingError {
    pub(super) fn short(bytes: &[u8], needed: usize) -> FramingError {
        FramingError::Short { found: hexadecimal(bytes), needed, length: bytes.len() }
    }

    pub(super) fn header(bytes: &[u8]) -> FramingError {
        FramingError::Header { found: hexadecimal(bytes), length: bytes.len() }
    }

    pub(super) fn unknown(bytes: &[u8]) -> FramingError {
        FramingError::Unknown { found: hexadecimal(bytes) }
    }
}

/// `00 00 2A …`
fn hexadecimal(bytes: &[u8]) -> String {
    let mut shown: Vec<String> = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02X}")).collect();
    if bytes.len() > SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(" ")
}
