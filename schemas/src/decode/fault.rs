//! Why bytes are not what a schema says.

use super::{MAX_DEPTH, MAX_VALUES};
use crate::value_path::{PathPart, ValuePath};
use std::sync::Arc;

pub use crate::logical::LogicalFault;

/// Where bytes stop being what the schema says, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}, byte {offset}: {fault}", path = .inner.path, offset = .inner.offset, fault = .inner.fault)]
pub struct DecodeError {
    inner: Box<PlacedFault>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PlacedFault {
    path: ValuePath,
    offset: usize,
    fault: DecodeFault,
}

/// What is wrong at the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// The bytes end within a value.
    #[error("expected {expected}, found the end")]
    End {
        /// What was expected.
        expected: &'static str,
    },
    /// A length that more bytes have than there are.
    #[error("expected a length of at most {left}, the bytes that are left, found {found}")]
    Length {
        /// The length that was claimed.
        found: i64,
        /// Bytes that are left.
        left: usize,
    },
    /// An integer of more bits than its type has.
    #[error("expected an integer of {bits} bits, found a longer one")]
    Integer {
        /// Bits of the type.
        bits: u32,
    },
    /// A boolean that is neither 0 nor 1.
    #[error("expected a boolean, 00 or 01, found {found:02X}")]
    Boolean {
        /// The byte.
        found: u8,
    },
    /// The index of a symbol or a branch that does not exist.
    #[error("expected the index of one of {count} {of}, found {found}")]
    Index {
        /// `symbols` or `branches`.
        of: &'static str,
        /// How many there are.
        count: usize,
        /// The index.
        found: i64,
    },
    /// The number of items in a block is no number of items.
    #[error("expected the number of items in a block, found {found}")]
    Block {
        /// The number.
        found: i64,
    },
    /// A string, or a map's key, is not UTF-8.
    #[error("expected text in UTF-8, found byte {byte:02X} at position {position} of the text")]
    Utf8 {
        /// The first byte that is wrong.
        byte: u8,
        /// Its place in the text, from 0.
        position: usize,
    },
    /// A string, or a map's key, holds NUL, which Postgres cannot store.
    #[error("the text contains NUL")]
    Nul,
    /// A map has a key twice.
    #[error("the map has the key {0:?} twice")]
    RepeatedKey(String),
    /// A map has a key that this product's JSON library keeps for itself.
    #[error("the map has a key that begins with `$serde_json::private::`")]
    ReservedKey,
    /// The value nests more deeply than is taken.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    Depth,
    /// There are more values than are taken.
    #[error("more than {MAX_VALUES} values")]
    TooManyValues,
    /// The number or the bytes do not stand for what their logical type says.
    #[error("{0}")]
    Logical(#[from] LogicalFault),
    /// What was written here does not fit the reader's schema.
    #[error("the reader's schema does not read this: {0}")]
    Mismatch(Arc<str>),
    /// The value ends, and bytes follow.
    #[error("{left} bytes follow the value")]
    Trailing {
        /// How many.
        left: usize,
    },
}

impl DecodeError {
    /// Where in the value.
    #[must_use]
    pub fn path(&self) -> &ValuePath {
        &self.inner.path
    }

    /// Where in the bytes, counted from 0 after the frame: the beginning of the value that is wrong.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.inner.offset
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &DecodeFault {
        &self.inner.fault
    }
}

/// A fault on its way up, which collects the path from the inside.
#[derive(Debug)]
pub(crate) struct RisingFault(Box<(Vec<PathPart>, usize, DecodeFault)>);

impl RisingFault {
    pub(crate) fn new(offset: usize, fault: impl Into<DecodeFault>) -> RisingFault {
        RisingFault(Box::new((Vec::new(), offset, fault.into())))
    }

    #[cold]
    pub(crate) fn within(mut self, part: PathPart) -> RisingFault {
        self.0.0.push(part);
        self
    }
}

impl From<RisingFault> for DecodeError {
    fn from(fault: RisingFault) -> DecodeError {
        let (parts, offset, fault) = *fault.0;
        DecodeError { inner: Box::new(PlacedFault { path: ValuePath::from_inside(parts), offset, fault }) }
    }
}
