//! A TLS stream whose end is judged as Go judges it, and whose errors say what the server said.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client;

use crate::targets::dial::connection::Connection;

/// A stream that takes the end of the connection for its own, since many servers do not say goodbye in TLS, and Go does
/// not insist on it (`crypto/tls`, `readRecordOrCCS`). Lengths tell what was cut off.
pub struct TlsStream {
    stream: client::TlsStream<Connection>,
    /// The likely meaning of a server that hangs up before it has said anything.
    suspicion: Option<&'static str>,
}

impl TlsStream {
    pub(super) const fn new(stream: client::TlsStream<Connection>, suspicion: Option<&'static str>) -> Self {
        Self { stream, suspicion }
    }

    /// Returns whether both ends have agreed on HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    /// Reads why a server refuses us, which may say so and hang up: where we notice by writing, that is still to be
    /// read.
    fn explained<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = &written else { return written };
        if !is_hang_up(error) {
            return written;
        }
        let mut ignored = [0; 512];
        match Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut ignored)) {
            Poll::Ready(Err(reason)) if reason.kind() == ErrorKind::InvalidData => Poll::Ready(Err(reason)),
            _ => self.suspicion.map_or(written, |text| Poll::Ready(Err(io::Error::other(text)))),
        }
    }
}

impl Drop for TlsStream {
    /// Says goodbye, whatever became of the run: to many servers a connection that ends without it is an error.
    fn drop(&mut self) {
        let (connection, session) = self.stream.get_mut();
        session.send_close_notify();
        let _ = session.write_tls(connection);
        connection.discard();
    }
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let is_end = match &read {
            Poll::Ready(Err(error)) => is_hang_up(error),
            Poll::Ready(Ok(())) => buffer.filled().len() == before,
            Poll::Pending => return read,
        };
        match (self.suspicion.take(), read) {
            (Some(text), _) if is_end => Poll::Ready(Err(io::Error::other(text))),
            (_, Poll::Ready(Err(error))) if error.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            (_, read) => read,
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.explained(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.explained(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
