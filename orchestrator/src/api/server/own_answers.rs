//! Answers to what never becomes a request: problem documents as bytes, where no handler is there to make them.

use super::super::errors::ApiError;
use axum::http::StatusCode;

/// The whole answer; the connection ends after it.
pub(super) fn bytes(error: &ApiError) -> Vec<u8> {
    let (status, body) = (error.status(), error.problem().to_json());
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// What stands for an empty answer that hyper makes itself when it cannot read a request.
pub(super) fn instead_of(written: &[u8]) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(written).ok()?.to_ascii_lowercase();
    let is_whole = head.ends_with("\r\n\r\n") && head.matches("\r\n\r\n").count() == 1;
    let is_hypers = head.contains("\r\ncontent-length: 0\r\n") && !head.contains("\r\nx-request-id:");
    let status = head.strip_prefix("http/1.1 ")?.split(' ').next()?.parse::<u16>().ok()?;
    if is_whole && is_hypers { Some(bytes(&error(StatusCode::from_u16(status).ok()?)?)) } else { None }
}

fn error(status: StatusCode) -> Option<ApiError> {
    match status {
        StatusCode::BAD_REQUEST => Some(ApiError::NotHttp),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Some(ApiError::HeadersTooLarge),
        StatusCode::URI_TOO_LONG => Some(ApiError::PathTooLong),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_answer_of_hyper_is_replaced() {
        let empty = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let ours = String::from_utf8(instead_of(empty).expect("it is hyper's")).expect("a text");
        assert!(ours.starts_with("HTTP/1.1 431 ") && ours.contains("\"code\":\"headers_too_large\""), "{ours}");
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\nx-request-id: a\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "",
        ] {
            assert!(instead_of(other.as_bytes()).is_none(), "{other}");
        }
    }
}
