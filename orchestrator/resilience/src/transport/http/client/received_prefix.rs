//! What was read of a connection since a request was given to it.

use saga_base::sync::UnpoisonedMutex;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of the beginning is kept: enough to see what it is.
const BEGINNING: usize = 64;

/// The first bytes that came since the request was given to the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceivedPrefix(Arc<UnpoisonedMutex<Vec<u8>>>);

/// A stream that remembers how what it reads begins.
#[derive(Debug)]
pub(super) struct PrefixRecordingStream<S> {
    stream: S,
    heard: ReceivedPrefix,
}

impl ReceivedPrefix {
    /// Forgets the bytes so far: what comes from now on belongs to the next request.
    pub(super) fn begin(&self) {
        self.0.lock().clear();
    }

    /// How what came begins; empty: nothing came.
    pub(super) fn beginning(&self) -> Vec<u8> {
        self.0.lock().clone()
    }

    fn more(&self, bytes: &[u8]) {
        let mut beginning = self.0.lock();
        let room = BEGINNING.saturating_sub(beginning.len()).min(bytes.len());
        beginning.extend_from_slice(&bytes[..room]);
    }
}

impl<S> PrefixRecordingStream<S> {
    pub(super) fn new(stream: S) -> PrefixRecordingStream<S> {
        PrefixRecordingStream { stream, heard: ReceivedPrefix::default() }
    }

    pub(super) fn heard(&self) -> ReceivedPrefix {
        self.heard.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PrefixRecordingStream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let PrefixRecordingStream { stream, heard } = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(stream).poll_read(context, into);
        heard.more(&into.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PrefixRecordingStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
