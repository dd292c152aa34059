//! A request's body that tells how far it is written.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::watch;

/// How much the connection is given at once. It asks for more when it has room, so a body is written when its last
/// piece was taken; smaller pieces would tell more exactly and cost more.
const PIECE_BYTES: usize = 16 * 1024;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WriteStage {
    /// The connection has not taken all of it.
    Writing,
    /// The connection has taken all of it.
    Written,
}

/// The body of one request.
#[derive(Debug)]
pub(super) struct OutgoingBody {
    rest: Bytes,
    /// Receives each stage of the body; `None`: no timeout watches the body.
    stage: Option<watch::Sender<WriteStage>>,
}

impl OutgoingBody {
    /// A body of these bytes.
    pub(super) fn unwatched(bytes: Bytes) -> OutgoingBody {
        OutgoingBody { rest: bytes, stage: None }
    }

    /// A body of these bytes, and the receiver of its stages.
    pub(super) fn watched(bytes: Bytes) -> (OutgoingBody, watch::Receiver<WriteStage>) {
        let (stage, stages) = watch::channel(if bytes.is_empty() { WriteStage::Written } else { WriteStage::Writing });
        (OutgoingBody { rest: bytes, stage: Some(stage) }, stages)
    }

    /// Length of the next piece. A body that no timeout watches is one piece.
    fn piece(&self) -> usize {
        if self.stage.is_some() { self.rest.len().min(PIECE_BYTES) } else { self.rest.len() }
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.piece();
        let piece = self.rest.split_to(length);
        if let Some(stage) = self.stage.as_ref().filter(|_| self.rest.is_empty()) {
            stage.send_replace(WriteStage::Written);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    /// Exact, so that the request says its length and needs no chunks.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(body: &mut OutgoingBody) -> Option<usize> {
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        let Poll::Ready(frame) = polled else { panic!("it has all its bytes") };
        frame.map(|frame| frame.expect("it never fails").into_data().expect("data").len())
    }

    #[test]
    fn it_is_written_when_its_last_piece_was_taken() {
        let (mut body, stages) = OutgoingBody::watched(Bytes::from(vec![b' '; PIECE_BYTES * 2 + 1]));
        assert_eq!(
            (*stages.borrow(), body.size_hint().exact()),
            (WriteStage::Writing, Some(PIECE_BYTES as u64 * 2 + 1))
        );
        assert_eq!((next(&mut body), *stages.borrow()), (Some(PIECE_BYTES), WriteStage::Writing));
        assert_eq!((next(&mut body), *stages.borrow()), (Some(PIECE_BYTES), WriteStage::Writing));
        assert!(!body.is_end_stream());
        assert_eq!((next(&mut body), *stages.borrow()), (Some(1), WriteStage::Written));
        assert!(body.is_end_stream());
        assert_eq!((next(&mut body), body.size_hint().exact()), (None, Some(0)));
    }
}
