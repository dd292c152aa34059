//! Bodies under way: each part of a request's body has to come in time and as announced, and an answer keeps the place
//! of its connection until its body has left.

use super::{super::errors::ApiError, places::BusyPlace};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// Maximum time between two parts of a body.
const PART: Duration = Duration::from_secs(10);

/// What was wrong with the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyFault {
    Slow,
    /// It ended early, or is not in the form that the header says.
    Broken,
}

/// The body of a request.
struct PacedBody {
    body: Body,
    /// Runs while nothing comes.
    waiting: Option<Pin<Box<Sleep>>>,
    fault: Arc<OnceLock<BodyFault>>,
}

impl PacedBody {
    fn failed(&self, fault: BodyFault) -> axum::Error {
        // The first fault is the one that is told.
        let _known = self.fault.set(fault);
        axum::Error::new(std::io::Error::other("the body of the request cannot be read"))
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(part) => {
                this.waiting = None;
                Poll::Ready(part.map(|read| read.map_err(|_| this.failed(BodyFault::Broken))))
            }
            Poll::Pending => {
                let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(PART)));
                waiting.as_mut().poll(cx).map(|()| Some(Err(this.failed(BodyFault::Slow))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The layer that reads bodies at a pace. A body that cannot be read is told as what it is, whatever its reader says.
pub(super) async fn paced(request: Request, next: Next) -> Response {
    let fault = Arc::new(OnceLock::new());
    let seen = Arc::clone(&fault);
    let request = request.map(|body| Body::new(PacedBody { body, waiting: None, fault }));
    let response = next.run(request).await;
    match seen.get() {
        Some(BodyFault::Slow) if !response.status().is_success() => ApiError::SlowRequest.into_response(),
        Some(BodyFault::Broken) if !response.status().is_success() => ApiError::BrokenBody.into_response(),
        Some(_) | None => response,
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct PlacedBody {
    body: Body,
    /// Kept until the body is dropped, which hyper does when it has taken all of it.
    _place: Option<BusyPlace>,
}

impl PlacedBody {
    pub(super) fn new(body: Body, place: Option<BusyPlace>) -> PlacedBody {
        PlacedBody { body, _place: place }
    }
}

impl HttpBody for PlacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
