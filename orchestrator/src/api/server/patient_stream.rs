//! The stream below a connection: a peer that does not read its answer ends, what hyper answers itself becomes a
//! problem document, and a peer that still sends gets the answer before the connection closes.

use super::{own_answers, places::ConnectionPlace};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Maximum time until a peer takes some of an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// Maximum time, and bytes, that a peer may still send after its last answer. Without that the kernel resets the
/// connection, and the peer may lose the answer.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 256 * 1024;

/// What is written in place of something else.
#[derive(Debug)]
struct OtherAnswer {
    bytes: Vec<u8>,
    written: usize,
}

/// What is left to take from a peer before the end.
#[derive(Debug)]
struct StreamLinger {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

/// A stream with patience for slow peers, but not without end.
#[derive(Debug)]
pub(super) struct PatientStream<S> {
    stream: S,
    place: Arc<ConnectionPlace>,
    /// Runs while the peer takes nothing.
    unread: Option<Pin<Box<Sleep>>>,
    other: Option<OtherAnswer>,
    linger: Option<StreamLinger>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> PatientStream<S> {
    pub(super) fn new(stream: S, place: Arc<ConnectionPlace>) -> PatientStream<S> {
        PatientStream { stream, place, unread: None, other: None, linger: None }
    }

    /// Gives up when the peer has taken nothing for too long.
    fn within_patience<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.unread = None;
            return polled;
        }
        let unread = self.unread.get_or_insert_with(|| Box::pin(sleep(UNREAD)));
        ready!(unread.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read its answer")))
    }

    fn poll_other(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(other) = &mut self.other {
            let rest = other.bytes.get(other.written..).unwrap_or_default();
            if rest.is_empty() {
                self.other = None;
                break;
            }
            other.written += ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let linger =
            self.linger.get_or_insert_with(|| StreamLinger { until: Box::pin(sleep(LINGER)), bytes: LINGER_BYTES });
        loop {
            let mut space = [0; 4096];
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return linger.until.as_mut().poll(cx).map(Ok),
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => match (buffer.filled().len(), linger.bytes) {
                    (0, _) => return Poll::Ready(Ok(())),
                    (read, left) if read >= left => return Poll::Ready(Ok(())),
                    (read, left) => linger.bytes = left - read,
                },
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.other.is_none()
            && this.place.is_waiting()
            && let Some(other) = own_answers::instead_of(bytes)
        {
            this.other = Some(OtherAnswer { bytes: other, written: 0 });
        }
        let polled = if this.other.is_some() {
            this.poll_other(cx).map_ok(|()| bytes.len())
        } else {
            Pin::new(&mut this.stream).poll_write(cx, bytes)
        };
        this.within_patience(cx, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.within_patience(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
            ready!(this.within_patience(cx, polled))?;
        }
        this.poll_linger(cx)
    }
}
