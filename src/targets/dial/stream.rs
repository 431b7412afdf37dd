//! The stream under every protocol: one type, so that each protocol is in the binary once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, copy, sink};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::connection::Connection;
use super::tls::TlsStream;

/// Any stream.
pub type BoxStream = Box<dyn Duplex>;

/// A stream that can be read and written.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// An open connection.
pub enum Stream {
    /// To a host.
    Tcp(Connection),
    /// To a host, in TLS.
    Tls(Box<TlsStream>),
    /// To a unix socket.
    Unix(UnixStream),
    /// To whatever the caller has.
    Other(BoxStream),
}

/// The most that is still read of a peer that is left, in bytes.
const MAX_REST_BYTES: u64 = 64 * 1024;

/// The longest time that a peer that is left is listened to.
const REST_PATIENCE: Duration = Duration::from_millis(500);

impl Stream {
    /// Returns whether both ends have agreed on HTTP/2.
    pub fn is_http2(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.is_http2())
    }

    /// Ends the connection as the peer would like it: says that nothing more will come, and takes what is still said,
    /// to a bound. A connection that is closed with something unread is reset, which servers log as an error.
    ///
    /// It goes on beside the run, which has its result already.
    pub fn leave(mut self) {
        let ending = async move {
            let _ = self.shutdown().await;
            let _ = copy(&mut self.take(MAX_REST_BYTES), &mut sink()).await;
        };
        tokio::spawn(async { drop(timeout(REST_PATIENCE, ending).await) });
    }
}

/// Calls a method of whatever is inside.
macro_rules! delegate {
    ($stream:expr, $method:ident($($argument:expr),*)) => {
        match $stream.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Tls(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Unix(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Other(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown(context))
    }
}

/// A connection of which no more than a limit is read.
pub struct Limited {
    stream: Stream,
    limit: usize,
    left: usize,
}

impl Limited {
    /// Limits `stream` to as many bytes.
    pub const fn new(stream: Stream, limit: usize) -> Self {
        Self { stream, limit, left: limit }
    }
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        let left = self.left.checked_sub(read);
        let limit = self.limit;
        self.left = left.ok_or_else(|| io::Error::other(format!("no end within {limit} bytes")))?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
