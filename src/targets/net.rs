//! Connections for the targets that need one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio_rustls::rustls;

use super::connection::Connection;
use super::tls;
use crate::grammar::url::is_localhost;

/// How our requests name themselves: apps and meshes treat `kube-probe/` specially, so it comes first.
pub const AGENT: &str = concat!("kube-probe/1.36 health-proxy/", env!("CARGO_PKG_VERSION"));

/// What a protocol is spoken over: a plain connection, TLS or a unix socket.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Any stream: one kind of it, so that each protocol is in the binary once.
pub type BoxStream = Box<dyn Stream>;

/// Where `localhost` is (RFC 6761, section 6.3): known without asking a resolver or `/etc/hosts`.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// How many names are looked up at a time. One that gets no answer holds its thread for longer than its run.
static LOOK_UPS: Semaphore = Semaphore::const_new(8);

/// Opens a connection to the first address of `host` that accepts one; an empty host is `localhost`.
///
/// # Errors
/// The reason of the first address: `::1` is tried after `127.0.0.1`, and says less where there is no IPv6.
pub async fn connect(host: &str, port: u16) -> Result<Connection, String> {
    if is_localhost(host) {
        return connect_any(LOOPBACK.map(|ip| SocketAddr::new(ip, port))).await;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return connect_any([SocketAddr::new(ip, port)]).await;
    }
    match look_up(host.to_owned(), port).await {
        Ok(addresses) => connect_any(addresses).await,
        Err(error) => Err(format!("lookup {host}: {}", io_reason(&error))),
    }
}

/// Asks the resolver. A run that gives up leaves its look-up behind, so that it keeps its place until its end.
async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let place = LOOK_UPS.acquire().await.map_err(io::Error::other)?;
    let look_up = move || {
        let _place = place;
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
    };
    spawn_blocking(look_up).await?
}

async fn connect_any(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Connection, String> {
    let mut reason = None;
    for address in addresses {
        match Connection::open(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => drop(reason.get_or_insert_with(|| io_reason(&error))),
        }
    }
    Err(reason.unwrap_or_else(|| "no address".to_owned()))
}

/// How much of a connection is read, in bytes: a peer that floods must not cost other checks their time.
const READ_LIMIT: usize = 128 * 1024;

/// A connection of which no more than `READ_LIMIT` is read.
pub struct Limited {
    stream: BoxStream,
    left: usize,
}

impl Limited {
    /// Limits `stream`.
    pub const fn new(stream: BoxStream) -> Self {
        Self { stream, left: READ_LIMIT }
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
        self.left = left.ok_or_else(|| io::Error::other(format!("no end within {READ_LIMIT} bytes")))?;
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

/// An I/O error in the words of `strerror`, in lower case, without Rust's `(os error 111)`; or what TLS says.
pub fn io_reason(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::reason(error);
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_in_the_kubelet() {
        assert_eq!(io_reason(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(io_reason(&io::Error::other("")), "");
    }
}
