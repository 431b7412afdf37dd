//! Connections for the targets that need one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls;

use super::tls;

/// How our requests name themselves: apps and meshes treat `kube-probe/` specially, so it comes first.
pub const AGENT: &str = concat!("kube-probe/1.36 health-proxy/", env!("CARGO_PKG_VERSION"));

/// What a protocol is spoken over: a plain connection, TLS or a unix socket.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Any stream: one kind of it, so that each protocol is in the binary once.
pub type BoxStream = Box<dyn Stream>;

/// Where `localhost` is (RFC 6761, section 6.3): known without asking a resolver or `/etc/hosts`.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Opens a connection to the first address of `host` that accepts one; an empty host is `localhost`.
///
/// # Errors
/// The reason of the last address that was tried.
pub async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    if is_localhost(host) {
        return connect_any(LOOPBACK.map(|ip| SocketAddr::new(ip, port))).await;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return connect_any([SocketAddr::new(ip, port)]).await;
    }
    match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => connect_any(addresses).await,
        Err(error) => Err(format!("lookup {host}: {}", io_reason(&error))),
    }
}

/// Whether `host` means this pod's loopback by name.
pub fn is_localhost(host: &str) -> bool {
    host.is_empty() || host.eq_ignore_ascii_case("localhost")
}

async fn connect_any(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<TcpStream, String> {
    let mut reason = "no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => reason = io_reason(&error),
        }
    }
    Err(reason)
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
