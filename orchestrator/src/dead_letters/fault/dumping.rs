//! Bytes that are no text.

/// Bytes in a line of a dump.
const LINE: usize = 16;
/// Lines of a dump before and behind the one with a place.
const LINES_AROUND: usize = 1;

/// Bytes that are text. A frame of Avro and small binary numbers are UTF-8, too, with controls that no text has.
pub(crate) fn readable(bytes: &[u8]) -> Option<&str> {
    let is_binary = |sign: char| sign.is_control() && !matches!(sign, '\n' | '\r' | '\t');
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains(is_binary))
}

/// Offset, bytes in hexadecimal, and what of them is ASCII: a line for each 16 bytes of the first `most`.
pub(crate) fn dump(bytes: &[u8], most: usize) -> Vec<String> {
    bytes[..bytes.len().min(most)].chunks(LINE).enumerate().map(|(at, line)| dumped(at, line)).collect()
}

/// The bytes around `place`, with a mark under it.
pub(super) fn around(bytes: &[u8], place: usize) -> Vec<String> {
    let at = place / LINE;
    let from = at.saturating_sub(LINES_AROUND);
    let mut shown = Vec::new();
    for (number, line) in bytes.chunks(LINE).enumerate().skip(from).take(at - from + LINES_AROUND + 1) {
        shown.push(dumped(number, line));
        if number == at {
            shown.push(mark(place));
        }
    }
    // The place may be the end, behind the last line.
    if place >= bytes.len().div_ceil(LINE) * LINE {
        shown.push(mark(place));
    }
    shown
}

fn mark(place: usize) -> String {
    format!("{}^^", " ".repeat(8 + 3 * (place % LINE)))
}

fn dumped(number: usize, line: &[u8]) -> String {
    let hex = line.iter().map(|byte| format!("{byte:02x} ")).collect::<String>();
    let signs = line.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
    format!("{:06x}  {hex:<48} {}", number * LINE, signs.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_under_the_byte() {
        let bytes: Vec<u8> = (0..40).collect();
        let shown = around(&bytes, 18);
        assert_eq!(shown.len(), 4, "{shown:?}");
        assert!(
            shown[1].starts_with("000010  10 11 12 13") && shown[2] == format!("{}^^", " ".repeat(14)),
            "{shown:?}"
        );
    }

    #[test]
    fn the_end_of_the_bytes_is_a_place() {
        let shown = around(&[0; 16], 16);
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert_eq!(around(&[0; 3], 3)[1], format!("{}^^", " ".repeat(17)));
        assert_eq!(around(&[], 0), ["        ^^"]);
    }
}
