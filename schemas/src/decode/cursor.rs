//! The bytes, and how far they are read. No length is believed before the bytes are there.

use super::fault::{DecodeFault, RisingFault};
use crate::binary::{MAX_VARINT, read_long};
use memchr::memchr;

pub(crate) struct ByteCursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> ByteCursor<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> ByteCursor<'b> {
        ByteCursor { bytes, at: 0 }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, RisingFault> {
        let rest = &self.bytes[self.at..];
        // Most are one byte.
        if let Some(byte) = rest.first().copied().filter(|byte| byte & 0x80 == 0) {
            self.at += 1;
            return Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1));
        }
        let Some((value, length)) = read_long(rest) else { return Err(self.no_long()) };
        self.at += length;
        Ok(value)
    }

    #[cold]
    fn no_long(&self) -> RisingFault {
        let fault = match self.left() < MAX_VARINT {
            true => DecodeFault::End { expected: "an integer" },
            false => DecodeFault::Integer { bits: 64 },
        };
        RisingFault::new(self.at, fault)
    }

    pub(crate) fn int(&mut self) -> Result<i32, RisingFault> {
        let offset = self.at;
        let value = self.long()?;
        i32::try_from(value).map_err(|_| RisingFault::new(offset, DecodeFault::Integer { bits: 32 }))
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, RisingFault> {
        let offset = self.at;
        match self.array::<1>("a boolean")? {
            [0] => Ok(false),
            [1] => Ok(true),
            [found] => Err(RisingFault::new(offset, DecodeFault::Boolean { found })),
        }
    }

    pub(crate) fn float(&mut self) -> Result<f32, RisingFault> {
        self.array("a float").map(f32::from_le_bytes)
    }

    pub(crate) fn double(&mut self) -> Result<f64, RisingFault> {
        self.array("a double").map(f64::from_le_bytes)
    }

    /// The index of one of `count`.
    pub(crate) fn index(&mut self, of: &'static str, count: usize) -> Result<usize, RisingFault> {
        let offset = self.at;
        let found = self.long()?;
        let index = usize::try_from(found).ok().filter(|index| *index < count);
        index.ok_or_else(|| RisingFault::new(offset, DecodeFault::Index { of, count, found }))
    }

    /// Bytes with their length before them.
    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], RisingFault> {
        let offset = self.at;
        let found = self.long()?;
        let length = usize::try_from(found).ok().filter(|length| *length <= self.left());
        let left = self.left();
        let length = length.ok_or_else(|| RisingFault::new(offset, DecodeFault::Length { found, left }))?;
        Ok(self.taken(length))
    }

    /// Bytes whose number the schema says.
    pub(crate) fn fixed(&mut self, size: usize) -> Result<&'b [u8], RisingFault> {
        if size > self.left() {
            return Err(RisingFault::new(self.at, DecodeFault::End { expected: "a fixed" }));
        }
        Ok(self.taken(size))
    }

    pub(crate) fn text(&mut self) -> Result<&'b str, RisingFault> {
        let offset = self.at;
        let bytes = self.bytes()?;
        checked_text(bytes).map_err(|fault| RisingFault::new(offset, fault))
    }

    /// Items of the next block; 0: there is none.
    pub(crate) fn block(&mut self) -> Result<u64, RisingFault> {
        let offset = self.at;
        let found = self.long()?;
        if found == i64::MIN {
            return Err(RisingFault::new(offset, DecodeFault::Block { found }));
        }
        if found < 0 {
            // The block's length in bytes serves those who skip it.
            self.long()?;
        }
        Ok(found.unsigned_abs())
    }

    fn taken(&mut self, length: usize) -> &'b [u8] {
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        taken
    }

    fn array<const SIZE: usize>(&mut self, expected: &'static str) -> Result<[u8; SIZE], RisingFault> {
        match self.bytes[self.at..].first_chunk::<SIZE>() {
            Some(chunk) => {
                self.at += SIZE;
                Ok(*chunk)
            }
            None => Err(RisingFault::new(self.at, DecodeFault::End { expected })),
        }
    }
}

/// Text that databases and JSON take.
fn checked_text(bytes: &[u8]) -> Result<&str, DecodeFault> {
    match std::str::from_utf8(bytes) {
        Ok(text) if memchr(0, bytes).is_none() => Ok(text),
        Ok(_) => Err(DecodeFault::Nul),
        Err(error) => {
            let position = error.valid_up_to();
            Err(DecodeFault::Utf8 { byte: bytes[position], position })
        }
    }
}
