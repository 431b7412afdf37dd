//! A connection to a host by its name or address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::blocking::Place;
use crate::grammar::url::is_localhost;
use crate::targets::reason::io_reason;

use super::connection::Connection;

/// Where `localhost` is (RFC 6761, section 6.3): known without asking a resolver or `/etc/hosts`.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Opens a connection to the first address of `host` that accepts one; an empty host is `localhost`.
///
/// # Errors
/// The reason of the first address: `::1` is tried after `127.0.0.1`, and says less where there is no IPv6.
pub(super) async fn connect(host: &str, port: u16, place: &Place) -> Result<Connection, String> {
    if is_localhost(host) {
        return connect_any(LOOPBACK.map(|ip| SocketAddr::new(ip, port))).await;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return connect_any([SocketAddr::new(ip, port)]).await;
    }
    connect_any(look_up(host, port, place).await?).await
}

/// Asks the resolver, which may take its time.
async fn look_up(host: &str, port: u16, place: &Place) -> Result<Vec<SocketAddr>, String> {
    let name = host.to_owned();
    let look_up = move || {
        let found = (name.as_str(), port).to_socket_addrs();
        found.map(Iterator::collect).map_err(|error| format!("lookup {name}: {}", io_reason(&error)))
    };
    place.run(format!("no answer to the lookup of {host}"), look_up).await?
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
