//! The context of a request: its ids, which every answer gives back, and where it came from.

use super::errors::ApiProblem;
use axum::{
    body::Body,
    extract::Request,
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use std::{net::SocketAddr, sync::Arc};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// The longest id that is taken over.
const LONGEST_ID: usize = 128;

/// From where a request came; the accept loop puts it into every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerAddress(pub(super) SocketAddr);

/// The names in the certificate of the peer, which TLS has verified; the accept loop puts it into every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeerCertificate(pub(super) Arc<[String]>);

/// The ids of a request, each safe to log and to send, and the other end of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestContext {
    pub(super) request_id: Arc<str>,
    pub(super) correlation_id: Arc<str>,
    pub(super) trace_id: Arc<str>,
    pub(super) peer: Option<PeerAddress>,
}

impl RequestContext {
    /// An id that is absent, or is none, is made.
    pub(super) fn of(headers: &HeaderMap, extensions: &Extensions) -> RequestContext {
        let request_id = given(headers, &REQUEST_ID).unwrap_or_else(|| Uuid::new_v4().to_string().into());
        let trace = given(headers, &TRACE_ID).or_else(|| trace_of_parent(headers));
        RequestContext {
            correlation_id: given(headers, &CORRELATION_ID).unwrap_or_else(|| Arc::clone(&request_id)),
            trace_id: trace.unwrap_or_else(|| Uuid::new_v4().simple().to_string().into()),
            peer: extensions.get().copied(),
            request_id,
        }
    }

    /// What [`in_context`] found out.
    pub(super) fn of_request(request: &Request) -> RequestContext {
        let known = request.extensions().get::<RequestContext>().cloned();
        known.unwrap_or_else(|| RequestContext::of(request.headers(), request.extensions()))
    }

    /// The address of the peer, for the log; empty within tests without a connection.
    pub(super) fn peer_shown(&self) -> String {
        self.peer.map(|PeerAddress(address)| address.to_string()).unwrap_or_default()
    }

    fn given_back(&self, mut response: Response) -> Response {
        if let Some(problem) = response.extensions_mut().remove::<ApiProblem>() {
            *response.body_mut() = Body::from(problem.of_request(&self.request_id).to_json());
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        let ids = [(REQUEST_ID, &self.request_id), (CORRELATION_ID, &self.correlation_id), (TRACE_ID, &self.trace_id)];
        for (name, id) in ids {
            let value = HeaderValue::from_str(id).expect("an id has only characters that a header takes");
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// The outermost layer: also the refusals of other layers have the ids.
pub(super) async fn in_context(mut request: Request, next: Next) -> Response {
    let context = RequestContext::of(request.headers(), request.extensions());
    request.extensions_mut().insert(context.clone());
    context.given_back(next.run(request).await)
}

/// A value of a stranger is taken over only if it is harmless wherever it is shown.
fn given(headers: &HeaderMap, name: &HeaderName) -> Option<Arc<str>> {
    let text = headers.get(name)?.to_str().ok()?;
    let is_id = (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(is_of_id);
    is_id.then(|| Arc::from(text))
}

fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:/+=-".contains(&byte)
}

/// The trace of a `traceparent` (W3C).
fn trace_of_parent(headers: &HeaderMap) -> Option<Arc<str>> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let trace = parent.split('-').nth(1)?;
    let is_hex = trace.len() == 32 && trace.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex && trace.bytes().any(|byte| byte != b'0')).then(|| Arc::from(trace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(headers: &[(&str, &str)]) -> RequestContext {
        let pairs = headers.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
        });
        RequestContext::of(&pairs.collect(), &Extensions::new())
    }

    #[test]
    fn ids_are_taken_over() {
        let asked = context(&[("x-request-id", "a/1:2"), ("x-correlation-id", "o-4711"), ("x-trace-id", "t=")]);
        assert_eq!((&*asked.request_id, &*asked.correlation_id, &*asked.trace_id), ("a/1:2", "o-4711", "t="));
    }

    #[test]
    fn what_is_absent_or_no_id_is_made() {
        let long = "x".repeat(LONGEST_ID + 1);
        for wrong in ["", "two words", "a\tb", "ä", &long, "a,b", "<a>"] {
            let asked = context(&[("x-trace-id", wrong)]);
            assert!(*asked.trace_id != *wrong && asked.trace_id.bytes().all(is_of_id), "{wrong}: {asked:?}");
        }
        let asked = context(&[]);
        assert_eq!(asked.correlation_id, asked.request_id);
        assert_ne!(asked.request_id, context(&[]).request_id);
    }

    #[test]
    fn the_trace_of_a_parent_is_the_trace() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = |text: &str| context(&[("traceparent", text)]).trace_id.to_string();
        assert_eq!(parent(&format!("00-{trace}-00f067aa0ba902b7-01")), trace);
        assert_ne!(parent("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), "0".repeat(32));
        assert_eq!(parent("nonsense").len(), 32);
    }
}
