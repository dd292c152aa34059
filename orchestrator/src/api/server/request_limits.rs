//! What every request has to keep, before a route sees it.

use super::super::errors::ApiError;
use axum::{
    extract::Request,
    http::{HeaderMap, Uri},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The most headers of a request; browsers behind two proxies send thirty.
const HEADERS: usize = 64;
/// The most bytes of their names and values: a token of 8 KiB, a session, and as much again.
const HEADER_BYTES: usize = 24 * 1024;
/// The most bytes of path and query. A filter has a dozen short parameters.
const PATH_BYTES: usize = 8 * 1024;

/// The server has no place for the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoPlace;

/// The layer that refuses what is beyond the limits.
pub(super) async fn kept(request: Request, next: Next) -> Response {
    let refusal = refusal(&request);
    match refusal {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(request: &Request) -> Option<ApiError> {
    if request.extensions().get::<NoPlace>().is_some() {
        return Some(ApiError::TooManyConnections);
    }
    if are_too_large(request.headers()) {
        return Some(ApiError::HeadersTooLarge);
    }
    of_path(request.uri())
}

fn are_too_large(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers.len() > HEADERS || bytes > HEADER_BYTES
}

/// No key, id or name has a NUL, and no store takes one.
fn of_path(uri: &Uri) -> Option<ApiError> {
    let asked = uri.path_and_query().map_or("", |asked| asked.as_str());
    if asked.len() > PATH_BYTES {
        return Some(ApiError::PathTooLong);
    }
    let has_nul = asked.as_bytes().windows(3).any(|part| part == b"%00");
    has_nul.then(|| ApiError::BadPath("the path or the query has a NUL (`%00`)".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn status(headers: usize, value: usize, path: &str) -> Option<u16> {
        let start = Request::builder().uri(path);
        let request =
            (0..headers).fold(start, |request, number| request.header(format!("x-{number}"), "v".repeat(value)));
        let request = request.body(Body::empty()).expect("a request");
        refusal(&request).map(|error| error.status().as_u16())
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_and_what_is_at_it_is_not() {
        assert_eq!(status(HEADERS, 1, "/"), None);
        assert_eq!(status(HEADERS + 1, 1, "/"), Some(431));
        assert_eq!(status(2, HEADER_BYTES / 2 - 3, "/"), None);
        assert_eq!(status(2, HEADER_BYTES / 2, "/"), Some(431));
        assert_eq!(status(0, 0, &format!("/{}", "a".repeat(PATH_BYTES - 1))), None);
        assert_eq!(status(0, 0, &format!("/{}", "a".repeat(PATH_BYTES))), Some(414));
        for nul in ["/api/sagas/%00", "/api/sagas?key=a%00", "/%00"] {
            assert_eq!(status(0, 0, nul), Some(400), "{nul}");
        }
    }
}
