//! What a request brings along to log in: a key or token, or the session of a browser. Nothing is verified here.

use super::super::context::PeerCertificate;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Method, header},
};

/// What our own pages send with a request that changes something.
const PAGE_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
/// The cookie of a session, and its name where it travels by TLS only.
pub(super) const COOKIE: &str = "saga_session";
pub(super) const SECURE_COOKIE: &str = "__Host-saga_session";

/// The cookie of a login that has begun.
pub(super) const LOGIN_COOKIE: &str = "saga_login";
pub(super) const SECURE_LOGIN_COOKIE: &str = "__Host-saga_login";

/// The cookies with one of these names.
pub(super) fn cookies(headers: &HeaderMap, names: [&str; 2]) -> Vec<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| names.contains(name)).map(|(_, value)| value.to_owned()).collect()
}

/// The login in a request, unverified.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum RequestCredentials {
    None,
    /// More than one login, or a header that is none.
    Malformed,
    Bearer(String),
    Session {
        cookie: String,
        page_token: Option<String>,
        /// Whether the method is one that changes something.
        changes: bool,
    },
    Certificate {
        names: PeerCertificate,
        /// Whether a page of another site made a browser send it.
        is_foreign: bool,
    },
}

impl RequestCredentials {
    /// What it is, for the metric of logins.
    pub(super) fn class(&self) -> &'static str {
        match self {
            RequestCredentials::None => "none",
            RequestCredentials::Malformed => "malformed header",
            RequestCredentials::Bearer(_) => "key or token",
            RequestCredentials::Session { .. } => "session",
            RequestCredentials::Certificate { .. } => "certificate",
        }
    }

    /// A header `Authorization` counts before a cookie, so that a program in a browser's place is no browser, and both
    /// before the certificate of the connection.
    pub(super) fn of(request: &Request) -> RequestCredentials {
        let headers = request.headers();
        match headers.get_all(header::AUTHORIZATION).iter().collect::<Vec<_>>().as_slice() {
            [] => match RequestCredentials::of_cookies(headers, request.method()) {
                RequestCredentials::None => RequestCredentials::of_connection(request),
                of_cookies => of_cookies,
            },
            [one] => match one.to_str().ok().and_then(bearer) {
                Some(presented) => RequestCredentials::Bearer(presented.to_owned()),
                None => RequestCredentials::Malformed,
            },
            [_, _, ..] => RequestCredentials::Malformed,
        }
    }

    /// A browser sends a certificate by itself, as it sends cookies.
    fn of_connection(request: &Request) -> RequestCredentials {
        let Some(names) = request.extensions().get::<PeerCertificate>() else { return RequestCredentials::None };
        let from = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
        let is_elsewhere = from.is_some_and(|from| !["same-origin", "none"].contains(&from));
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        RequestCredentials::Certificate { names: names.clone(), is_foreign: is_elsewhere && changes }
    }

    fn of_cookies(headers: &HeaderMap, method: &Method) -> RequestCredentials {
        match cookies(headers, [COOKIE, SECURE_COOKIE]).as_slice() {
            [] => RequestCredentials::None,
            [one] => RequestCredentials::Session {
                cookie: one.clone(),
                page_token: headers.get(PAGE_TOKEN).and_then(|value| value.to_str().ok()).map(str::to_owned),
                changes: !matches!(*method, Method::GET | Method::HEAD),
            },
            [_, _, ..] => RequestCredentials::Malformed,
        }
    }
}

/// The key or token of `Bearer TOKEN`; the word may be in any case (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, presented) = value.split_once(' ')?;
    let is_one_word = !presented.is_empty() && presented.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && is_one_word).then_some(presented)
}
