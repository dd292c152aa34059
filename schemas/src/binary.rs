//! Avro's integers: zigzag, seven bits a byte, the lowest first.

/// Bytes of the longest integer of 64 bits.
pub(crate) const MAX_VARINT: usize = 10;

/// The integer that `bytes` begin with and its length; `None`: they end within it, or it has more than 64 bits.
#[inline]
pub(crate) fn read_long(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut bits = 0u64;
    for (at, byte) in bytes.iter().take(MAX_VARINT).enumerate() {
        if at == MAX_VARINT - 1 && *byte > 1 {
            return None;
        }
        bits |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed(), at + 1));
        }
    }
    None
}

/// Appends an integer.
pub(crate) fn write_long(bytes: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while bits >= 0x80 {
        bytes.push(low_byte(bits) | 0x80);
        bits >>= 7;
    }
    bytes.push(low_byte(bits));
}

fn low_byte(bits: u64) -> u8 {
    bits.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_are_those_of_the_specification() {
        for (value, expected) in [(0, &[0u8][..]), (-1, &[1]), (1, &[2]), (-64, &[0x7f]), (64, &[0x80, 1])] {
            let mut bytes = Vec::new();
            write_long(&mut bytes, value);
            assert_eq!(bytes, expected, "{value}");
        }
    }

    #[test]
    fn more_than_64_bits_are_refused() {
        assert_eq!(read_long(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some((i64::MIN, 10)));
        assert_eq!(read_long(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
        assert_eq!(read_long(&[0x80; 12]), None);
        assert_eq!(read_long(&[0x80]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: i64) {
            let mut bytes = Vec::new();
            write_long(&mut bytes, value);
            prop_assert_eq!(read_long(&bytes), Some((value, bytes.len())));
        }
    }
}
