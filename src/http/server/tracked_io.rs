//! A connection's bytes, watched: a [`Peer`] is told when some come in and when the client takes none.
//!
//! While a stream of events goes out nobody reads, and a client that leaves would be noticed at the next event. So a byte is
//! read ahead then: its end is the client's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::Peer;

/// See the [module](self).
pub(in crate::http) struct Watched<S> {
    stream: S,
    peer: Arc<Peer>,
    /// A byte that was read ahead.
    ahead: Option<u8>,
}

impl<S> Watched<S> {
    pub(in crate::http) fn new(stream: S, peer: Arc<Peer>) -> Self {
        Self { stream, peer, ahead: None }
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        self.peer.written(written.is_pending());
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(byte) = self.ahead.take() {
            buffer.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.peer.received();
        }
        read
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    fn look_ahead(&mut self, context: &mut Context<'_>) {
        if !self.peer.watches() || self.ahead.is_some() {
            return;
        }
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                self.ahead = buffer.filled().first().copied();
            }
            Poll::Ready(_) => self.peer.has_left(),
            Poll::Pending => {}
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look_ahead(context);
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.noted(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
