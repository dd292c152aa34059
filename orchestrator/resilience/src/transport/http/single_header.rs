//! What a header says. That it is there and cannot be read is another thing than that it is not there.

use super::client::HttpResponse;
use hyper::header::HeaderName;

/// What an answer says in a header of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParsedHeader {
    /// It is not there.
    Absent,
    /// Its value, without spaces around it.
    Value(String),
    /// The header is there and cannot be read; why.
    Unreadable(String),
}

impl ParsedHeader {
    /// What `response` says in the header `name`.
    pub(super) fn by(response: &HttpResponse, name: &HeaderName) -> ParsedHeader {
        let mut said = ParsedHeader::Absent;
        for value in response.headers().get_all(name) {
            // Visible ASCII, as RFC 9110 has it: what others read into further bytes differs.
            let Ok(text) = value.to_str().map(str::trim) else {
                return ParsedHeader::Unreadable(format!("`{name}` is not ASCII text"));
            };
            match said {
                _ if text.is_empty() => return ParsedHeader::Unreadable(format!("`{name}` is empty")),
                ParsedHeader::Value(before) if before != text => {
                    return ParsedHeader::Unreadable(format!("`{name}` occurs with different values"));
                }
                ParsedHeader::Absent | ParsedHeader::Value(_) | ParsedHeader::Unreadable(_) => {
                    said = ParsedHeader::Value(text.to_owned());
                }
            }
        }
        said
    }
}
