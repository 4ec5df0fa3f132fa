//! A connection's byte stream that reports reads and stalled writes to its [`ConnectionState`].
//!
//! hyper does not read while it sends an event stream, so a disconnect would be noticed only at the next event. One byte is
//! read ahead then, to notice the end of the stream at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::ConnectionState;

/// A byte stream whose reads and writes are tracked.
pub(in crate::http) struct TrackedIo<S> {
    stream: S,
    connection: Arc<ConnectionState>,
    read_ahead: Option<u8>,
}

impl<S> TrackedIo<S> {
    pub(in crate::http) fn new(stream: S, connection: Arc<ConnectionState>) -> Self {
        Self { stream, connection, read_ahead: None }
    }

    fn record_write<T>(&self, written: Poll<T>) -> Poll<T> {
        self.connection.record_write(written.is_pending());
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(byte) = self.read_ahead.take() {
            buffer.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.connection.record_read();
        }
        read
    }
}

impl<S: AsyncRead + Unpin> TrackedIo<S> {
    /// Closes the connection if the client of an event stream has closed its side.
    fn detect_disconnect(&mut self, context: &mut Context<'_>) {
        if !self.connection.is_streaming() || self.read_ahead.is_some() {
            return;
        }
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                self.read_ahead = buffer.filled().first().copied();
            }
            Poll::Ready(_) => self.connection.request_close(),
            Poll::Pending => {}
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TrackedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.record_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.record_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.detect_disconnect(context);
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.record_write(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
