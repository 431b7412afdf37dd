//! Connections for the targets that need one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpStream;

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

/// An I/O error in the words of `strerror`, in lower case, without Rust's `(os error 111)`.
pub fn io_reason(error: &io::Error) -> String {
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
