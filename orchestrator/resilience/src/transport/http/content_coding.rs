//! `Content-Encoding`: bodies that come compressed, although the engine did not ask for it.

use super::{client::HttpResponse, single_header::ParsedHeader};
use flate2::{
    bufread::GzDecoder,
    read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder},
};
use hyper::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use saga_core::command::CommandFailure;
use std::{
    borrow::Cow,
    io::{self, Read},
};

/// Most codings of one answer. Servers compress a compressed body only by mistake.
const MAX_CODINGS: usize = 2;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentCoding {
    Gzip,
    Deflate,
}

/// How the body of `response` is compressed, what was done last first. A transfer coding counts likewise: of those the
/// connection takes off `chunked` alone.
///
/// # Errors
/// It names something that cannot be taken off.
pub(super) fn of(response: &HttpResponse) -> Result<Vec<ContentCoding>, CommandFailure> {
    let mut codings = Vec::new();
    for header in [CONTENT_ENCODING, TRANSFER_ENCODING] {
        match ParsedHeader::by(response, &header) {
            ParsedHeader::Absent => {}
            ParsedHeader::Value(value) => codings.extend(named(&value)?),
            ParsedHeader::Unreadable(why) => return Err(unreadable(why)),
        }
    }
    if codings.len() > MAX_CODINGS {
        return Err(unreadable(format!("the answer is encoded {} times", codings.len())));
    }
    codings.reverse();
    Ok(codings)
}

/// `body` without its codings, of at most `limit` bytes.
///
/// # Errors
/// It is not what it is said to be, or longer.
pub(super) fn decoded<'b>(
    codings: &[ContentCoding],
    body: &'b [u8],
    limit: usize,
) -> Result<Cow<'b, [u8]>, CommandFailure> {
    let mut body = Cow::Borrowed(body);
    for coding in codings {
        body = Cow::Owned(coding.decode(&body, limit)?);
    }
    Ok(body)
}

fn named(value: &str) -> Result<Vec<ContentCoding>, CommandFailure> {
    let mut codings = Vec::new();
    for name in value.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        match name.as_str() {
            "" | "identity" | "none" | "chunked" | "aws-chunked" => {}
            "gzip" | "x-gzip" => codings.push(ContentCoding::Gzip),
            "deflate" => codings.push(ContentCoding::Deflate),
            _ => return Err(unreadable(format!("the answer is encoded as `{name}`, which was not asked for"))),
        }
    }
    Ok(codings)
}

impl ContentCoding {
    fn name(self) -> &'static str {
        match self {
            ContentCoding::Gzip => "gzip",
            ContentCoding::Deflate => "deflate",
        }
    }

    /// What is wrong with a body that cannot be decoded.
    fn why(self, body: &[u8], error: &io::Error) -> String {
        match (self, error.kind()) {
            (ContentCoding::Gzip, _) if let Some(behind) = behind_gzip(body) => {
                format!("{behind} bytes that are not stand behind its end")
            }
            (_, io::ErrorKind::UnexpectedEof) => "it ends too early".to_owned(),
            _ => format!("it is not: {error}"),
        }
    }

    fn decode(self, body: &[u8], limit: usize) -> Result<Vec<u8>, CommandFailure> {
        // One byte more tells what is too long.
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut decoded = Vec::new();
        let read = match self {
            ContentCoding::Gzip => MultiGzDecoder::new(body).take(most).read_to_end(&mut decoded),
            ContentCoding::Deflate if has_zlib_header(body) => {
                ZlibDecoder::new(body).take(most).read_to_end(&mut decoded)
            }
            ContentCoding::Deflate => DeflateDecoder::new(body).take(most).read_to_end(&mut decoded),
        };
        let name = self.name();
        read.map_err(|error| {
            let why = self.why(body, &error);
            unreadable(format!("the answer says that it is encoded as `{name}`, and {why}"))
        })?;
        if decoded.len() > limit {
            let message = format!("decoded from `{name}` the answer has more than {limit} bytes");
            return Err(CommandFailure::new("answer.size", message));
        }
        Ok(decoded)
    }
}

/// How many bytes stand behind what is compressed; `None`: that itself cannot be read.
fn behind_gzip(body: &[u8]) -> Option<usize> {
    let mut first = GzDecoder::new(body);
    io::copy(&mut first, &mut io::sink()).ok()?;
    Some(first.into_inner().len()).filter(|behind| *behind > 0)
}

/// `deflate` is zlib's format. Some servers send it without that format's head, which no such stream resembles by
/// chance.
fn has_zlib_header(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0,
        [] | [_] => false,
    }
}

fn unreadable(why: String) -> CommandFailure {
    CommandFailure::new("answer.encoding", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[test]
    fn what_is_wrong_with_a_compressed_body_is_said() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"{\"id\": 1}").expect("in memory");
        let whole = encoder.finish().expect("in memory");
        let said = |body: &[u8]| ContentCoding::Gzip.decode(body, 1_000).map_err(|failure| failure.message);
        assert_eq!(said(&whole).as_deref(), Ok(&b"{\"id\": 1}"[..]));
        for (tail, expected) in [(&b"x"[..], "1 bytes that are not stand behind"), (b"tail of text", "12 bytes")] {
            let told = said(&[&whole, tail].concat()).expect_err("a tail");
            assert!(told.contains(expected), "{told}");
        }
        let cut = said(&whole[..whole.len() - 9]).expect_err("it is cut");
        assert!(cut.contains("ends too early"), "{cut}");
        assert!(said(b"not compressed at all").expect_err("text").contains("and it is not: "));
    }
}
