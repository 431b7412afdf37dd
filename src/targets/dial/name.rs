//! A connection to a host by its name or address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::blocking::Place;
use crate::grammar::url::{Authority, is_localhost};
use crate::targets::reason::io_reason;

use super::connection::Connection;

/// The addresses of `localhost` (RFC 6761, section 6.3), known without asking a resolver or `/etc/hosts`.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Opens a connection to the first address of a host that accepts one.
///
/// # Errors
/// The refusal, or the reason of the first address: `::1` is tried after `127.0.0.1`, and says less where there is no
/// IPv6.
pub(super) async fn connect(to: &Authority, place: &Place) -> Result<Connection, String> {
    if let Some(ip) = to.address {
        return connect_any(to, [SocketAddr::new(ip, to.port)]).await;
    }
    if is_localhost(&to.host) {
        return connect_any(to, LOOPBACK.map(|ip| SocketAddr::new(ip, to.port))).await;
    }
    connect_any(to, look_up(&to.host, to.port, place).await?).await
}

/// Asks the resolver, which may take its time.
async fn look_up(host: &str, port: u16, place: &Place) -> Result<Vec<SocketAddr>, String> {
    let name = host.to_owned();
    let look_up = move || {
        let found = (name.as_str(), port).to_socket_addrs();
        found
            .map(Iterator::collect)
            .map_err(|error| format!("the name {name} was not resolved: {}", resolver_reason(&error)))
    };
    place.run(format!("the name {host} was not resolved"), look_up).await?
}

/// Returns what the resolver says, without what the standard library says before it.
fn resolver_reason(error: &io::Error) -> String {
    let reason = io_reason(error);
    reason
        .strip_prefix("failed to lookup address information: ")
        .map_or_else(|| reason.clone(), str::to_lowercase)
}

async fn connect_any(
    to: &Authority,
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> Result<Connection, String> {
    let (mut refused, mut other) = (Vec::new(), None);
    for address in addresses {
        match Connection::open(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => refused.push(address.ip()),
            Err(error) => drop(other.get_or_insert_with(|| format!("{address}: {}", io_reason(&error)))),
        }
    }
    let refusal = refusal(&to.shown(), &refused);
    Err(refusal.or(other).unwrap_or_else(|| format!("{} has no address", to.host)))
}

/// Returns who refused a connection to `to`: each address, if the name does not tell.
fn refusal(to: &str, addresses: &[IpAddr]) -> Option<String> {
    let named: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    match &*named {
        [] => None,
        [only] if to.contains(only.as_str()) => Some(format!("connection refused by {to}")),
        _ => Some(format!("connection refused by {to} ({})", named.join(" and "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refused_is_told() {
        let refusal = |authority, addresses: &[&str]| {
            let addresses: Vec<_> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            refusal(&Authority::parse(authority, None).unwrap().shown(), &addresses)
        };
        for (authority, addresses, expected) in [
            ("localhost:80", &["127.0.0.1", "::1"][..], "localhost:80 (127.0.0.1 and ::1)"),
            ("localhost:80", &["127.0.0.1"], "localhost:80 (127.0.0.1)"),
            ("10.0.0.1:80", &["10.0.0.1"], "10.0.0.1:80"),
            ("[::1]:80", &["::1"], "[::1]:80"),
        ] {
            assert_eq!(refusal(authority, addresses), Some(format!("connection refused by {expected}")));
        }
        assert_eq!(refusal("db:80", &[]), None);
    }
}
